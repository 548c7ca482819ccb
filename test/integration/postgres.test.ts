import { afterEach, describe, expect, test } from "vitest";
import { Secret, toAppError } from "../../src/kernel/index.ts";
import type { AppError, Bytes } from "../../src/kernel/index.ts";
import { clientProgramText, connect, runClientProgram } from "../../src/postgres/index.ts";
import type { Connection } from "../../src/postgres/index.ts";
import {
  createTestDatabase,
  failOnLeakedSessions,
  sharedCluster,
  startCluster,
} from "../support/cluster.ts";
import { testTools } from "../support/capture.ts";

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

function open(
  url: string,
  options: Partial<Parameters<typeof connect>[0]> = {},
): Promise<Connection> {
  return connect({
    url: new Secret(url),
    applicationName: "sparekeep test",
    readOnly: false,
    ...options,
  });
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (error) {
    return toAppError(error);
  }
  throw new Error("expected an error");
}

async function text(chunks: AsyncIterable<Bytes>): Promise<string> {
  const parts: Bytes[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString("utf8");
}

let roles = 0;

async function createRole(options: string): Promise<{ name: string; password: string }> {
  roles += 1;
  const role = { name: `role_${process.pid}_${roles}`, password: "päss:wörd\\'%20" };
  const cluster = await sharedCluster();
  await cluster.query(
    `CREATE ROLE ${role.name} LOGIN PASSWORD '${role.password.replaceAll("'", "''")}' ${options}`,
  );
  return role;
}

describe("sessions", () => {
  const OPPOSITES = [
    "datestyle = 'SQL, DMY'",
    "intervalstyle = sql_standard",
    "extra_float_digits = 0",
    "bytea_output = escape",
    "timezone = 'Africa/Johannesburg'",
    "row_security = on",
    "statement_timeout = 1",
    "lock_timeout = 1",
    "idle_in_transaction_session_timeout = 1",
    "idle_session_timeout = 2000",
    "default_transaction_isolation = serializable",
    "default_transaction_read_only = on",
    "quote_all_identifiers = on",
    "search_path = public",
    "synchronize_seqscans = on",
  ];
  const PROBE = `SELECT '2026-11-03'::date::text AS date, (1.0::float8 / 3)::text AS float,
                        '\\xff'::bytea::text AS bytea, '-1 day 2 hours'::interval::text AS interval,
                        '2026-11-03 00:00+00'::timestamptz::text AS moment,
                        'pg_class'::regclass::text AS name`;

  test("no setting of role or database leaks in", async () => {
    await using database = await createTestDatabase();
    const role = await createRole("");
    const cluster = await sharedCluster();
    for (const setting of OPPOSITES) {
      await cluster.query(`ALTER ROLE ${role.name} SET ${setting}`);
      await cluster.query(`ALTER DATABASE ${database.name} SET ${setting}`);
    }
    // The trap: what an unguarded session of that role sees. Its timeouts are lifted, else it could not even ask.
    const [trap] = await cluster
      .query(PROBE, {
        database: database.name,
      })
      .catch(() => [{ date: "timed out" }]);
    expect(trap).not.toMatchObject({ date: "2026-11-03" });

    await using session = await open(cluster.url(database.name, role));
    expect(await session.query(PROBE)).toEqual([
      {
        date: "2026-11-03",
        float: "0.3333333333333333",
        bytea: "\\xff",
        interval: "-1 days +02:00:00",
        moment: "2026-11-03 00:00:00+00",
        name: "pg_class",
      },
    ]);
    expect(await session.query("SHOW transaction_isolation")).toEqual([
      { transaction_isolation: "read committed" },
    ]);
    expect(await session.query("SHOW transaction_read_only")).toEqual([
      { transaction_read_only: "off" },
    ]);
    expect(await session.query("SHOW idle_in_transaction_session_timeout")).toEqual([
      { idle_in_transaction_session_timeout: "1d" },
    ]);
    expect(await session.query("SHOW idle_session_timeout")).toEqual([
      { idle_session_timeout: "0" },
    ]);
    await cluster.query(`ALTER DATABASE ${database.name} RESET ALL`);
  });

  test("a capture session is read only, named, and bounded", async () => {
    await using database = await createTestDatabase({ script: "CREATE TABLE t (a int)" });
    await using session = await open(database.url, { readOnly: true, statementTimeoutMs: 50 });
    const error = await failure(session.query("INSERT INTO public.t VALUES (1)"));
    expect(error).toMatchObject({ code: "postgres.statement_failed" });
    expect(error.subject).toMatchObject({ sqlstate: "25006" });
    expect(await failure(session.query("SELECT pg_sleep(60)"))).toMatchObject({
      code: "postgres.timeout",
      kind: "unavailable",
    });
    expect(
      await database.query(
        "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'sparekeep%'",
      ),
    ).toEqual([{ application_name: "sparekeep test" }]);
  });

  test("keyword strings and unix sockets", async () => {
    await using database = await createTestDatabase();
    const { cluster } = database;
    const url = `host='${cluster.folder}/socket' port=${cluster.port} user=${cluster.superuser} password='${cluster.password}' dbname=${database.name}`;
    await using session = await open(url);
    expect(await session.query("SELECT current_database()::text AS name")).toEqual([
      { name: database.name },
    ]);
  });

  test("takes nothing from the environment", async () => {
    await using database = await createTestDatabase();
    const { cluster } = database;
    process.env["PGPASSWORD"] = cluster.password;
    process.env["PGOPTIONS"] = "-c datestyle=SQL";
    try {
      const bare = `postgresql://${cluster.superuser}@127.0.0.1:${cluster.port}/${database.name}`;
      expect(await failure(open(bare))).toMatchObject({ code: "postgres.authentication_failed" });
      await using session = await open(database.url);
      expect(await session.query("SHOW datestyle")).toEqual([{ DateStyle: "ISO, YMD" }]);
    } finally {
      delete process.env["PGPASSWORD"];
      delete process.env["PGOPTIONS"];
    }
  });
});

describe("what cannot be reached", () => {
  test.for([
    ["wrong password", "authentication_failed", "auth"],
    ["no such role", "authentication_failed", "auth"],
    ["no such database", "database_not_found", "not-found"],
    ["nobody listens", "unreachable", "unavailable"],
    ["no such socket", "unreachable", "unavailable"],
    ["no TLS there", "tls_failed", "auth"],
  ] as const)("%s is postgres.%s", async ([name, code, kind]) => {
    const cluster = await sharedCluster();
    const base = `127.0.0.1:${cluster.port}`;
    const good = `${cluster.superuser}:${cluster.password}`;
    const urls: Record<typeof name, string> = {
      "wrong password": `postgresql://${cluster.superuser}:wrong@${base}/postgres`,
      "no such role": `postgresql://nobody_here:x@${base}/postgres`,
      "no such database": `postgresql://${good}@${base}/nothing_here`,
      "nobody listens": `postgresql://${good}@127.0.0.1:1/postgres`,
      "no such socket": `postgresql://${good}@%2Fnonexistent/postgres`,
      "no TLS there": `postgresql://${good}@${base}/postgres?sslmode=require`,
    };
    const error = await failure(open(urls[name]));
    expect(error).toMatchObject({ code: `postgres.${code}`, kind });
    expect(error.hint).toBeDefined();
    expect(JSON.stringify([error.message, error.subject, error.stack])).not.toContain(
      cluster.password,
    );
  });

  test("a role whose connections are used up", async () => {
    const role = await createRole("CONNECTION LIMIT 0");
    const cluster = await sharedCluster();
    expect(await failure(open(cluster.url("postgres", role)))).toMatchObject({
      code: "postgres.too_many_connections",
    });
  });

  test("a connection attempt that is called off", async () => {
    const cluster = await sharedCluster();
    const abort = new AbortController();
    const attempt = failure(open(cluster.url(), { signal: abort.signal }));
    abort.abort();
    expect(await attempt).toMatchObject({ kind: "cancelled" });
  });
});

describe("errors of statements", () => {
  test("are told apart by SQLSTATE and routine, not by text", async () => {
    await using database = await createTestDatabase({
      script: `CREATE TABLE t (a int); CREATE TABLE p (a int); ALTER TABLE p ENABLE ROW LEVEL SECURITY;
               INSERT INTO p VALUES (1)`,
    });
    const role = await createRole("");
    await database.query(`GRANT SELECT ON p TO ${role.name}`);
    const { cluster } = database;
    await using session = await open(cluster.url(database.name, role), { lockTimeoutMs: 20 });
    expect(await failure(session.query("TABLE public.t"))).toMatchObject({
      code: "postgres.permission_denied",
    });
    // The trap: with row_security on, the rows are silently gone.
    expect(
      await cluster.query("SELECT count(*) FROM p", { database: database.name, role }),
    ).toEqual([{ count: "0" }]);
    expect(await failure(session.query("TABLE public.p"))).toMatchObject({
      code: "postgres.row_security",
    });
    expect(await failure(session.query("TABLE public.nothing"))).toMatchObject({
      code: "postgres.relation_not_found",
    });
    await using other = await open(database.url);
    await other.query("BEGIN");
    await other.query("LOCK TABLE public.p");
    await session.query("BEGIN");
    expect(await failure(session.query("LOCK TABLE public.p IN ACCESS SHARE MODE"))).toMatchObject({
      code: "postgres.lock_timeout",
      kind: "locked",
    });
    await session.query("ROLLBACK");
    expect(await failure(session.query("SELECT 1 / 0"))).toMatchObject({
      code: "postgres.statement_failed",
      message: "division by zero",
    });
    expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("a session that the server ended", async () => {
    await using database = await createTestDatabase();
    await using session = await open(database.url);
    const sleeping = failure(session.query("SELECT pg_sleep(60)"));
    await database.query(`SELECT pg_terminate_backend(${session.backendPid}, 10000)`);
    expect(await sleeping).toMatchObject({ code: "postgres.connection_lost", kind: "unavailable" });
    expect(await failure(session.query("SELECT 1"))).toMatchObject({
      code: "postgres.connection_lost",
    });
  });

  test("a statement that is called off is cancelled on the server too", async () => {
    await using database = await createTestDatabase();
    await using session = await open(database.url);
    const abort = new AbortController();
    const sleeping = failure(session.query("SELECT pg_sleep(60)", [], { signal: abort.signal }));
    await running(database, "pg_sleep");
    abort.abort();
    expect(await sleeping).toMatchObject({ kind: "cancelled" });
    expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });
});

/** Until the server shows a statement with that text as running. */
async function running(
  database: { query(sql: string): Promise<Record<string, unknown>[]> },
  part: string,
): Promise<void> {
  for (;;) {
    const rows = await database.query(
      `SELECT FROM pg_stat_activity
        WHERE state = 'active' AND query LIKE '%${part}%' AND pid <> pg_backend_pid()`,
    );
    if (rows.length > 0) return;
  }
}

describe("COPY", () => {
  test("brings the rows, in large chunks, and the server's count", async () => {
    await using database = await createTestDatabase();
    await using session = await open(database.url, { readOnly: true });
    let rows = 0n;
    let chunks = 0;
    let sizeBytes = 0;
    const out = session.copyOut(
      "COPY (SELECT i, repeat('x', 90) FROM generate_series(1, 100000) i) TO STDOUT",
      { onEnd: (count) => (rows = count) },
    );
    for await (const chunk of out) {
      chunks += 1;
      sizeBytes += chunk.byteLength;
    }
    expect(rows).toBe(100_000n);
    expect(sizeBytes).toBe(100_000 * 92 + 488_895);
    expect(chunks).toBeLessThan(sizeBytes / (32 * 1024));
    expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("one value larger than every buffer", async () => {
    await using database = await createTestDatabase();
    await using session = await open(database.url, { readOnly: true });
    const value = await text(session.copyOut("COPY (SELECT repeat('y', 5000000)) TO STDOUT"));
    expect(value).toBe(`${"y".repeat(5_000_000)}\n`);
  });

  test("an error in the middle is an error, never a short result", async () => {
    await using database = await createTestDatabase();
    await using session = await open(database.url, { readOnly: true });
    let received = 0;
    const read = async (): Promise<void> => {
      const out = session.copyOut(
        "COPY (SELECT 10 / (90000 - i), repeat('x', 90) FROM generate_series(1, 100000) i) TO STDOUT",
      );
      for await (const chunk of out) received += chunk.byteLength;
    };
    expect(await failure(read())).toMatchObject({ code: "postgres.statement_failed" });
    expect(received).toBeGreaterThan(0);
    expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("the server ends the session in the middle", async () => {
    await using database = await createTestDatabase();
    await using session = await open(database.url, { readOnly: true });
    const read = async (): Promise<void> => {
      const out = session.copyOut(
        "COPY (SELECT repeat('x', 90) FROM generate_series(1, 10000000)) TO STDOUT",
      );
      for await (const chunk of out) {
        expect(chunk.byteLength).toBeGreaterThan(0);
        await database.query(`SELECT pg_terminate_backend(${session.backendPid}, 10000)`);
      }
    };
    expect(await failure(read())).toMatchObject({ code: "postgres.connection_lost" });
  });

  test("a reader that stops early leaves the session usable", async () => {
    await using database = await createTestDatabase();
    await using session = await open(database.url, { readOnly: true });
    for await (const chunk of session.copyOut(
      "COPY (SELECT repeat('x', 90) FROM generate_series(1, 10000000)) TO STDOUT",
    )) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      break;
    }
    expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("a slow reader holds the server back", async () => {
    await using database = await createTestDatabase();
    await using session = await open(database.url, { readOnly: true });
    const rows = session.copyOut(
      "COPY (SELECT repeat('x', 990) FROM generate_series(1, 200000)) TO STDOUT",
    );
    const out = rows[Symbol.asyncIterator]();
    let sizeBytes = (await out.next()).value?.byteLength ?? 0;
    for (;;) {
      const [state] = await database.query(
        `SELECT wait_event FROM pg_stat_activity WHERE pid = ${session.backendPid}`,
      );
      if (state?.["wait_event"] === "ClientWrite") break;
    }
    for (let next = await out.next(); next.done !== true; next = await out.next()) {
      sizeBytes += next.value.byteLength;
    }
    expect(sizeBytes).toBe(200_000 * 991);
  });

  test("an abort ends it on both sides", async () => {
    await using database = await createTestDatabase();
    await using session = await open(database.url, { readOnly: true });
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      const out = session.copyOut("COPY (SELECT pg_sleep(60)) TO STDOUT", { signal: abort.signal });
      for await (const chunk of out) expect(chunk).toBeUndefined();
    };
    const result = failure(read());
    await running(database, "pg_sleep");
    abort.abort();
    expect(await result).toMatchObject({ kind: "cancelled" });
    expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("a statement that is no COPY", async () => {
    await using database = await createTestDatabase();
    await using session = await open(database.url);
    expect(await failure(text(session.copyOut("SELECT 1")))).toMatchObject({
      code: "postgres.copy_incomplete",
    });
    expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("goes in as it came out", async () => {
    await using database = await createTestDatabase({
      script:
        "CREATE TABLE a AS SELECT i, md5(i::text) h FROM generate_series(1, 50000) i; CREATE TABLE b (LIKE a)",
    });
    await using reader = await open(database.url, { readOnly: true });
    await using writer = await open(database.url);
    const rows = await writer.copyIn(
      "COPY public.b FROM STDIN",
      reader.copyOut("COPY public.a TO STDOUT"),
    );
    expect(rows).toBe(50_000n);
    expect(await database.query("SELECT count(*) FROM (TABLE a EXCEPT TABLE b) d")).toEqual([
      { count: "0" },
    ]);
  });

  test("a source that throws undoes the COPY, and its own error comes out", async () => {
    await using database = await createTestDatabase({ script: "CREATE TABLE t (a int)" });
    await using session = await open(database.url);
    async function* broken(): AsyncGenerator<Bytes, void, undefined> {
      yield Buffer.from("1\n2\n");
      throw new Error("the disk is on fire");
    }
    const error = await failure(session.copyIn("COPY public.t FROM STDIN", broken()));
    expect(error.message).toContain("the disk is on fire");
    expect(await session.query("SELECT count(*) FROM public.t")).toEqual([{ count: "0" }]);
  });

  test("a row that the server refuses stops the source", async () => {
    await using database = await createTestDatabase({ script: "CREATE TABLE t (a int)" });
    await using session = await open(database.url);
    let sent = 0;
    async function* endless(): AsyncGenerator<Bytes, void, undefined> {
      for (;;) {
        sent += 1;
        yield Buffer.from("1\n".repeat(50_000) + (sent === 3 ? "x\n" : ""));
      }
    }
    const error = await failure(session.copyIn("COPY public.t FROM STDIN", endless()));
    expect(error).toMatchObject({ code: "postgres.statement_failed" });
    expect(await session.query("SELECT count(*) FROM public.t")).toEqual([{ count: "0" }]);
  });
});

describe("client programs", () => {
  test("get the password, and show it nowhere", async () => {
    await using database = await createTestDatabase();
    const role = await createRole("");
    const cluster = await sharedCluster();
    const tools = await testTools();
    const url = new Secret(cluster.url(database.name, role));
    const output = await clientProgramText(
      {
        program: tools.psql,
        args: [
          "-XAtc",
          `SELECT current_user, current_setting('timezone'), current_setting('application_name')`,
          "-c",
          String.raw`\! tr '\0' ' ' < /proc/$PPID/cmdline; tr '\0' ' ' < /proc/$PPID/environ`,
        ],
        url,
        settings: { timezone: "Asia/Tokyo" },
      },
      100_000,
    );
    expect(output.split("\n")[0]).toBe(`${role.name}|Asia/Tokyo|sparekeep psql`);
    expect(output).toContain("passfile=");
    expect(output).not.toContain("wörd");
  });

  test("an end other than 0 is an error with what it said", async () => {
    await using database = await createTestDatabase();
    const tools = await testTools();
    const url = new Secret(database.url);
    const error = await failure(
      clientProgramText({ program: tools.pgDump, args: ["--table=nothing_there"], url }, 1_000_000),
    );
    expect(error).toMatchObject({ code: "postgres.program_failed", subject: { exitCode: 1 } });
    expect(error.message).toContain("no matching tables were found");
  });

  test("an abort ends it before this returns", async () => {
    await using database = await createTestDatabase();
    const tools = await testTools();
    const abort = new AbortController();
    const url = new Secret(database.url);
    const work = failure(
      clientProgramText(
        { program: tools.psql, args: ["-Xc", "SELECT pg_sleep(60)"], url, signal: abort.signal },
        1000,
      ),
    );
    await running(database, "pg_sleep");
    abort.abort();
    expect(await work).toMatchObject({ kind: "cancelled" });
    await database.query(
      "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()",
    );
  });

  test("a consumer that stops early ends it", async () => {
    await using database = await createTestDatabase();
    const tools = await testTools();
    const args = ["-XAtc", "SELECT repeat('x', 1000) FROM generate_series(1, 100000)"];
    const url = new Secret(database.url);
    for await (const chunk of runClientProgram({ program: tools.psql, args, url })) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      break;
    }
  });
});

test("a stopped server is one clear error, and nothing hangs", async () => {
  await using cluster = await startCluster();
  await using session = await open(cluster.url());
  const read = failure(
    text(session.copyOut("COPY (SELECT i FROM generate_series(1, 100000000) i) TO STDOUT")),
  );
  await running({ query: (sql) => cluster.query(sql) }, "generate_series");
  await cluster.stop("immediate");
  expect(await read).toMatchObject({ code: "postgres.connection_lost" });
  expect(await failure(open(cluster.url()))).toMatchObject({ code: "postgres.unreachable" });
});
