import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { Secret, toAppError } from "../../src/kernel/index.ts";
import type { AppError } from "../../src/kernel/index.ts";
import { connect, quoteLiteral } from "../../src/postgres/index.ts";
import type { Connection } from "../../src/postgres/index.ts";
import type { CaptureResult } from "../../src/source/index.ts";
import { captureToMemory, testTools } from "../support/capture.ts";
import type { CaptureHooks, TestCapture } from "../support/capture.ts";
import {
  createTestDatabase,
  failOnLeakedSessions,
  sharedCluster,
  startCluster,
} from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

const SCHEMA = "database/schema.dump";

/** Between the schema and the first table: where a migration meets a capture. */
function afterSchema(work: () => Promise<unknown>): CaptureHooks {
  return {
    afterFile: async (path) => {
      if (path === SCHEMA) await work();
    },
  };
}

function tableNames(capture: CaptureResult): string[] {
  return capture.database.tables.map((table) => table.name).toSorted();
}

function rowsOf(capture: CaptureResult, name: string): string | undefined {
  return capture.database.tables.find((table) => table.name === name)?.rows;
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (error) {
    return toAppError(error);
  }
  throw new Error("expected an error");
}

function open(url: string): Promise<Connection> {
  return connect({ url: new Secret(url), applicationName: "sparekeep test", readOnly: false });
}

let roles = 0;

async function createRole(options = ""): Promise<{ name: string; password: string }> {
  roles += 1;
  const role = { name: `reader_${process.pid}_${roles}`, password: "secret" };
  const cluster = await sharedCluster();
  await cluster.query(`CREATE ROLE ${role.name} LOGIN PASSWORD 'secret' ${options}`);
  return role;
}

describe("DDL between the snapshot and the COPY", () => {
  const TABLES = `
    CREATE TABLE victim (id int PRIMARY KEY, v text);
    INSERT INTO victim SELECT i, 'row ' || i FROM generate_series(1, 1000) i;
    CREATE TABLE bystander AS SELECT i FROM generate_series(1, 10) i;`;

  const DESTRUCTIVE = [
    ["TRUNCATE", "TRUNCATE victim", "table_rewritten", 0],
    ["a rewriting ALTER", "ALTER TABLE victim ALTER id TYPE bigint", "table_rewritten", 0],
    ["VACUUM FULL", "VACUUM FULL victim", "table_rewritten", 1000],
    ["CLUSTER", "CLUSTER victim USING victim_pkey", "table_rewritten", 1000],
  ] as const;

  test.for(DESTRUCTIVE)("the trap: %s under an imported snapshot", async ([, sql, , seen]) => {
    await using database = await createTestDatabase({ script: TABLES });
    await using holder = await open(database.url);
    await holder.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const [snapshot] = await holder.query<{ id: string }>("SELECT pg_export_snapshot() AS id");
    await database.query(sql);
    await using worker = await open(database.url);
    await worker.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshot?.id ?? "")}`,
    );
    expect(await worker.query("SELECT count(*)::int AS rows FROM public.victim")).toEqual([
      { rows: seen },
    ]);
  });

  test.for(DESTRUCTIVE)("%s makes the run incomplete, never short", async ([, sql, code]) => {
    await using database = await createTestDatabase({ script: TABLES });
    const capture = await captureToMemory(database.url, {
      hooks: afterSchema(() => database.query(sql)),
    });
    expect(capture.issues).toMatchObject([{ code, object: "public.victim" }]);
    expect(capture.issues[0]?.hint).toBeDefined();
    expect(tableNames(capture)).toEqual(["bystander"]);
    expect(capture.paths.filter((path) => path.includes("victim"))).toEqual([]);
  });

  test.for([1, 2])(
    "TRUNCATE between two parts of a table, with %i connections, keeps none of them",
    async (connections) => {
      await using database = await createTestDatabase({ script: TABLES });
      let stored = 0;
      let truncated: Promise<unknown> | undefined;
      let queued: Promise<void> | undefined;
      /** It waits for the parts that are being read, and those to come wait behind it. */
      const truncate = async (): Promise<void> => {
        truncated = database.query("TRUNCATE victim");
        const waiting = "SELECT pid FROM pg_locks WHERE NOT granted AND mode LIKE 'AccessExcl%'";
        while ((await database.query(waiting)).length === 0);
      };
      const capture = await captureToMemory(database.url, {
        connections,
        splitBytes: 8192,
        hooks: {
          afterFile: async (path) => {
            if (!path.includes("victim")) return;
            stored += 1;
            // Whichever connection comes next waits too, or it could read all the rest before the TRUNCATE arrives.
            if (stored >= 2) await (queued ??= truncate());
          },
        },
      });
      await truncated;
      expect(stored).toBeGreaterThanOrEqual(2);
      expect(capture.issues).toMatchObject([{ code: "table_rewritten", object: "public.victim" }]);
      expect(tableNames(capture)).toEqual(["bystander"]);
      expect(capture.paths.filter((path) => path.includes("victim"))).toEqual([]);
    },
  );

  test("DROP TABLE", async () => {
    await using database = await createTestDatabase({ script: TABLES });
    const capture = await captureToMemory(database.url, {
      hooks: afterSchema(() => database.query("DROP TABLE victim")),
    });
    expect(capture.issues).toMatchObject([{ code: "table_dropped", object: "public.victim" }]);
    expect(tableNames(capture)).toEqual(["bystander"]);
  });

  test("DROP and CREATE under the same name is not taken for the table", async () => {
    await using database = await createTestDatabase({ script: TABLES });
    const capture = await captureToMemory(database.url, {
      hooks: afterSchema(() =>
        database.psql("DROP TABLE victim; CREATE TABLE victim (id int, v text)"),
      ),
    });
    expect(capture.issues).toMatchObject([{ code: "table_dropped", object: "public.victim" }]);
  });

  test("DROP COLUMN, and another one under its name", async () => {
    await using database = await createTestDatabase({ script: TABLES });
    const capture = await captureToMemory(database.url, {
      hooks: afterSchema(() =>
        database.psql("ALTER TABLE victim DROP v; ALTER TABLE victim ADD v text DEFAULT 'new'"),
      ),
    });
    expect(capture.issues).toMatchObject([{ code: "table_changed", object: "public.victim" }]);
  });

  test("RENAME, and a new column without a rewrite, are read as the snapshot saw them", async () => {
    await using database = await createTestDatabase({ script: TABLES });
    const capture = await captureToMemory(database.url, {
      hooks: afterSchema(() =>
        database.psql(
          "CREATE SCHEMA attic; ALTER TABLE victim SET SCHEMA attic; ALTER TABLE attic.victim RENAME TO old; ALTER TABLE attic.old ADD extra int DEFAULT 7",
        ),
      ),
    });
    expect(capture.issues).toEqual([]);
    expect(rowsOf(capture, "victim")).toBe("1000");
    expect((await capture.table("victim")).split("\n")[0]).toBe("1\trow 1");
  });

  test("rows committed after the snapshot are not in it", async () => {
    await using database = await createTestDatabase({ script: TABLES });
    const capture = await captureToMemory(database.url, {
      hooks: afterSchema(() =>
        database.psql("DELETE FROM victim WHERE id <= 500; INSERT INTO bystander VALUES (11)"),
      ),
    });
    expect(capture.issues).toEqual([]);
    expect([rowsOf(capture, "victim"), rowsOf(capture, "bystander")]).toEqual(["1000", "10"]);
  });

  test("while a table is being read, its TRUNCATE waits, and the other tables are free", async () => {
    await using database = await createTestDatabase({ script: TABLES });
    const waits: string[] = [];
    const truncate = (table: string): Promise<string> =>
      database
        .psql(`SET lock_timeout = 50; TRUNCATE ${table}`)
        .then(() => "done")
        .catch(() => "waits");
    const capture = await captureToMemory(database.url, {
      connections: 1,
      hooks: {
        duringFile: async (path) => {
          if (!path.includes("victim")) return;
          waits.push(await truncate("victim"), await truncate("bystander"));
        },
      },
    });
    expect(waits).toEqual(["waits", "done"]);
    expect(capture.issues).toMatchObject([{ code: "table_rewritten", object: "public.bystander" }]);
    expect(rowsOf(capture, "victim")).toBe("1000");
  });

  test("a table dropped before pg_dump: everything again, under a new snapshot", async () => {
    await using database = await createTestDatabase({ script: TABLES });
    let dropped = false;
    const capture = await captureToMemory(database.url, {
      hooks: {
        beforeFile: async (path) => {
          if (path !== SCHEMA || dropped) return;
          dropped = true;
          await database.query("DROP TABLE victim");
        },
      },
    });
    expect(capture.issues).toEqual([]);
    expect(tableNames(capture)).toEqual(["bystander"]);
  });
});

describe("rights", () => {
  test("a role without SELECT: an issue by name, the rest is captured", async () => {
    await using database = await createTestDatabase({
      script: `CREATE TABLE open_to_all AS SELECT 1 AS a; CREATE TABLE closed AS SELECT 2 AS a;
               CREATE SCHEMA hidden; CREATE TABLE hidden.away AS SELECT 3 AS a;
               CREATE TABLE root (a int) PARTITION BY LIST (a);
               CREATE TABLE leaf PARTITION OF root FOR VALUES IN (1);
               CREATE SEQUENCE secret_seq`,
    });
    const role = await createRole();
    await database.query(`GRANT SELECT ON open_to_all, leaf TO ${role.name}`);
    const capture = await captureToMemory(database.cluster.url(database.name, role));
    expect(tableNames(capture)).toEqual(["open_to_all"]);
    expect(capture.issues.map((issue) => `${issue.code} ${issue.object}`).toSorted()).toEqual([
      "permission_denied hidden.away",
      "permission_denied public.closed",
      "permission_denied public.leaf",
      "permission_denied public.root",
      "sequence_unreadable public.secret_seq",
    ]);
    expect(capture.issues.every((issue) => issue.hint !== undefined)).toBe(true);
  });

  test("the trap of row-level security, and the issue that it becomes", async () => {
    await using database = await createTestDatabase({
      script: `CREATE TABLE mine AS SELECT i FROM generate_series(1, 5) i;
               ALTER TABLE mine ENABLE ROW LEVEL SECURITY;
               CREATE TABLE free AS SELECT 1 AS a`,
    });
    const role = await createRole();
    await database.query(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role.name}`);
    const { cluster } = database;
    expect(
      await cluster.query("SELECT count(*)::int AS rows FROM mine", {
        database: database.name,
        role,
      }),
    ).toEqual([{ rows: 0 }]);

    const capture = await captureToMemory(cluster.url(database.name, role));
    expect(capture.issues).toMatchObject([{ code: "row_security_hidden", object: "public.mine" }]);
    expect(capture.issues[0]?.hint).toContain("BYPASSRLS");
    expect(tableNames(capture)).toEqual(["free"]);

    await cluster.query(`ALTER ROLE ${role.name} BYPASSRLS`);
    const whole = await captureToMemory(cluster.url(database.name, role));
    expect(whole.issues).toEqual([]);
    expect(rowsOf(whole, "mine")).toBe("5");
  });

  test("policies of a partitioned table hide nothing of its leaves", async () => {
    await using database = await createTestDatabase({
      script: `CREATE TABLE root (a int) PARTITION BY LIST (a);
               CREATE TABLE leaf PARTITION OF root DEFAULT; INSERT INTO root VALUES (1), (2);
               ALTER TABLE root ENABLE ROW LEVEL SECURITY`,
    });
    const role = await createRole();
    await database.query(`GRANT SELECT ON root, leaf TO ${role.name}`);
    const capture = await captureToMemory(database.cluster.url(database.name, role));
    expect(capture.issues).toEqual([]);
    expect(rowsOf(capture, "leaf")).toBe("2");
  });

  test("row-level security that comes while the capture runs", async () => {
    await using database = await createTestDatabase({
      script: "CREATE TABLE mine AS SELECT i FROM generate_series(1, 5) i",
    });
    const role = await createRole();
    await database.query(`GRANT SELECT ON mine TO ${role.name}`);
    const capture = await captureToMemory(database.cluster.url(database.name, role), {
      hooks: afterSchema(() => database.query("ALTER TABLE mine ENABLE ROW LEVEL SECURITY")),
    });
    expect(capture.issues).toMatchObject([{ code: "row_security_hidden", object: "public.mine" }]);
    expect(tableNames(capture)).toEqual([]);
  });

  test("a large object that the role may not read", async () => {
    await using database = await createTestDatabase({
      script: "SELECT lo_from_bytea(7001, 'seen'); SELECT lo_from_bytea(7002, 'hidden')",
    });
    const role = await createRole();
    await database.query(`GRANT SELECT ON LARGE OBJECT 7001 TO ${role.name}`);
    const capture = await captureToMemory(database.cluster.url(database.name, role));
    expect(capture.issues).toMatchObject([
      { code: "large_object_unreadable", object: "large object 7002" },
    ]);
    expect(capture.database.largeObjects).toMatchObject([{ oid: 7001, sizeBytes: 4 }]);
    expect((await capture.read("database/large-objects/7001")).toString()).toBe("seen");
  });
});

test("settings of role and database do not leak into the rows", async () => {
  await using database = await createTestDatabase({
    script: `CREATE TABLE odd AS SELECT '2026-11-03'::date AS d, '2026-11-03 10:00+00'::timestamptz AS t,
                    (1.0::float8 / 3) AS f, '\\xff00'::bytea AS b, '-1 day 2 hours'::interval AS i`,
  });
  const role = await createRole("BYPASSRLS");
  await database.query(`GRANT SELECT ON odd TO ${role.name}`);
  for (const setting of [
    "datestyle = 'SQL, DMY'",
    "extra_float_digits = 0",
    "intervalstyle = sql_standard",
    "bytea_output = escape",
    "timezone = 'Asia/Tokyo'",
    "statement_timeout = '1s'",
    "idle_in_transaction_session_timeout = '1s'",
  ]) {
    await database.query(`ALTER ROLE ${role.name} SET ${setting}`);
  }
  const url = database.cluster.url(database.name, role);
  await using other = await open(database.url);
  let released: Promise<unknown> | undefined;
  const capture = await captureToMemory(url, {
    hooks: afterSchema(async () => {
      // Longer than either timeout: first no session is asked for anything, then the table's waits for a lock.
      await sleep(1500);
      await other.query("BEGIN; LOCK TABLE public.odd");
      released = sleep(1500).then(() => other.query("COMMIT"));
    }),
  });
  await released;
  expect(capture.issues).toEqual([]);
  expect(await capture.table("odd")).toBe(
    "2026-11-03\t2026-11-03 10:00:00+00\t0.3333333333333333\t\\\\xff00\t-1 days +02:00:00\n",
  );
});

describe("locks of others", () => {
  test("ACCESS EXCLUSIVE held throughout: an issue by name after the timeout", async () => {
    await using database = await createTestDatabase({
      script: "CREATE TABLE held AS SELECT 1 AS a; CREATE TABLE free AS SELECT 2 AS a",
    });
    await using other = await open(database.url);
    await other.query("BEGIN");
    await other.query("LOCK TABLE public.held");
    const capture = await captureToMemory(database.url, { lockTimeoutMs: 100 });
    expect(capture.issues).toMatchObject([{ code: "table_locked", object: "public.held" }]);
    expect(tableNames(capture)).toEqual(["free"]);
  });

  test("a locked partitioned table takes its leaves with it", async () => {
    await using database = await createTestDatabase({
      script: `CREATE TABLE root (a int) PARTITION BY LIST (a);
               CREATE TABLE leaf PARTITION OF root DEFAULT; CREATE TABLE free AS SELECT 2 AS a`,
    });
    await using other = await open(database.url);
    await other.query("BEGIN");
    await other.query("LOCK TABLE ONLY public.root");
    const capture = await captureToMemory(database.url, { lockTimeoutMs: 100 });
    expect(capture.issues).toMatchObject([
      { code: "table_locked", object: "public.root" },
      { code: "table_locked", object: "public.leaf" },
    ]);
    expect(tableNames(capture)).toEqual(["free"]);
  });

  test("a lock that comes after the schema, and stays", async () => {
    await using database = await createTestDatabase({
      script: "CREATE TABLE held AS SELECT 1 AS a; CREATE TABLE free AS SELECT 2 AS a",
    });
    await using other = await open(database.url);
    const capture = await captureToMemory(database.url, {
      lockTimeoutMs: 100,
      hooks: afterSchema(async () => {
        await other.query("BEGIN");
        await other.query("LOCK TABLE public.held");
      }),
    });
    expect(capture.issues).toMatchObject([{ code: "table_locked", object: "public.held" }]);
    expect(tableNames(capture)).toEqual(["free"]);
  });

  test("a lock that goes in time costs nothing", async () => {
    await using database = await createTestDatabase({
      script: "CREATE TABLE held AS SELECT 1 AS a",
    });
    await using other = await open(database.url);
    await other.query("BEGIN");
    await other.query("LOCK TABLE public.held");
    const capture = captureToMemory(database.url, { lockTimeoutMs: 60_000 });
    for (;;) {
      const waiting = await database.query(
        "SELECT FROM pg_stat_activity WHERE application_name LIKE 'sparekeep%' AND wait_event_type = 'Lock'",
      );
      if (waiting.length > 0) break;
    }
    await other.query("COMMIT");
    expect((await capture).issues).toEqual([]);
  });
});

describe("a server in trouble", () => {
  const BIG = `CREATE TABLE big AS SELECT i, repeat(md5(i::text), 20) AS v FROM generate_series(1, 20000) i;
               CREATE TABLE small AS SELECT 1 AS a`;

  function terminate(database: TestDatabase, name: string): Promise<unknown> {
    return database.query(
      `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE application_name = 'sparekeep ${name}' AND datname = current_database()`,
    );
  }

  async function withBroken(database: TestDatabase, name: string): Promise<TestCapture> {
    let broken = false;
    return captureToMemory(database.url, {
      connections: 1,
      hooks: {
        duringFile: async (path) => {
          if (!path.includes("big") || broken) return;
          broken = true;
          await terminate(database, name);
        },
      },
    });
  }

  test.for(["copy", "control"])("a lost %s session: that part is read again", async (name) => {
    await using database = await createTestDatabase({ script: BIG });
    const capture = await withBroken(database, name);
    expect(capture.issues).toEqual([]);
    expect([rowsOf(capture, "big"), rowsOf(capture, "small")]).toEqual(["20000", "1"]);
  });

  test("a session lost just after a part was stored: the part is read again", async () => {
    await using database = await createTestDatabase({ script: BIG });
    let broken = false;
    const capture = await captureToMemory(database.url, {
      connections: 1,
      hooks: {
        afterFile: async (path) => {
          if (!path.includes("big") || broken) return;
          broken = true;
          await terminate(database, "copy");
        },
      },
    });
    expect(broken).toBe(true);
    expect(capture.issues).toEqual([]);
    expect([rowsOf(capture, "big"), rowsOf(capture, "small")]).toEqual(["20000", "1"]);
  });

  test("the session that holds the snapshot is lost: the run is over", async () => {
    await using database = await createTestDatabase({ script: BIG });
    expect(await failure(withBroken(database, "snapshot"))).toMatchObject({
      code: "source.snapshot_lost",
      kind: "unavailable",
    });
  });

  test("a session that is lost again and again ends the run", async () => {
    await using database = await createTestDatabase({ script: BIG });
    const capture = captureToMemory(database.url, {
      connections: 1,
      hooks: {
        duringFile: async (path) => {
          if (path.includes("big")) await terminate(database, "copy");
        },
      },
    });
    expect(await failure(capture)).toMatchObject({ code: "postgres.connection_lost" });
  });

  test("the server stops", async () => {
    await using cluster = await startCluster();
    await cluster.psql(BIG);
    const capture = captureToMemory(cluster.url(), {
      hooks: {
        duringFile: async (path) => {
          if (path.includes("big")) await cluster.stop("immediate");
        },
      },
    });
    const error = await failure(capture);
    expect(error.kind).toBe("unavailable");
    expect(error.code).toMatch(/^(postgres\.(connection_lost|unreachable)|source\.snapshot_lost)$/);
  });

  test("an abort ends it, and leaves nothing on the server", async () => {
    await using database = await createTestDatabase({ script: BIG });
    const abort = new AbortController();
    const capture = captureToMemory(database.url, {
      signal: abort.signal,
      hooks: {
        duringFile: async (path) => {
          if (path.includes("big")) abort.abort();
        },
      },
    });
    expect(await failure(capture)).toMatchObject({ kind: "cancelled" });
  });
});

describe("a pg_dump that fails", () => {
  test("three times: its own error, and no table is read", async () => {
    await using database = await createTestDatabase({ script: "CREATE TABLE t AS SELECT 1 AS a" });
    const asked: string[] = [];
    const tools = { ...(await testTools()), pgDump: "/bin/false" };
    const capture = captureToMemory(database.url, {
      tools,
      hooks: {
        beforeFile: async (path) => {
          asked.push(path);
        },
      },
    });
    expect(await failure(capture)).toMatchObject({ code: "postgres.program_failed" });
    expect(asked).toEqual([SCHEMA, SCHEMA, SCHEMA]);
  });
});
