import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLog, systemClock } from "../../src/kernel/index.ts";
import { roleSql } from "../../src/operation/index.ts";
import type { OperationContext } from "../../src/operation/index.ts";
import { captureToMemory } from "../support/capture.ts";
import type { TestCapture } from "../support/capture.ts";
import { startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import { fillProject, startSupabaseProject } from "../support/supabase/project.ts";
import type { SupabaseProject } from "../support/supabase/project.ts";

const READER = { name: 'Reader "of" backups', password: "of the reader" };
const QUOTED = `"Reader ""of"" backups"`;

function sqlFor(url: string): Promise<string> {
  const context: OperationContext = {
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: () => url,
    toolDirectories: [],
    stateDirectory: "",
    version: "0.0.0-test",
  };
  return roleSql(context, { connection: { env: "URL" }, role: READER.name });
}

/** Every table with its count and the hash of its rows, and what hangs on them. */
function contentOf({ database }: TestCapture): Record<string, unknown> {
  const tables = database.tables.map(({ schema, name, rows, rowHash }) => [
    `${schema}.${name}`,
    rows,
    rowHash,
  ]);
  return { tables, sequences: database.sequences, largeObjects: database.largeObjects };
}

const SCRIPT = `
  CREATE SCHEMA sales; CREATE TABLE sales.orders (id serial PRIMARY KEY, total numeric);
  INSERT INTO sales.orders (total) SELECT g FROM generate_series(1, 500) g;
  CREATE TABLE hidden (who text, what text); INSERT INTO hidden VALUES ('a', 'b'), ('c', 'd');
  ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; ALTER TABLE hidden FORCE ROW LEVEL SECURITY;
  CREATE MATERIALIZED VIEW sums AS SELECT sum(total) AS sum FROM sales.orders;
  CREATE SEQUENCE numbers; SELECT nextval('numbers');
  SELECT lo_from_bytea(9001, 'a large object');
  CREATE FUNCTION public.add_order() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO sales.orders (total) VALUES (1)';
  CREATE FUNCTION add_plainly() RETURNS void LANGUAGE sql AS 'INSERT INTO sales.orders (total) VALUES (1)';`;

describe("on PostgreSQL", () => {
  let cluster: Cluster;
  let sql: string;
  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.createDatabase("shop");
    await cluster.psql(SCRIPT, "shop");
    sql = await sqlFor(cluster.url("shop"));
    await cluster.psql(sql, "shop");
    await cluster.psql(`ALTER ROLE ${QUOTED} PASSWORD '${READER.password}'`, "shop");
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test("the role reads what its owner reads: same tables, counts, hashes, sequences, large objects", async () => {
    const owners = await captureToMemory(cluster.url("shop"));
    const readers = await captureToMemory(cluster.url("shop", READER));
    expect(readers.issues).toEqual([]);
    expect(contentOf(readers)).toEqual(contentOf(owners));
    expect(owners.database.tables.map(({ name, rows }) => [name, rows])).toEqual(
      expect.arrayContaining([
        ["orders", "500"],
        ["hidden", "2"],
      ]),
    );
  });

  test("a table that comes later is read too", async () => {
    await cluster.psql("CREATE TABLE later (id int); INSERT INTO later VALUES (1)", "shop");
    const { issues, database } = await captureToMemory(cluster.url("shop", READER));
    expect(issues).toEqual([]);
    expect(database.tables.find(({ name }) => name === "later")?.rows).toBe("1");
  });

  test("and the same through a pooler in session mode", async () => {
    await using bouncer = await startPgBouncer(cluster, { mode: "session", users: [READER] });
    const through = await captureToMemory(bouncer.url("shop", READER));
    expect(through.issues).toEqual([]);
    expect(contentOf(through)).toEqual(contentOf(await captureToMemory(cluster.url("shop"))));
  });

  const CHANGES = [
    "INSERT INTO sales.orders (total) VALUES (1)",
    "UPDATE sales.orders SET total = 0",
    "DELETE FROM sales.orders",
    "TRUNCATE sales.orders",
    "SELECT * FROM sales.orders FOR UPDATE",
    "CREATE TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE ROLE mine",
    "ALTER TABLE sales.orders ADD COLUMN mine int",
    "DROP TABLE sales.orders",
    "REFRESH MATERIALIZED VIEW sums",
    "SELECT setval('numbers', 1)",
    "SELECT nextval('numbers')",
    "SELECT lo_put(9001, 0, 'mine')",
    "SELECT lo_unlink(9001)",
    "SELECT add_plainly()",
    "COPY sales.orders FROM PROGRAM 'echo 1'",
    "SELECT pg_read_file('/etc/passwd')",
    "ALTER SYSTEM SET work_mem = '1MB'",
  ];

  test.for(CHANGES)("it is refused to %s, and by its rights alone", async (statement) => {
    const before = await stateOf(cluster);
    await expect(cluster.query(statement, { database: "shop", role: READER })).rejects.toThrow(
      /read-only transaction|permission denied|must be (?:owner|superuser)|must be a superuser/,
    );
    // It can switch the fence off for itself: what is left are its rights.
    const free = `BEGIN; SET TRANSACTION READ WRITE; ${statement}; COMMIT`;
    const outside = /^(?:ALTER SYSTEM)/.test(statement) ? statement : free;
    await expect(cluster.query(outside, { database: "shop", role: READER })).rejects.toThrow(
      /permission denied|must be (?:owner|superuser)|must be a superuser/,
    );
    expect(await stateOf(cluster)).toEqual(before);
  });

  test("a function that writes as its owner is refused by the fence, and named in the SQL", async () => {
    await expect(
      cluster.query("SELECT add_order()", { database: "shop", role: READER }),
    ).rejects.toThrow("read-only transaction");
    expect(sql).toContain("-- REVOKE EXECUTE ON FUNCTION public.add_order() FROM PUBLIC;");
    expect(sql).toContain("-- REVOKE TEMPORARY ON DATABASE shop FROM PUBLIC;");
    expect(sql).toContain("every role may create large objects of its own");
    expect(sql).not.toMatch(/^REVOKE/m);
  });
});

async function stateOf(cluster: Cluster): Promise<unknown> {
  return cluster.query(
    `SELECT (SELECT count(*) FROM sales.orders), (SELECT sum(total) FROM sales.orders), (SELECT last_value FROM numbers),
            encode(lo_get(9001), 'escape') AS object, (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_namespace)`,
    { database: "shop" },
  );
}

async function warningsOf(url: string, sql: string): Promise<readonly string[]> {
  const client = new Client(url);
  const warnings: string[] = [];
  client.on("notice", ({ message }) => warnings.push(message ?? ""));
  await client.connect();
  await client.query(sql);
  await client.end();
  return warnings;
}

describe("on a Supabase project, run by postgres", () => {
  let project: SupabaseProject;
  let url: string;
  let warnings: readonly string[];
  beforeAll(async () => {
    project = await startSupabaseProject();
    await fillProject(project);
    const sql = await sqlFor(project.url);
    expect(sql).toContain("For Supabase, PostgreSQL 15. Run it as postgres");
    warnings = await warningsOf(project.url, sql);
    await project.query(`ALTER ROLE ${QUOTED} PASSWORD '${READER.password}'`);
    url = project.cluster.url("postgres", READER);
  });
  afterAll(() => project[Symbol.asyncDispose]());

  test("what it cannot read without BYPASSRLS is an issue of each backup, table by table", async () => {
    const secured = await project.query<{ name: string }>(
      `SELECT format('%I.%I', relnamespace::regnamespace, relname) AS name FROM pg_class
        WHERE relrowsecurity AND relkind = 'r' AND relnamespace::regnamespace::text IN ('auth', 'storage', 'public')
        ORDER BY 1`,
    );
    expect(warnings).toContainEqual(expect.stringMatching(/^BYPASSRLS is not given/));
    for (const { name } of secured)
      expect(warnings).toContain(`${name}: rows hidden by row-level security`);
    const { issues } = await captureToMemory(url);
    const named = issues.map(({ object }) => object);
    expect(secured.length).toBeGreaterThan(3);
    for (const { name } of secured) expect(named).toContain(name);
  });

  test("with it, which the platform lets postgres give, it reads all that postgres reads and more", async () => {
    await project.psql(`ALTER ROLE ${QUOTED} BYPASSRLS`);
    const readers = await captureToMemory(url);
    const owners = await captureToMemory(project.url);
    expect(readers.issues).toEqual([]);
    const [all, some] = [contentOf(readers)["tables"], contentOf(owners)["tables"]];
    expect(all).toEqual(expect.arrayContaining(some as unknown[]));
    expect(readers.database.tables.map(({ schema }) => schema)).toEqual(
      expect.arrayContaining(["auth", "storage", "public"]),
    );
  });

  test.for([
    "INSERT INTO auth.users (id) VALUES (gen_random_uuid())",
    "UPDATE storage.objects SET name = 'mine'",
    "DELETE FROM auth.identities",
    "CREATE TABLE public.mine (id int)",
  ])("it is refused to %s", async (statement) => {
    const free = `BEGIN; SET TRANSACTION READ WRITE; ${statement}; COMMIT`;
    const role = { database: "postgres", role: READER };
    await expect(project.cluster.query(statement, role)).rejects.toThrow(
      /read-only transaction|permission denied/,
    );
    await expect(project.cluster.query(free, role)).rejects.toThrow("permission denied");
  });
});
