import { createHash } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { createRowHasher } from "../../src/manifest/index.ts";
import type { TableManifest } from "../../src/manifest/index.ts";
import { clientProgramText } from "../../src/postgres/index.ts";
import type { CaptureProgress, CaptureResult } from "../../src/source/index.ts";
import { ROW_HASH_KEY, captureToMemory, testTools } from "../support/capture.ts";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

function table(capture: CaptureResult, name: string): TableManifest {
  const found = capture.database.tables.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no table ${name} in the manifest`);
  return found;
}

describe("a whole database", () => {
  test("rows, schema, sequences and identity under one snapshot", async () => {
    await using database = await createTestDatabase({
      script: `
        CREATE TABLE parts (id bigserial PRIMARY KEY, name text, price numeric, added timestamptz);
        INSERT INTO parts (name, price, added)
          SELECT 'part ' || i, i * 1.5, '2026-11-03 10:00+00' FROM generate_series(1, 1000) i;
        CREATE TABLE empty (a int);
        CREATE SEQUENCE fresh START -5 INCREMENT -1`,
    });
    await database.query(`ALTER DATABASE ${database.name} SET work_mem = '8MB'`);
    await database.query(`COMMENT ON DATABASE ${database.name} IS 'the app'`);
    const capture = await captureToMemory(database.url);
    expect(capture.issues).toEqual([]);
    expect(table(capture, "parts")).toMatchObject({
      rows: "1000",
      format: "text",
      schema: "public",
      unlogged: false,
      columns: [
        { name: "id", type: "bigint" },
        { name: "name", type: "text" },
        { name: "price", type: "numeric" },
        { name: "added", type: "timestamp with time zone" },
      ],
    });
    expect(table(capture, "empty")).toMatchObject({
      rows: "0",
      rowHash: "0".repeat(64),
      parts: [],
    });
    expect((await capture.table("parts")).split("\n")[0]).toBe(
      "1\tpart 1\t1.5\t2026-11-03 10:00:00+00",
    );
    expect(capture.database.sequences).toEqual([
      { schema: "public", name: "fresh", lastValue: "-5", isCalled: false },
      { schema: "public", name: "parts_id_seq", lastValue: "1000", isCalled: true },
    ]);
    const { server, snapshot } = capture.database;
    expect(server).toMatchObject({
      encoding: "UTF8",
      databaseName: database.name,
      localeProvider: "libc",
      settings: ["work_mem=8MB"],
      comment: "the app",
      owner: database.cluster.superuser,
    });
    expect(server.systemIdentifier).toMatch(/^\d{15,20}$/);
    expect(snapshot.pgSnapshot).toMatch(/^\d+:\d+:/);
    expect(snapshot.insertLsnAfter).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    expect(capture.database.clientTools.pgDump).toMatch(/^pg_dump \(PostgreSQL\) 1\d/);
  });

  test("the schema is an archive that pg_restore reads to its end", async () => {
    await using database = await createTestDatabase({
      script: "CREATE TABLE parts (id int PRIMARY KEY); CREATE VIEW v AS SELECT id FROM parts",
    });
    const capture = await captureToMemory(database.url);
    const archive = await capture.read(capture.database.schema.path);
    expect(createHash("sha256").update(archive).digest("hex")).toBe(capture.database.schema.sha256);
    async function* stdin(): AsyncGenerator<Uint8Array, void, undefined> {
      yield archive;
    }
    const tools = await testTools();
    const sql = await clientProgramText(
      { program: tools.pgRestore, args: ["-f", "-"], stdin: stdin() },
      1_000_000,
    );
    expect(sql).toContain("CREATE TABLE public.parts");
    expect(sql).toContain("CREATE VIEW public.v");
    expect(sql).not.toContain("COPY public.parts");
  });

  test("what the manifest says is what the snapshot holds", async () => {
    await using database = await createTestDatabase({
      script: `CREATE TABLE a AS SELECT i, md5(i::text) AS h FROM generate_series(1, 5000) i;
               CREATE TABLE b AS SELECT NULL::text AS n, E'tab\\there\\nand line' AS t FROM generate_series(1, 3)`,
    });
    const capture = await captureToMemory(database.url);
    for (const one of capture.database.tables) {
      for (const part of one.parts) {
        const bytes = await capture.read(part.path);
        const hasher = createRowHasher(ROW_HASH_KEY, one.format);
        hasher.update(bytes);
        expect(bytes.byteLength).toBe(part.sizeBytes);
        expect(createHash("sha256").update(bytes).digest("hex")).toBe(part.sha256);
        expect(hasher.finish()).toEqual({ rows: BigInt(part.rows), hash: part.rowHash });
      }
    }
    expect(await capture.table("b")).toBe("\\N\ttab\\there\\nand line\n".repeat(3));
  });

  test("roles, memberships and settings; passwords nowhere", async () => {
    const cluster = await sharedCluster();
    await using database = await createTestDatabase();
    const [owner, member] = [`owner_${process.pid}`, `member_${process.pid}`];
    await cluster.psql(`
      CREATE ROLE ${owner} NOLOGIN CREATEDB;
      CREATE ROLE ${member} LOGIN PASSWORD 'never-to-be-seen' CONNECTION LIMIT 3 VALID UNTIL '2031-01-01';
      GRANT ${owner} TO ${member} WITH ADMIN OPTION;
      GRANT pg_read_all_data TO ${member};
      ALTER ROLE ${member} SET search_path = app, public;
      ALTER ROLE ${member} IN DATABASE ${database.name} SET work_mem = '1MB';
      ALTER ROLE ${member} IN DATABASE postgres SET work_mem = '2MB';
      COMMENT ON ROLE ${member} IS 'a person';`);
    const capture = await captureToMemory(database.url);
    const role = capture.database.roles.find((one) => one.name === member);
    expect(role).toMatchObject({
      canLogin: true,
      superuser: false,
      connectionLimit: 3,
      validUntil: "2031-01-01 00:00:00+00",
      comment: "a person",
      settings: [
        { setting: "search_path=app, public" },
        { database: database.name, setting: "work_mem=1MB" },
      ],
      memberOf: [
        { role: owner, adminOption: true, grantor: cluster.superuser },
        { role: "pg_read_all_data", adminOption: false },
      ],
    });
    expect(capture.database.roles.find((one) => one.name === owner)).toMatchObject({
      canLogin: false,
      createDb: true,
    });
    const everything =
      JSON.stringify(capture.database) + String(await capture.read("database/schema.dump"));
    expect(everything).not.toContain("never-to-be-seen");
    expect(everything).not.toContain("SCRAM-SHA-256$");
    expect(capture.database.leftOut.map((one) => one.object)).toContain("role passwords");
  });

  test("progress only ever grows, and ends with everything", async () => {
    await using database = await createTestDatabase({
      script: `CREATE TABLE a AS SELECT i FROM generate_series(1, 5000) i; CREATE TABLE b (a int)`,
    });
    const seen: CaptureProgress[] = [];
    const capture = await captureToMemory(database.url, {
      onProgress: (progress) => seen.push(progress),
    });
    const steps = [...new Set(seen.map((one) => one.step))];
    expect(steps).toEqual(["connect", "schema", "tables", "large-objects", "finish"]);
    expect(seen.map((one) => one.doneBytes)).toEqual(
      seen.map((one) => one.doneBytes).toSorted((a, b) => a - b),
    );
    const sizeBytes = capture.database.tables
      .flatMap((one) => one.parts)
      .map((one) => one.sizeBytes);
    expect(seen.at(-1)).toMatchObject({
      tablesDone: 2,
      tablesTotal: 2,
      rows: 5000n,
      doneBytes: sizeBytes.reduce((sum, one) => sum + one, 0),
    });
  });
});

describe("kinds of tables", () => {
  test("partitions by their leaves, children by themselves, parents without children's rows", async () => {
    await using database = await createTestDatabase({
      script: `
        CREATE TABLE orders (id int, day date) PARTITION BY RANGE (day);
        CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')
          PARTITION BY LIST (id);
        CREATE TABLE orders_2_a PARTITION OF orders_2 DEFAULT;
        INSERT INTO orders VALUES (1, '2026-01-05'), (2, '2026-02-05'), (3, '2026-02-06');
        CREATE TABLE animal (name text);
        CREATE TABLE cat (lives int) INHERITS (animal);
        INSERT INTO animal VALUES ('some'); INSERT INTO cat VALUES ('tom', 9);`,
    });
    const capture = await captureToMemory(database.url, { splitBytes: 1 });
    expect(capture.issues).toEqual([]);
    const rows = capture.database.tables.map((one) => `${one.name} ${one.rows}`);
    expect(rows.toSorted()).toEqual(["animal 1", "cat 1", "orders_1 1", "orders_2_a 2"]);
  });

  test("generated columns are computed again; identity columns are values", async () => {
    await using database = await createTestDatabase({
      script: `
        CREATE TABLE g (id int GENERATED ALWAYS AS IDENTITY, a int,
                        twice int GENERATED ALWAYS AS (a * 2) STORED, "B c" text);
        INSERT INTO g (a, "B c") VALUES (1, 'x'), (2, 'y');
        ALTER TABLE g DROP COLUMN a CASCADE; ALTER TABLE g ADD COLUMN a int DEFAULT 5;
        CREATE TABLE only_generated (v int GENERATED ALWAYS AS (1) STORED);
        INSERT INTO only_generated DEFAULT VALUES; INSERT INTO only_generated DEFAULT VALUES;`,
    });
    const capture = await captureToMemory(database.url);
    expect(capture.issues).toEqual([]);
    expect(table(capture, "g").columns.map((one) => one.name)).toEqual(["id", "B c", "a"]);
    expect(await capture.table("g")).toBe("1\tx\t5\n2\ty\t5\n");
    expect(table(capture, "only_generated")).toMatchObject({ rows: "2", columns: [] });
    expect(await capture.table("only_generated")).toBe("\n\n");
  });

  test("no columns, odd names, unlogged; temporary ones are not ours", async () => {
    await using database = await createTestDatabase({
      script: `
        CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
        CREATE SCHEMA "Odd / schema";
        CREATE TABLE "Odd / schema"."a ""quoted"" \\ 'name'" ("select" int, "ü.ñ" text);
        INSERT INTO "Odd / schema"."a ""quoted"" \\ 'name'" VALUES (1, 'é');
        CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS a;
        CREATE TEMPORARY TABLE private (a int);`,
    });
    const capture = await captureToMemory(database.url);
    expect(capture.issues).toEqual([]);
    expect(table(capture, "nothing")).toMatchObject({ rows: "2", columns: [] });
    expect(await capture.table("nothing")).toBe("\n\n");
    const odd = `a "quoted" \\ 'name'`;
    expect(table(capture, odd)).toMatchObject({ schema: "Odd / schema", rows: "1" });
    expect(await capture.table(odd)).toBe("1\té\n");
    expect(table(capture, "fleeting")).toMatchObject({ unlogged: true, rows: "1" });
    expect(capture.database.tables.map((one) => one.name)).not.toContain("private");
  });

  test("foreign tables and an extension's own tables are left out, and that is said", async () => {
    await using database = await createTestDatabase({
      script: `
        CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
        CREATE FOREIGN TABLE remote (a int) SERVER far;
        CREATE TABLE ext_internal AS SELECT 1 AS a;
        CREATE TABLE ext_config AS SELECT i AS a FROM generate_series(1, 20) i;
        ALTER EXTENSION plpgsql ADD TABLE ext_internal;
        ALTER EXTENSION plpgsql ADD TABLE ext_config;
        UPDATE pg_extension SET extconfig = ARRAY['ext_config'::regclass::oid],
               extcondition = ARRAY['WHERE a > 15'] WHERE extname = 'plpgsql';`,
    });
    const capture = await captureToMemory(database.url, { splitBytes: 1 });
    expect(capture.issues).toEqual([]);
    expect(capture.database.tables.map((one) => one.name)).toEqual(["ext_config"]);
    expect(table(capture, "ext_config")).toMatchObject({ rows: "5", condition: "WHERE a > 15" });
    const leftOut = new Map(capture.database.leftOut.map((one) => [one.object, one.reason]));
    expect(leftOut.get("public.remote")).toContain("foreign table");
    expect(leftOut.get("public.ext_internal")).toContain("extension plpgsql");
  });

  test("what pg_dump leaves out by itself, and what belongs to the whole server, is said too", async () => {
    await using database = await createTestDatabase({
      script: `CREATE SUBSCRIPTION far CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p
                 WITH (connect = false)`,
    });
    const role = { name: `reader_${process.pid}`, password: "secret" };
    await database.psql(`CREATE ROLE ${role.name} LOGIN PASSWORD 'secret' IN ROLE pg_read_all_data;
      GRANT SET ON PARAMETER log_min_duration_statement TO ${role.name}`);
    try {
      const capture = await captureToMemory(database.cluster.url(database.name, role));
      const leftOut = new Map(capture.database.leftOut.map((one) => [one.object, one.reason]));
      expect(leftOut.get("schema")).toContain("subscriptions not dumped");
      expect(leftOut.get("rights on the parameter log_min_duration_statement")).toBeDefined();
    } finally {
      await database.psql(
        "ALTER SUBSCRIPTION far DISABLE; ALTER SUBSCRIPTION far SET (slot_name = NONE); DROP SUBSCRIPTION far",
      );
    }
  });

  test("materialised views in the order that they are refreshed in", async () => {
    await using database = await createTestDatabase({
      script: `
        CREATE TABLE t AS SELECT 1 AS a;
        CREATE MATERIALIZED VIEW z_first AS SELECT a FROM t;
        CREATE VIEW between_them AS SELECT a FROM z_first;
        CREATE MATERIALIZED VIEW a_second AS SELECT a FROM between_them WITH NO DATA;`,
    });
    const capture = await captureToMemory(database.url);
    expect(capture.database.materializedViews).toEqual([
      { schema: "public", name: "a_second", populated: false, order: 1 },
      { schema: "public", name: "z_first", populated: true, order: 0 },
    ]);
  });

  test("large objects, each a file", async () => {
    await using database = await createTestDatabase({
      script: `SELECT lo_from_bytea(5001, 'hello'); SELECT lo_from_bytea(5002, '');
               SELECT lo_from_bytea(5003, decode(repeat('00ff', 1048576), 'hex'));
               CREATE ROLE lo_reader_${process.pid}; GRANT SELECT ON LARGE OBJECT 5001 TO lo_reader_${process.pid}`,
    });
    const capture = await captureToMemory(database.url);
    const { largeObjects } = capture.database;
    expect(largeObjects).toMatchObject([
      { oid: 5001, sizeBytes: 5, owner: database.cluster.superuser },
      { oid: 5002, sizeBytes: 0 },
      { oid: 5003, sizeBytes: 2_097_152 },
    ]);
    expect(largeObjects[0]?.acl).toContain(`lo_reader_${process.pid}=r`);
    expect(String(await capture.read("database/large-objects/5001"))).toBe("hello");
    expect((await capture.read("database/large-objects/5003")).subarray(0, 4)).toEqual(
      Buffer.from([0, 255, 0, 255]),
    );
  });
});

describe("splitting by ctid", () => {
  test("the parts are the table: every row once, hashes that add up", async () => {
    await using database = await createTestDatabase({
      script: `CREATE TABLE big AS SELECT i, repeat(md5(i::text), 8) AS v FROM generate_series(1, 20000) i;
               DELETE FROM big WHERE i BETWEEN 5000 AND 12000`,
    });
    const split = await captureToMemory(database.url, { splitBytes: 512 * 1024, connections: 3 });
    const whole = await captureToMemory(database.url);
    expect(table(split, "big").parts.length).toBeGreaterThan(5);
    expect(table(whole, "big").parts.length).toBe(1);
    expect(await split.table("big")).toBe(await whole.table("big"));
    expect(table(split, "big").rowHash).toBe(table(whole, "big").rowHash);
    expect(table(split, "big").rows).toBe("12999");
  });

  test("rows added while the parts are read are in none of them", async () => {
    await using database = await createTestDatabase({
      script:
        "CREATE TABLE big AS SELECT i, repeat(md5(i::text), 8) AS v FROM generate_series(1, 10000) i",
    });
    let added = false;
    const capture = await captureToMemory(database.url, {
      splitBytes: 512 * 1024,
      connections: 1,
      hooks: {
        afterFile: async (path) => {
          if (added || !path.includes("big")) return;
          added = true;
          await database.query(
            "INSERT INTO big SELECT i, repeat(md5(i::text), 8) FROM generate_series(10001, 20000) i",
          );
        },
      },
    });
    expect(capture.issues).toEqual([]);
    expect(table(capture, "big").rows).toBe("10000");
  });
});
