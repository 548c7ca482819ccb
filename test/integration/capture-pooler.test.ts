import { afterEach, expect, test } from "vitest";
import { Secret, toAppError } from "../../src/kernel/index.ts";
import { connect } from "../../src/postgres/index.ts";
import { captureToMemory } from "../support/capture.ts";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import type { PgBouncer } from "../support/pgbouncer.ts";

/** Through PgBouncer in session mode, which refuses settings at the start of a session and hides the server's processes. */

afterEach(async () => {
  const cluster = await sharedCluster();
  await cluster.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'idle in the pool'",
  );
  await failOnLeakedSessions(cluster);
});

function startStrict(
  cluster: Cluster,
  settings: Readonly<Record<string, string>> = {},
): Promise<PgBouncer> {
  const strict = { ignore_startup_parameters: "", default_pool_size: "12", ...settings };
  return startPgBouncer(cluster, { mode: "session", settings: strict });
}

const ROWS = 2_000;
const SCRIPT = `
  CREATE TABLE orders (id int PRIMARY KEY, at timestamptz DEFAULT '2026-01-01 00:00Z');
  INSERT INTO orders SELECT i FROM generate_series(1, ${ROWS}) i;
  ${Array.from({ length: 6 }, (_, i) => `CREATE TABLE t${i} AS SELECT ${i} AS a;`).join("\n")}`;
const ORDERS = "database/tables/public/orders/0000.copy";

test("a session keeps the settings that the pooler did not let it begin with", async () => {
  await using database = await createTestDatabase({ script: SCRIPT });
  await database.query(`ALTER DATABASE ${database.name} SET datestyle = 'SQL, DMY'`);
  await using pooler = await startStrict(database.cluster);
  const url = new Secret(pooler.url(database.name));
  await using session = await connect({ url, applicationName: "sparekeep test", readOnly: true });
  const [row] = await session.query<{ pid: number; style: string; ro: string }>(
    `SELECT pg_backend_pid() AS pid, current_setting('datestyle') AS style,
            current_setting('default_transaction_read_only') AS ro`,
  );
  // The server's own number: by the pooler's, nobody would find out whom a session holds up.
  expect(row).toEqual({ pid: session.backendPid, style: "ISO, YMD", ro: "on" });
});

test("a capture is whole, and leaves the application none of its settings", async () => {
  await using database = await createTestDatabase({ script: SCRIPT });
  const direct = await captureToMemory(database.url);
  await using pooler = await startStrict(database.cluster);
  const capture = await captureToMemory(pooler.url(database.name));
  expect(capture.issues).toEqual([]);
  expect(capture.database.tables).toEqual(direct.database.tables);
  const url = new Secret(pooler.url(database.name));
  const application = { url, applicationName: "idle in the pool", readOnly: false };
  await using one = await connect(application);
  await expect(one.query("CREATE TABLE public.made ()")).resolves.toEqual([]);
});

test("who waits for a lock is seen through it, and let through", async () => {
  await using database = await createTestDatabase({ script: SCRIPT });
  await using pooler = await startStrict(database.cluster);
  let met = false;
  const capture = await captureToMemory(pooler.url(database.name), {
    lockPatienceMs: 300,
    hooks: {
      duringFile: async (path) => {
        if (path !== ORDERS || met) return;
        met = true;
        await database.query("ALTER TABLE orders ADD COLUMN extra int");
      },
    },
  });
  expect(capture.issues).toEqual([]);
  expect(capture.database.tables.find(({ name }) => name === "orders")?.rows).toBe(String(ROWS));
});

test("a full pool is done without, and named where nothing goes on", async () => {
  await using database = await createTestDatabase({ script: SCRIPT });
  // Snapshot, watch and control take three.
  await using pooler = await startStrict(database.cluster, {
    default_pool_size: "4",
    query_wait_timeout: "1",
  });
  const capture = await captureToMemory(pooler.url(database.name), { connections: 3 });
  expect(capture.issues).toEqual([]);
  expect(capture.database.tables).toHaveLength(7);
  await using tiny = await startStrict(database.cluster, {
    default_pool_size: "1",
    query_wait_timeout: "1",
  });
  const refused = await captureToMemory(tiny.url(database.name)).catch(toAppError);
  expect(refused).toMatchObject({ code: "postgres.too_many_connections" });
});
