import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Secret, silentLog, systemClock } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import {
  backup,
  init,
  listSnapshots,
  planRowsRestore,
  planSnapshotRewrite,
} from "../../src/operation/index.ts";
import type { OperationContext, RestoreRowsOptions } from "../../src/operation/index.ts";
import { parsePolicy } from "../../src/policy/index.ts";
import type { Policy } from "../../src/policy/index.ts";
import { clientToolFolders } from "../../src/postgres/index.ts";
import { createTestDatabase } from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";

/** What the operation adds to `restore/partial`: the record before the deed, the snapshot's own limits. */

const POLICY = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations: { local: { url: ./repo, password: { env: KEY } } }
plans:
  full: { source: db, capture: everything, to: local }
  schema: { source: db, capture: schema, to: local }
  some: { source: db, capture: { tables: [orders] }, to: local }
  up: { source: db, capture: { tables: [customers] }, to: local }
`;

let database: TestDatabase;
let folder: string;
let context: OperationContext;
let policy: Policy;
const points: Record<string, string> = {};

beforeAll(async () => {
  database = await createTestDatabase({
    script: `CREATE TABLE customers (id int PRIMARY KEY); CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers);
      INSERT INTO customers VALUES (1), (2); INSERT INTO orders VALUES (1, 1), (2, 2);`,
  });
  folder = await mkdtemp(join(tmpdir(), "sparekeep-rows-"));
  const environment: Record<string, string> = {
    DB: database.url,
    KEY: "vast orbit 93 quilt, of the bucket",
  };
  const store = createMemoryStore({ clock: systemClock });
  context = {
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: (name) => environment[name],
    toolDirectories: await clientToolFolders(process.env["PATH"]),
    stateDirectory: join(folder, "state"),
    version: "0.0.0-test",
    keyCost: { N: 1024, r: 8, p: 1 },
    storeAt: () => store,
  };
  policy = parsePolicy({ text: POLICY, file: "p.yaml", directory: folder });
  await init(context, { policy, generatePassword: false });
  for (const plan of ["full", "schema", "some", "up"]) {
    points[plan] = (await backup(context, { policy, plan })).snapshot ?? "";
  }
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const options = (plan: string, more: Partial<RestoreRowsOptions> = {}): RestoreRowsOptions => ({
  policy,
  snapshot: points[plan] ?? "",
  target: new Secret(database.url),
  tables: ["orders"],
  keys: [],
  conditions: [],
  form: { kind: "merge", deleteExtra: false },
  withChildren: false,
  trustSource: true,
  ...more,
});
const logFile = (): string => join(folder, "state/shop/audit.jsonl");
const orders = (): Promise<unknown> => database.query("SELECT count(*)::int AS n FROM orders");

test("both steps are recorded before they happen, and nothing happens where they cannot be", async () => {
  await database.query("DELETE FROM orders WHERE id = 1");
  await using planned = await planRowsRestore(context, options("full"));
  expect(await readFile(logFile(), "utf8")).toMatch(
    /"action":"restore"[^\n]*"step":"plan"[^\n]*\n$/,
  );
  const log = await readFile(logFile());
  await writeFile(logFile(), log.subarray(0, -20));
  await expect(planned.execute()).rejects.toMatchObject({ code: "operation.audit_broken" });
  expect(await orders()).toEqual([{ n: 1 }]);
  await expect(planRowsRestore(context, options("full"))).rejects.toMatchObject({
    code: "operation.audit_broken",
  });
  await writeFile(logFile(), log);
  expect(await planned.execute()).toMatchObject({
    outcome: "complete",
    tables: [{ inserted: 1n }],
  });
  expect(await readFile(logFile(), "utf8")).toMatch(/"step":"execute"[^\n]*\n$/);
  expect(await orders()).toEqual([{ n: 2 }]);
});

test("a point of some tables has no parents to give, and says so", async () => {
  await database.psql("DELETE FROM orders; DELETE FROM customers WHERE id = 2");
  await using planned = await planRowsRestore(context, options("some"));
  expect(planned.preview.conflicts).toMatchObject([
    { code: "parent_missing", table: "public.orders", rows: 1n, samples: ["id=2"] },
  ]);
  await expect(
    planRowsRestore(context, options("some", { tables: ["customers"] })),
  ).rejects.toMatchObject({
    code: "operation.table_not_in_snapshot",
  });
  await using down = await planRowsRestore(
    context,
    options("full", { tables: ["customers"], withChildren: true }),
  );
  expect(down.preview.tables.map(({ table }) => table)).toEqual([
    "public.customers",
    "public.orders",
  ]);
  expect(down.preview.notes).toEqual([]);
  await using childless = await planRowsRestore(
    context,
    options("up", { tables: ["customers"], withChildren: true }),
  );
  expect(childless.preview.notes).toEqual([
    "public.orders: rows of it refer to public.customers by orders_customer_fkey, and the snapshot does not hold it",
  ]);
  // One row whose parent is there is none the worse for it.
  await using one = await planRowsRestore(
    context,
    options("some", { tables: [], keys: ["orders=1"] }),
  );
  expect((await one.execute()).outcome).toBe("complete");
  await using beside = await planRowsRestore(
    context,
    options("some", { form: { kind: "schema", schema: "beside" } }),
  );
  expect(beside.preview.notes).toContain(
    "public.orders: foreign key orders_customer_fkey is not built",
  );
  expect((await beside.execute()).tables).toMatchObject([{ inserted: 2n }]);
  // The client programs are for definitions alone.
  const bare = { ...context, toolDirectories: [] };
  await using rest = await planRowsRestore(bare, options("full"));
  expect((await rest.execute()).outcome).toBe("complete");
});

test("a schema alone has no rows to give", async () => {
  await expect(planRowsRestore(context, options("schema"))).rejects.toMatchObject({
    code: "operation.schema_only",
  });
});

test("what was erased is told as that; other tables of the snapshot still come back", async () => {
  const rewrite = await planSnapshotRewrite(context, {
    policy,
    snapshots: [points["full"] ?? ""],
    without: ["database/tables/public/orders"],
    reason: "request 17",
    forget: false,
  });
  await rewrite.execute();
  const all = await listSnapshots(context, { policy });
  const rewritten = all.find(({ id, plan }) => plan === "full" && id !== points["full"]);
  const erased = { snapshot: rewritten?.id ?? "" };
  await expect(planRowsRestore(context, options("full", erased))).rejects.toMatchObject({
    code: "operation.erased",
  });
  await using planned = await planRowsRestore(
    context,
    options("full", { ...erased, tables: ["customers"] }),
  );
  expect(planned.preview.tables).toMatchObject([{ unchanged: 2n }]);
});
