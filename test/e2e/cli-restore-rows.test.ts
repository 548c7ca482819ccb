import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Secret } from "../../src/kernel/index.ts";
import { connect } from "../../src/postgres/index.ts";
import { checkAuditLog } from "../../src/operation/index.ts";
import { createCliBench } from "../support/cli.ts";
import type { CliBench } from "../support/cli.ts";
import { failOnLeakedSessions, leakedSessions, startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";

const SHOP = `
CREATE ROLE app LOGIN PASSWORD 'of the app'; GRANT SET ON PARAMETER session_replication_role TO app;
CREATE DATABASE shop OWNER app;
\\connect shop
SET ROLE app;
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id int PRIMARY KEY, name text);
CREATE TABLE shop.orders (id int PRIMARY KEY, customer int REFERENCES shop.customers, total int);
INSERT INTO shop.customers SELECT n, 'c' || n FROM generate_series(1, 10) AS n;
INSERT INTO shop.orders SELECT n, 1 + n % 10, n FROM generate_series(1, 100) AS n;
`;

/** The night of three damaged tables, on one repository: each test goes on where the one before ended. */
describe("rows back into the database that lives", () => {
  let cluster: Cluster;
  let bench: CliBench;
  const count = async (): Promise<unknown> => {
    const [row] = await cluster.query<{ n: number }>("SELECT count(*)::int AS n FROM shop.orders", {
      database: "shop",
    });
    return row?.n;
  };

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.psql(SHOP, "postgres");
    bench = await createCliBench({
      DATABASE_URL: cluster.url("shop", { name: "app", password: "of the app" }),
    });
    const init = await bench.run(["init", "--connection-env", "DATABASE_URL", "--to", "repo"]);
    expect(init).toMatchObject({ code: 0 });
    expect(await bench.run(["backup"])).toMatchObject({ code: 0 });
    await cluster.psql(
      "DELETE FROM shop.orders WHERE customer = 3; DELETE FROM shop.customers WHERE id = 3; UPDATE shop.orders SET total = 0 WHERE id = 50",
      "shop",
    );
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  const rows = ["restore", "--to-env", "DATABASE_URL"];

  test("the plan says what would be done, and does nothing", async () => {
    const { code, stdout } = await bench.run([
      ...rows,
      "--table",
      "shop.orders",
      "--merge",
      "--dry-run",
    ]);
    expect(code).toBe(0);
    for (const line of [
      "  database shop, the very one that the snapshot was taken of",
      "  shop.orders: 10 to insert, 1 to update, 89 as they are",
      "    update id=50: total",
      "  shop.customers: 1 to insert, 0 to update, 0 as they are",
      "    added: shop.orders needs rows of it by orders_customer_fkey (customer)",
    ]) {
      expect(stdout.split("\n")).toContain(line);
    }
    expect(await count()).toBe(90);
  });

  test.for<readonly [name: string, flags: readonly string[], says: string]>([
    [
      "neither of the two forms",
      ["--table", "shop.orders"],
      "--into-schema NAME to have them beside it",
    ],
    ["both", ["--table", "shop.orders", "--merge", "--into-schema", "x"], "--into-schema"],
    ["no table", ["--merge"], "rows of no table"],
    ["a general yes", ["--table", "shop.orders", "--merge", "--yes"], "--confirm"],
    ["no word at all", ["--table", "shop.orders", "--merge"], "there is nobody to ask"],
    ["another word", ["--table", "shop.orders", "--merge", "--confirm", "shops"], "another name"],
    ["a database to make", ["--table", "shop.orders", "--merge", "--create"], "--create"],
    [
      "rows to delete of some",
      ["--key", "shop.orders=1", "--merge", "--delete-extra"],
      "--delete-extra",
    ],
    [
      "rows to delete of a new schema",
      ["--table", "shop.orders", "--into-schema", "x", "--delete-extra"],
      "--delete-extra",
    ],
  ])("refused with exit 2: %s", async ([, flags, says]) => {
    const { code, stderr } = await bench.run([...rows, ...flags]);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
    expect(await count()).toBe(90);
  });

  test("a conflict is exit 3 in the plan, and an error when it is to be carried out", async () => {
    await cluster.psql("ALTER TABLE shop.orders RENAME total TO sum", "shop");
    const flags = [...rows, "--table", "shop.orders", "--merge"];
    const dry = await bench.json([...flags, "--dry-run"]);
    expect(dry).toMatchObject({
      code: 3,
      document: { plan: { conflicts: [{ code: "column_missing" }] } },
    });
    const { code, stdout, stderr } = await bench.run([...flags, "--confirm", "shop"]);
    expect(code).toBe(1);
    expect(stdout).toContain("shop.orders: column total of the snapshot is not in the table");
    expect(stderr).toContain("error: 1 conflict, first in shop.orders");
    await cluster.psql("ALTER TABLE shop.orders RENAME sum TO total", "shop");
  });

  test("killed while it executes it changed nothing, and leaves nothing", async () => {
    await using holder = await connect({
      url: new Secret(cluster.url("shop")),
      applicationName: "holder",
      readOnly: false,
    });
    await holder.query("BEGIN; LOCK TABLE shop.customers IN SHARE MODE");
    const flags = ["--table", "shop.orders", "--merge", "--confirm", "shop"];
    const { child, ended } = bench.start([...rows, ...flags]);
    const waits = "SELECT FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND NOT granted";
    while ((await cluster.query(waits, { database: "shop" })).length === 0) {
      await cluster.query("SELECT pg_sleep(0.05)");
    }
    child.kill("SIGKILL");
    expect((await ended).code).toBeNull();
    await holder.query("ROLLBACK");
    await failOnLeakedSessions(cluster);
    expect(await count()).toBe(90);
    const staged = "SELECT relname FROM pg_class WHERE relname LIKE 'sparekeep%'";
    expect(await cluster.query(staged, { database: "shop" })).toEqual([]);
  });

  test("one row, then the rest", async () => {
    const one = await bench.json([
      ...rows,
      "--key",
      "shop.orders=2",
      "--merge",
      "--confirm",
      "shop",
    ]);
    expect(one).toMatchObject({
      code: 0,
      document: {
        outcome: "complete",
        tables: [{ table: "shop.orders", inserted: "1" }, { inserted: "1" }],
      },
    });
    const rest = await bench.run([
      ...rows,
      "--table",
      "shop.orders",
      "--merge",
      "--confirm",
      "shop",
    ]);
    expect(rest.code).toBe(0);
    expect(rest.stdout).toContain("shop.orders: 9 rows inserted, 1 updated\ncomplete: ");
    expect(await count()).toBe(100);
    // Nothing to do is nothing to consent to.
    const again = await bench.json([...rows, "--where", "shop.orders=total > 0", "--merge"]);
    expect(again).toMatchObject({
      code: 0,
      document: { tables: [{ inserted: "0", updated: "0" }] },
    });
  });

  test("a schema beside it", async () => {
    const flags = [...rows, "--table", "shop.orders", "--into-schema", "recovered"];
    const { code, stdout } = await bench.run([...flags, "--yes"]);
    expect(code).toBe(0);
    expect(stdout).toContain("recovered.orders: 100 rows inserted");
    expect((await bench.run([...flags, "--yes"])).code).toBe(2);
  });

  test("each stands in the audit log before it happened, without its values", async () => {
    const folder = join(bench.stateFolder, "backup");
    expect((await checkAuditLog(folder))?.findings).toEqual([]);
    const log = await readFile(join(folder, "audit.jsonl"), "utf8");
    const subjects = log
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter(({ action }) => action === "restore")
      .map(({ subject }) => subject);
    expect(subjects).toContainEqual(
      expect.objectContaining({
        step: "execute",
        tables: "shop.orders",
        narrowedBy: "1",
        merge: "insert, update",
      }),
    );
    expect(subjects).toContainEqual(
      expect.objectContaining({ step: "execute", intoSchema: "recovered" }),
    );
    expect(log).not.toContain("total > 0");
    expect(await leakedSessions(cluster)).toEqual([]);
  });
});
