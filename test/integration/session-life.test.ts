import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect as connectSocket, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Secret, toAppError } from "../../src/kernel/index.ts";
import { clientProgramText, connect } from "../../src/postgres/index.ts";
import { captureToMemory, testTools } from "../support/capture.ts";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

describe("timeouts of the role", () => {
  const TIMEOUTS = [
    "statement_timeout = 100",
    "lock_timeout = 100",
    "idle_in_transaction_session_timeout = 100",
    "idle_session_timeout = 2000",
  ];
  const LARGE = `
    CREATE TABLE noise AS SELECT md5(i::text) AS noise FROM generate_series(1, 100000) i;
    DO $$ BEGIN
      EXECUTE format('CREATE FUNCTION large() RETURNS text LANGUAGE sql AS %L', format('SELECT %L', repeat('x', 2000000)));
    END $$;`;

  test("end neither a COPY nor pg_dump nor the session that holds the snapshot", async () => {
    await using database = await createTestDatabase({ script: LARGE });
    const role = { name: `hasty_${process.pid}`, password: "secret" };
    await database.query(
      `CREATE ROLE ${role.name} LOGIN PASSWORD 'secret' IN ROLE pg_read_all_data BYPASSRLS`,
    );
    for (const setting of TIMEOUTS) await database.query(`ALTER ROLE ${role.name} SET ${setting}`);
    // The trap: what that role's sessions bear.
    const slow = database.query("SELECT pg_sleep(0.5)", { role });
    await expect(slow).rejects.toMatchObject({ code: "57014" });
    const stalled = new Set<string>();
    const capture = await captureToMemory(database.cluster.url(database.name, role), {
      hooks: {
        duringFile: async (path) => {
          stalled.add(path);
          await database.query("SELECT pg_sleep(0.5)");
        },
      },
    });
    await database.query(`DROP OWNED BY ${role.name}; DROP ROLE ${role.name}`);
    expect(capture.issues).toEqual([]);
    expect(capture.database.tables).toMatchObject([{ name: "noise", rows: "100000" }]);
    expect([...stalled]).toEqual([
      "database/schema.dump",
      "database/catalog.facts",
      "database/tables/public/noise/0000.copy",
    ]);
  });
});

const PROTOCOL_VIOLATION = "08P01";

/** As PgBouncer: a session that begins with settings is refused, one without goes through to the server. */
class PickyPooler implements AsyncDisposable {
  refused = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(serverPort: number) {
    this.#server = createServer((client) => {
      this.#keep(client);
      client.once("data", (first) => {
        if (!first.includes("\0options\0")) {
          const server = this.#keep(connectSocket(serverPort, "127.0.0.1"));
          server.write(first);
          client.pipe(server).pipe(client);
          return;
        }
        this.refused += 1;
        client.end(fatal("unsupported startup parameter: options"));
      });
    });
  }

  async url(database: TestDatabase): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const url = new URL(database.url);
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

function fatal(message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${PROTOCOL_VIOLATION}\0M${message}\0\0`);
  const head = Buffer.alloc(5, "E");
  head.writeInt32BE(fields.byteLength + 4, 1);
  return Buffer.concat([head, fields]);
}

describe("a pooler that refuses settings at the start of a session", () => {
  test("gets them afterwards, in our own sessions and in pg_dump's", async () => {
    await using database = await createTestDatabase({
      script:
        "CREATE TABLE t AS SELECT 1 AS a; CREATE TABLE u (at timestamptz DEFAULT '2026-01-01 00:00Z')",
    });
    await database.query(`ALTER DATABASE ${database.name} SET datestyle = 'SQL, DMY';`);
    await using pooler = new PickyPooler(database.cluster.port);
    const url = await pooler.url(database);
    await using session = await connect({
      url: new Secret(url),
      applicationName: "sparekeep test",
      readOnly: true,
      statementTimeoutMs: 77_000,
    });
    expect(pooler.refused).toBe(1);
    const settings = await session.query(
      "SELECT current_setting('statement_timeout') AS timeout, current_setting('default_transaction_read_only') AS ro, current_setting('datestyle') AS style",
    );
    expect(settings).toEqual([{ timeout: "77s", ro: "on", style: "ISO, YMD" }]);
    await expect(session.query("CREATE TABLE public.x ()")).rejects.toMatchObject({
      subject: { sqlstate: "25006" },
    });
    const capture = await captureToMemory(url);
    expect(capture.issues).toEqual([]);
    expect(capture.database.tables.map(({ name, rows }) => [name, rows])).toEqual([
      ["t", "1"],
      ["u", "0"],
    ]);
    const script = await clientProgramText(
      {
        program: (await testTools()).pgDump,
        args: ["--schema-only", "--table=u"],
        url: new Secret(url),
        settings: { default_transaction_read_only: "on" },
      },
      100_000,
    );
    expect(script).toContain("CREATE TABLE public.u");
  });

  test("an error of another kind is not asked for a second time", async () => {
    await using database = await createTestDatabase();
    await using pooler = new PickyPooler(database.cluster.port);
    const url = new URL(await pooler.url(database));
    url.pathname = "/nowhere";
    const error = await connect({
      url: new Secret(url.href),
      applicationName: "sparekeep test",
      readOnly: true,
    }).catch(toAppError);
    expect(error).toMatchObject({ code: "postgres.database_not_found" });
    expect(pooler.refused).toBe(1);
  });
});

describe("a process of ours that is killed", () => {
  const SLEEP = `
    import { Client } from "pg";
    import { Secret } from "./src/kernel/index.ts";
    import { connect } from "./src/postgres/index.ts";
    const url = process.env.TEST_URL;
    const ours = await connect({ url: new Secret(url), applicationName: "sparekeep test", readOnly: true });
    const plain = new Client({ connectionString: url, application_name: "plain" });
    plain.on("error", () => undefined);
    await plain.connect();
    await Promise.all([ours, plain].map((one) => one.query("SELECT pg_sleep(3600)")));`;

  test("leaves no session behind, not even one that computes", async () => {
    await using database = await createTestDatabase();
    const [server] = await database.query<{ old: boolean }>(
      "SELECT current_setting('server_version_num')::int < 140000 AS old",
    );
    // PostgreSQL 13 looks after nobody.
    if (server?.old !== false) return;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", SLEEP], {
      cwd: join(import.meta.dirname, "../.."),
      env: { PATH: process.env["PATH"], TEST_URL: database.url },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const sleeping = async (): Promise<string[]> => {
      const rows = await database.query<{ name: string }>(
        `SELECT application_name AS name FROM pg_stat_activity
          WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep(3600)%' ORDER BY 1`,
      );
      return rows.map(({ name }) => name);
    };
    await expect.poll(sleeping, { timeout: 60_000 }).toEqual(["plain", "sparekeep test"]);
    child.kill("SIGKILL");
    await once(child, "close");
    // The trap stays: the server does not look after the other one.
    await expect.poll(sleeping, { timeout: 120_000, interval: 200 }).toEqual(["plain"]);
  });
});
