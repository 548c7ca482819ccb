import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { collectBytes, Secret } from "../../src/kernel/index.ts";
import { LIMITED_MANIFEST_FORMAT, parseManifest } from "../../src/manifest/index.ts";
import type { Manifest } from "../../src/manifest/index.ts";
import {
  backup,
  dumpFile,
  exportTable,
  listSnapshots,
  planDatabaseRestore,
  saveExport,
} from "../../src/operation/index.ts";
import type { Policy } from "../../src/policy/index.ts";
import { planRestore } from "../../src/restore/index.ts";
import { captureToMemory } from "../support/capture.ts";
import {
  createTestDatabase,
  failOnLeakedSessions,
  sharedCluster,
  startCluster,
} from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";
import { createOperationBench } from "../support/operation-bench.ts";
import type { OperationBench } from "../support/operation-bench.ts";
import { runRestoreScript, writeSnapshotFolder } from "../support/recovered-folder.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";

const SCRIPT = String.raw`
CREATE TYPE state AS ENUM ('open', 'paid');
CREATE TABLE customers (id int PRIMARY KEY, name text);
INSERT INTO customers VALUES (1, 'Ann'), (2, 'Ben');
CREATE TABLE orders (id serial PRIMARY KEY, customer int NOT NULL REFERENCES customers, parent int REFERENCES orders,
  state state, note text);
INSERT INTO orders (customer, parent, state, note)
  VALUES (1, NULL, 'open', 'a,"b"'), (2, 1, 'paid', NULL), (1, 1, NULL, E'two\nlines');
CREATE TABLE lines (order_id int REFERENCES orders, what text);
INSERT INTO lines VALUES (1, 'x');
CREATE SCHEMA sales;
CREATE TABLE sales.log (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE sales.log_2025 PARTITION OF sales.log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE sales.log_2026 PARTITION OF sales.log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO sales.log VALUES ('2025-05-05', 'old'), ('2026-05-05', 'new');
CREATE TABLE sales."Odd.Name/x" (a int);
CREATE SEQUENCE other;
CREATE VIEW shown AS SELECT * FROM orders;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM customers;
SELECT lo_from_bytea(0, 'large');
COMMENT ON CONSTRAINT orders_customer_fkey ON orders IS 'who';
`;

const PLANS = `  nightly: { source: db, capture: everything, to: local }
  critical: { source: db, capture: { tables: [orders, sales.log, 'sales."Odd.Name/x"'], formats: [csv, json] }, to: local }`;

let source: TestDatabase;
let bench: OperationBench;
let manifest: Manifest;

async function fileOf(policy: Policy, path: string, snapshot = "latest"): Promise<string> {
  const file = await dumpFile(bench.context, { policy, snapshot, path });
  return Buffer.from(await collectBytes(file.content)).toString();
}

beforeAll(async () => {
  source = await createTestDatabase({ script: SCRIPT });
  bench = await createOperationBench(source.url, PLANS);
  const { context, policy } = bench;
  const result = await backup(context, { policy, plan: "critical" });
  expect(result).toMatchObject({ outcome: "complete", tables: 4, rows: 5n, state: "verified" });
  manifest = parseManifest(Buffer.from(await fileOf(policy, "manifest.json")));
});

afterEach(async () => failOnLeakedSessions(await sharedCluster()));

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
});

describe("a plan of some tables", () => {
  test("says in the manifest what it was limited to", () => {
    expect(manifest.format).toBe(LIMITED_MANIFEST_FORMAT);
    const { limitedTo, tables, sequences, largeObjects, materializedViews } = manifest.database;
    expect(limitedTo).toEqual({
      named: [
        { schema: "public", name: "orders", tables: [{ schema: "public", name: "orders" }] },
        {
          schema: "sales",
          name: "log",
          tables: [
            { schema: "sales", name: "log_2025" },
            { schema: "sales", name: "log_2026" },
          ],
        },
        { schema: "sales", name: "Odd.Name/x", tables: [{ schema: "sales", name: "Odd.Name/x" }] },
      ],
      foreignKeys: [{ schema: "public", table: "orders", name: "orders_customer_fkey" }],
    });
    expect(tables.map(({ name, rows }) => [name, rows]).toSorted()).toEqual([
      ["Odd.Name/x", "0"],
      ["log_2025", "1"],
      ["log_2026", "1"],
      ["orders", "3"],
    ]);
    expect(sequences).toEqual([
      { schema: "public", name: "orders_id_seq", lastValue: "3", isCalled: true },
    ]);
    expect([largeObjects, materializedViews]).toEqual([[], []]);
    expect(manifest.database.leftOut).toContainEqual(
      expect.objectContaining({ object: "the rows of 2 other tables" }),
    );
  });

  test("is listed as what it is, apart from whole ones", async () => {
    const { context, policy } = bench;
    await backup(context, { policy, plan: "nightly" });
    const listed = await listSnapshots(context, { policy });
    expect(listed.map(({ plan, scope, paths }) => [plan, scope, paths])).toEqual([
      ["critical", "tables", ["/shop/db/critical"]],
      ["nightly", "everything", ["/shop/db"]],
    ]);
    const whole = parseManifest(Buffer.from(await fileOf(policy, "manifest.json")));
    expect(whole.format).toBe("sparekeep.manifest/1");
  });

  test("holds the same rows as CSV and JSON lines, as an export writes them", async () => {
    const { context, policy } = bench;
    const { tables } = manifest.database;
    const id = (await listSnapshots(context, { policy }))[0]?.id ?? "";
    expect(tables.flatMap((table) => table.exports ?? [])).toHaveLength(8);
    for (const table of tables) {
      for (const stored of table.exports ?? []) {
        const name = `${table.schema}."${table.name}"`;
        const { content } = await exportTable(context, {
          policy,
          snapshot: id,
          tables: [name],
          format: stored.format,
          inserts: false,
        });
        const file = stored.path.replace("Odd.Name/x", "Odd.Name%2Fx");
        const held = await fileOf(policy, file, id);
        expect(held).toBe(Buffer.from(await collectBytes(content)).toString());
        expect(Buffer.byteLength(held)).toBe(stored.sizeBytes);
      }
    }
    expect(await fileOf(policy, "exports/public/orders.csv", id)).toBe(
      'id,customer,parent,state,note\n1,1,,open,"a,""b"""\n2,2,1,paid,\n3,1,1,,"two\nlines"\n',
    );
    expect(await fileOf(policy, "exports/sales/Odd.Name%2Fx.csv", id)).toBe("a\n");
    expect(await fileOf(policy, "exports/sales/Odd.Name%2Fx.jsonl", id)).toBe("");
  });

  test("gives a partitioned table as its partitions, and names what it does not hold", async () => {
    const { context, policy } = bench;
    const options = { policy, plan: "critical", format: "csv", inserts: false } as const;
    const folder = join(bench.folder, "out");
    const saved = await saveExport(context, { ...options, tables: ["sales.log"] }, folder);
    expect(saved.tables.map(({ table }) => table)).toEqual(["sales.log_2025", "sales.log_2026"]);
    await expect(exportTable(context, { ...options, tables: ["customers"] })).rejects.toMatchObject(
      {
        code: "operation.table_not_in_snapshot",
        message: expect.stringContaining("captures some tables alone"),
      },
    );
  });

  test("comes back: those rows, all definitions, and the plan says so first", async () => {
    await using target = await startCluster();
    const planned = await planDatabaseRestore(bench.context, {
      policy: bench.policy,
      snapshot: (await listSnapshots(bench.context, { policy: bench.policy }))[0]?.id ?? "",
      target: new Secret(target.url("back")),
      create: true,
      trustSource: false,
    });
    expect(planned.preview.steps[0]).toMatch(
      /no whole database.*4 tables \(public.orders, sales.log/,
    );
    expect(planned.preview.snapshot.scope).toBe("tables");
    expect(planned.preview.withheld).toContainEqual({
      object: "FK CONSTRAINT public.orders orders_customer_fkey",
      reason: expect.stringContaining("whose rows are not in this point"),
    });
    const result = await planned.execute();
    expect(result).toMatchObject({ outcome: "complete", issues: [], tables: 4, rows: 5n });
    expect(await facts(target)).toEqual({
      orders: 3,
      log: 2,
      customers: 0,
      lines: 0,
      next: 4,
      keys: ["lines_order_id_fkey", "orders_parent_fkey"],
      counted: false,
    });
  });

  test("comes back by psql and pg_restore alone, which say so too", async () => {
    const made = await captureForRestore(source.url, {
      only: {
        tables: [{ schema: "public", name: "orders" }],
        formats: ["csv"],
      },
    });
    const folder = await writeSnapshotFolder(made);
    const guide = await readFile(join(folder, "RECOVERY.md"), "utf8");
    expect(guide).toContain(
      "It is no whole database**: it holds the rows of these tables alone: public.orders",
    );
    await using target = await startCluster();
    await target.createDatabase("another");
    await target.createDatabase("back");
    const ended = runRestoreScript(folder, target, "back");
    expect(ended).toEqual({
      status: 0,
      output: expect.stringMatching(/no whole database[\s\S]*every other table is empty/),
    });
    expect(ended.output).not.toMatch(/error|warning/i);
    expect(await facts(target)).toMatchObject({ orders: 3, log: 0, customers: 0, keys: [] });
    const keys = await readFile(join(folder, "foreign-keys.sql"), "utf8");
    expect(keys).toContain("orders_customer_fkey");
    expect(keys).toContain("COMMENT ON CONSTRAINT");
    await rm(folder, { recursive: true });
  });
});

async function facts(target: Awaited<ReturnType<typeof startCluster>>): Promise<unknown> {
  const [row] = await target.query(
    `SELECT (SELECT count(*)::int FROM orders) AS orders, (SELECT count(*)::int FROM sales.log) AS log,
            (SELECT count(*)::int FROM customers) AS customers, (SELECT count(*)::int FROM lines) AS lines,
            nextval('orders_id_seq')::int AS next,
            ARRAY(SELECT conname::text FROM pg_constraint WHERE contype = 'f' ORDER BY 1) AS keys,
            (SELECT relispopulated FROM pg_class WHERE relname = 'counted') AS counted`,
    { database: "back" },
  );
  return row;
}

describe("names that stand for no rows", () => {
  test("are issues by name; the others are captured", async () => {
    const policy = bench.withPlans(
      "  critical: { source: db, capture: { tables: [orders, gone, shown, counted] }, to: local }",
    );
    const result = await backup(bench.context, { policy });
    expect(result).toMatchObject({ outcome: "incomplete", tables: 1 });
    expect(result.issues.map(({ code, object }) => [code, object])).toEqual([
      ["table_missing", "public.gone"],
      ["table_not_captured", "public.shown"],
      ["table_not_captured", "public.counted"],
    ]);
  });

  test("all of them: the run fails and stores no snapshot", async () => {
    const policy = bench.withPlans(
      "  critical: { source: db, capture: { tables: [Orders, shown] }, to: local }",
    );
    const before = await listSnapshots(bench.context, { policy });
    await expect(backup(bench.context, { policy })).rejects.toMatchObject({
      code: "source.no_table_found",
      message: expect.stringContaining('public."Orders"'),
    });
    expect(await listSnapshots(bench.context, { policy })).toEqual(before);
  });
});

describe("exports beside a table", () => {
  const only = {
    tables: [{ schema: "public", name: "big" }],
    formats: ["csv", "jsonl"],
  } as const;
  const BIG =
    "CREATE TABLE big AS SELECT i, repeat(md5(i::text), 20) AS v FROM generate_series(1, 20000) i";

  test("are stored again with it when a session is lost at its end", async () => {
    await using database = await createTestDatabase({ script: BIG });
    const whole = await captureToMemory(database.url, { only });
    let broken = false;
    const capture = await captureToMemory(database.url, {
      only,
      connections: 1,
      hooks: {
        afterFile: async (path) => {
          if (broken || path !== "exports/public/big.jsonl") return;
          broken = true;
          await database.query(
            `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
              WHERE application_name = 'sparekeep copy' AND datname = current_database()`,
          );
        },
      },
    });
    expect(broken).toBe(true);
    expect(capture.issues).toEqual([]);
    expect(capture.paths.filter((path) => path.startsWith("exports/"))).toEqual([
      "exports/public/big.csv",
      "exports/public/big.jsonl",
    ]);
    expect(capture.database.tables).toEqual(whole.database.tables);
  });

  test("go with a table that is given up", async () => {
    await using database = await createTestDatabase({ script: BIG });
    let damaged = false;
    const capture = await captureToMemory(database.url, {
      only: { ...only, tables: [...only.tables, { schema: "public", name: "big2" }] },
      hooks: {
        afterFile: async (path) => {
          if (path !== "database/schema.dump") return;
          damaged = true;
          await database.query("TRUNCATE big");
        },
      },
    });
    expect(damaged).toBe(true);
    expect(capture.issues.map(({ code }) => code)).toEqual(["table_missing", "table_rewritten"]);
    expect(capture.paths).toEqual(["database/catalog.facts", "database/schema.dump"]);
  });
});

test("a role that may read the named tables alone is enough", async () => {
  await source.query("CREATE ROLE auditor LOGIN PASSWORD 'secret'");
  await source.query("GRANT SELECT ON customers TO auditor");
  const url = new URL(source.url);
  url.username = "auditor";
  url.password = "secret";
  const capture = await captureToMemory(url.href, {
    only: { tables: [{ schema: "public", name: "customers" }], formats: [] },
  });
  expect(capture.issues).toEqual([]);
  expect(capture.database.tables).toMatchObject([{ name: "customers", rows: "2" }]);
  expect(capture.database.leftOut).toContainEqual({
    object: "public.orders",
    reason: expect.stringContaining("not even its definition"),
  });
  // What is not even described is no difference of the restore's.
  const made = await captureForRestore(url.href, {
    only: { tables: [{ schema: "public", name: "customers" }], formats: [] },
  });
  await using target = await startCluster();
  const result = await (await planRestore(restoreOptions(made, target.url("back")))).execute();
  // The view that reads one of them is.
  expect(result.issues.filter(({ object }) => !/ public\.shown\b/.test(object))).toEqual([]);
  expect(result.catalog.differences).toContainEqual({
    class: "withheld",
    object: "relation public.orders",
    message: "is missing",
  });
  await source.query("DROP OWNED BY auditor");
  await source.query("DROP ROLE auditor");
});
