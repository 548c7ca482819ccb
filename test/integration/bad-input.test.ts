import { rm } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { planRestore } from "../../src/restore/index.ts";
import type { RestoreOptions, RestoreResult } from "../../src/restore/index.ts";
import { captureToMemory } from "../support/capture.ts";
import { createTestDatabase, startCluster } from "../support/cluster.ts";
import type { Cluster, TestDatabase } from "../support/cluster.ts";
import { differencesBetween } from "../support/compare.ts";
import { runRestoreScript, writeSnapshotFolder } from "../support/recovered-folder.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";

interface Back {
  readonly result: RestoreResult;
  readonly differences: readonly string[];
}

/** The one shared source server and a target of the test's own. */
async function thereAndBack(
  source: TestDatabase,
  target: Cluster,
  more: Partial<RestoreOptions> = {},
): Promise<Back> {
  const made = await captureForRestore(source.url);
  const plan = await planRestore(restoreOptions(made, target.url("back"), more));
  const result = await plan.execute();
  const found = await differencesBetween(
    { url: source.url, ignoreRoles: [source.cluster.superuser, target.superuser] },
    { url: target.url("back"), ignoreRoles: [source.cluster.superuser, target.superuser] },
  );
  return { result, differences: found.filter((one) => !one.startsWith("role ")) };
}

function named(result: RestoreResult): string[] {
  return issuesOf(result, (code) => code !== "catalog_differs");
}

/** What the comparison of definitions found, as a check on the issues before it. */
function other(result: RestoreResult): string[] {
  return issuesOf(result, (code) => code === "catalog_differs");
}

function issuesOf(result: RestoreResult, which: (code: string) => boolean): string[] {
  return result.issues
    .filter(({ code }) => which(code))
    .map(({ code, object }) => `${code} ${object}`);
}

describe("damage that a source may carry", () => {
  test("a sequence whose value is out of its range is named, and the rest comes back", async () => {
    await using source = await createTestDatabase({
      script: `CREATE SEQUENCE numbers; SELECT setval('numbers', 50);
        UPDATE pg_sequence SET seqmax = 10 WHERE seqrelid = 'numbers'::regclass;
        CREATE SEQUENCE well; SELECT setval('well', 9); CREATE TABLE t AS SELECT 1 AS a;`,
    });
    await using target = await startCluster();
    const { result, differences } = await thereAndBack(source, target);
    expect(named(result)).toEqual(["sequence_failed SEQUENCE public.numbers"]);
    expect(other(result)).toEqual([]);
    expect(differences).toEqual([
      "sequence value public.numbers: value: 50 became 1, not yet used",
    ]);
  });

  test("an invalid index is left out, and that is said", async () => {
    await using source = await createTestDatabase({
      script: "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)",
    });
    const unique = "CREATE UNIQUE INDEX CONCURRENTLY half_built ON t (a)";
    await expect(source.query(unique)).rejects.toThrow("could not create unique index");
    const { database, issues } = await captureToMemory(source.url);
    expect(issues).toEqual([]);
    expect(database.leftOut).toContainEqual({
      object: "index public.half_built",
      reason: "invalid: its CREATE INDEX CONCURRENTLY did not end well; create it again or drop it",
    });
    await using target = await startCluster();
    const { result, differences } = await thereAndBack(source, target);
    expect(result.issues).toEqual([]);
    expect(differences).toEqual(["index public.half_built: exists: present became missing"]);
  });

  test("a materialised view whose query fails is empty and named; so is what reads it", async () => {
    await using source = await createTestDatabase({
      script: `CREATE TABLE t AS SELECT 1 AS a;
        CREATE MATERIALIZED VIEW broken AS SELECT 1 / a AS b FROM t; CREATE MATERIALIZED VIEW on_broken AS SELECT * FROM broken;
        CREATE MATERIALIZED VIEW well AS SELECT a FROM t; UPDATE t SET a = 0;`,
    });
    await using target = await startCluster();
    const { result } = await thereAndBack(source, target);
    expect(named(result)).toEqual([
      "view_not_refreshed MATERIALIZED VIEW public.broken",
      "view_not_refreshed MATERIALIZED VIEW public.on_broken",
    ]);
    expect(result.issues[0]?.message).toContain("division by zero");
    expect(await target.query("SELECT * FROM well", { database: "back" })).toEqual([{ a: 0 }]);
  });
});

describe("more tables than the server has room for locks", () => {
  test("are an error that names the setting, and nothing is stored", async () => {
    await using cluster = await startCluster({
      settings: { max_connections: "10", max_locks_per_transaction: "10", max_wal_senders: "2" },
    });
    const tables =
      "SELECT format('CREATE TABLE t_%s ()', i) FROM generate_series(1, 1500) AS i \\gexec";
    await cluster.psql(tables, "postgres");
    await expect(captureForRestore(cluster.url())).rejects.toMatchObject({
      code: "postgres.program_failed",
      hint: expect.stringContaining("Raise max_locks_per_transaction"),
    });
  });
});

describe("a table made while the capture runs", () => {
  const MADE = "CREATE TABLE made_late AS SELECT 1 AS a; CREATE INDEX ON made_late (a)";

  test.for([
    ["before pg_dump", "beforeFile"],
    ["after it", "afterFile"],
  ] as const)("%s is in no part of the point", async ([, hook]) => {
    await using source = await createTestDatabase({ script: "CREATE TABLE t AS SELECT 1 AS a" });
    let made = false;
    const make = async (path: string): Promise<void> => {
      if (made || path !== "database/schema.dump") return;
      made = true;
      await source.psql(MADE);
    };
    const capture = await captureToMemory(source.url, { hooks: { [hook]: make } });
    expect(made).toBe(true);
    expect(capture.issues).toEqual([]);
    expect(capture.database.tables.map(({ name }) => name)).toEqual(["t"]);
    for (const path of ["database/schema.dump", "database/catalog.facts"])
      expect(`${path} ${(await capture.read(path)).includes("made_late")}`).toBe(`${path} false`);
  });
});

describe("encodings other than UTF-8", () => {
  const ENCODINGS = [
    ["LATIN1", "C", "'é ß ÿ'"],
    ["WIN1252", "C", "'€ “ž”'"],
    ["EUC_JP", "C", "'日本 カナ'"],
    ["KOI8R", "C", "'деталь'"],
  ] as const;

  test.for(ENCODINGS)(
    "%s comes back in that encoding, names included",
    async ([name, locale, text]) => {
      await using sourceCluster = await startCluster();
      await sourceCluster.query(
        `CREATE DATABASE odd ENCODING ${name} LC_COLLATE '${locale}' LC_CTYPE '${locale}' TEMPLATE template0`,
      );
      const column = text.slice(1, 3).trim();
      await sourceCluster.query(
        `CREATE TABLE "${column}" ("c ${column}" text DEFAULT ${text}); INSERT INTO "${column}" VALUES (${text}), (NULL), (E'\\t\\\\')`,
        { database: "odd" },
      );
      await using target = await startCluster();
      const made = await captureForRestore(sourceCluster.url("odd"));
      const result = await (await planRestore(restoreOptions(made, target.url("back")))).execute();
      expect(result.issues).toEqual([]);
      expect(made.manifest.database.server.encoding).toBe(name);
      const ignoreRoles = [sourceCluster.superuser, target.superuser];
      expect(
        await differencesBetween(
          { url: sourceCluster.url("odd"), ignoreRoles },
          { url: target.url("back"), ignoreRoles },
        ),
      ).toEqual([]);
    },
  );

  test("SQL_ASCII comes back byte for byte, whatever the bytes are", async () => {
    await using sourceCluster = await startCluster();
    await sourceCluster.query("CREATE DATABASE odd ENCODING SQL_ASCII TEMPLATE template0");
    await sourceCluster.psql(
      String.raw`SET client_encoding = 'SQL_ASCII'; CREATE TABLE t (id int, v text); INSERT INTO t VALUES (1, E'caf\351'), (2, E'caf\303\251'), (3, E'\200\377');`,
      "odd",
    );
    await using target = await startCluster();
    const made = await captureForRestore(sourceCluster.url("odd"));
    const result = await (await planRestore(restoreOptions(made, target.url("back")))).execute();
    expect(result.issues).toEqual([]);
    const bytes = "SELECT id, encode(convert_to(v, 'SQL_ASCII'), 'hex') AS v FROM t ORDER BY id";
    const before = await sourceCluster.query(bytes, { database: "odd" });
    expect(before).toEqual([
      { id: 1, v: "636166e9" },
      { id: 2, v: "636166c3a9" },
      { id: 3, v: "80ff" },
    ]);
    expect(await target.query(bytes, { database: "back" })).toEqual(before);
    const folder = await writeSnapshotFolder(made);
    await using other = await startCluster();
    await other.query("CREATE DATABASE scripted ENCODING SQL_ASCII TEMPLATE template0");
    expect(runRestoreScript(folder, other, "scripted")).toMatchObject({ status: 0 });
    expect(await other.query(bytes, { database: "scripted" })).toEqual(before);
    await rm(folder, { recursive: true });
  });
});

describe("what is odd about foreign data", () => {
  const foreign = (owner: string): string => `CREATE EXTENSION postgres_fdw; CREATE ROLE ${owner};
    GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO ${owner}; GRANT CREATE ON SCHEMA public TO ${owner}; SET ROLE ${owner};
    CREATE SERVER nowhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'x', host '127.0.0.1', port '1');
    CREATE FOREIGN TABLE far (id int OPTIONS (column_name 'far id'), v text) SERVER nowhere OPTIONS (schema_name 'it''s');
    CREATE MATERIALIZED VIEW of_far AS SELECT * FROM far WITH NO DATA;
    CREATE VIEW near AS SELECT id FROM far; CREATE TABLE t AS SELECT 1 AS a;`;

  test.for([
    ["far_owner_one", false],
    ["far_owner_two", true],
  ] as const)(
    "what reaches another server stays out with all that stands on it, a filled view too, and is named (%s, trusted: %s)",
    async ([owner, trustSource]) => {
      await using source = await createTestDatabase({ script: foreign(owner) });
      await source.query(
        "UPDATE pg_class SET relispopulated = true WHERE oid = 'of_far'::regclass",
      );
      await using target = await startCluster();
      const { result } = await thereAndBack(source, target, { trustSource });
      expect(result.issues).toEqual([]);
      expect(result.withheld.map(({ object }) => object)).toEqual(
        expect.arrayContaining([
          "EXTENSION postgres_fdw",
          "SERVER nowhere",
          "FOREIGN TABLE public.far",
          "VIEW public.near",
          "MATERIALIZED VIEW public.of_far",
        ]),
      );
      expect(result.catalog.counts.ours).toBe(0);
      const left = result.catalog.differences.filter((one) => one.class === "withheld");
      expect(left.map(({ object }) => object)).toEqual(
        expect.arrayContaining([
          "relation public.far",
          "relation public.near",
          "relation public.of_far",
        ]),
      );
      expect(result.verified).toEqual({ tables: 1, rows: 1n });
    },
  );
});
