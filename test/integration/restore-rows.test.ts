import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Secret } from "../../src/kernel/index.ts";
import { connect } from "../../src/postgres/index.ts";
import { planPartialRestore } from "../../src/restore/index.ts";
import type { PartialOptions } from "../../src/restore/index.ts";
import { createTestDatabase, failOnLeakedSessions, startCluster } from "../support/cluster.ts";
import type { Cluster, TestDatabase } from "../support/cluster.ts";
import { partialOptions, restoreRows, tableOf } from "../support/partial.ts";
import type { Wanted } from "../support/partial.ts";
import { captureForRestore } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";

/** A shop whose owner is no superuser; `app` may set session_replication_role, `plain` may not. */
const SHOP = `
SET ROLE app;
CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE, referred_by int REFERENCES customers);
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL REFERENCES customers ON DELETE CASCADE,
  total numeric(12, 2) NOT NULL CHECK (total >= 0), vat numeric GENERATED ALWAYS AS (total * 0.15) STORED,
  details json, place point, tags text[]);
CREATE TABLE items (
  order_id bigint REFERENCES orders ON DELETE CASCADE, line int, part text, note text, PRIMARY KEY (order_id, line));
CREATE TABLE mails (n int GENERATED ALWAYS AS IDENTITY, body text);
CREATE FUNCTION send() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO public.mails (body) VALUES (TG_OP || ' ' || NEW.id); NEW.total = 0; RETURN NEW; END $$;
INSERT INTO customers SELECT n, 'c' || n || '@example.org', nullif(n / 2, 0) FROM generate_series(1, 40) AS n;
INSERT INTO orders (customer, total, details, place, tags)
  SELECT 1 + n % 40, n, json_build_object('n', n), point(n, n), ARRAY['a', 'b' || n] FROM generate_series(1, 100) AS n;
INSERT INTO items SELECT o, l, 'part ' || o, NULL FROM generate_series(1, 100) AS o, generate_series(1, 3) AS l;
CREATE TRIGGER tell BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION send();
`;

const CONTENTS = `
SELECT (SELECT json_agg(c ORDER BY id) FROM customers AS c) AS customers,
       (SELECT json_agg(o ORDER BY id) FROM orders AS o) AS orders,
       (SELECT json_agg(i ORDER BY order_id, line) FROM items AS i) AS items, (SELECT count(*) FROM mails) AS mails`;

describe("rows of a snapshot, into the database that they were taken of", () => {
  let cluster: Cluster;
  let shop: TestDatabase;
  let made: Made;

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.psql(
      `CREATE ROLE app LOGIN BYPASSRLS PASSWORD 'app'; CREATE ROLE plain LOGIN PASSWORD 'plain';
       GRANT SET ON PARAMETER session_replication_role TO app`,
      "postgres",
    );
  });
  afterAll(() => cluster[Symbol.asyncDispose]());
  afterEach(() => failOnLeakedSessions(cluster));

  const as = (role: string): string => cluster.url(shop.name, { name: role, password: role });

  async function openShop(script = ""): Promise<TestDatabase> {
    shop = await createTestDatabase({ cluster });
    await shop.psql(
      `GRANT ALL ON SCHEMA public TO app; GRANT CREATE ON DATABASE ${shop.name} TO app, plain`,
    );
    await shop.psql(`${SHOP}${script}`);
    made = await captureForRestore(shop.url);
    return shop;
  }

  const restore = (
    wanted: readonly Wanted[],
    more: Parameters<typeof restoreRows>[3] = {},
    between?: Parameters<typeof restoreRows>[4],
  ): ReturnType<typeof restoreRows> => restoreRows(made, as("app"), wanted, more, between);

  test("deleted and damaged rows of three tables come back, and nothing else changes", async () => {
    await using database = await openShop();
    const [before] = await database.query(CONTENTS);
    await database.psql(`
      SET session_replication_role = replica;
      DELETE FROM orders WHERE id <= 10; DELETE FROM items WHERE order_id <= 10;
      UPDATE orders SET total = 0, details = NULL WHERE id BETWEEN 50 AND 59;
      UPDATE orders SET place = point(0, 0) WHERE id = 60;
      DELETE FROM customers WHERE id = 7`);
    const { plan, result } = await restore(["public.orders", "public.items", "public.customers"]);
    expect(plan.targetIsSource).toBe(true);
    expect(plan.conflicts).toEqual([]);
    expect(plan.tables).toMatchObject([
      { table: "public.orders", inserts: 10n, updates: 11n, unchanged: 79n, onlyInTarget: 0n },
      { table: "public.items", inserts: 30n, updates: 0n, unchanged: 270n },
      { table: "public.customers", inserts: 1n, updates: 0n, unchanged: 39n },
    ]);
    expect(plan.tables[0]?.samples).toContainEqual({
      action: "update",
      key: "id=50",
      columns: ["total", "details"],
    });
    expect(result).toMatchObject({ outcome: "complete", orphans: [] });
    expect(result.foreignKeysProven).toBe(3);
    expect((await database.query(CONTENTS))[0]).toEqual(before);
  });

  const planOf = (
    wanted: readonly Wanted[],
    more: Parameters<typeof restoreRows>[3] = {},
    role = "app",
  ): ReturnType<typeof planPartialRestore> =>
    planPartialRestore(partialOptions(made, as(role), wanted, more));

  const refused = (code: string, text = ""): unknown =>
    expect.objectContaining({ code, message: expect.stringContaining(text) as unknown });

  test("rows of keys and of a condition alone, with the parents that they lack, over a self reference", async () => {
    await using database = await openShop();
    // 33 was referred by 16, 16 by 8, 8 by 4: none of them is left.
    await database.psql(`
      SET session_replication_role = replica;
      DELETE FROM orders WHERE id IN (32, 50, 51); DELETE FROM items WHERE order_id IN (32, 50, 51); DELETE FROM customers WHERE id IN (33, 16, 8, 4)`);
    const { plan, result } = await restore([{ table: "public.orders", keys: [["32"]] }]);
    expect(plan.tables).toMatchObject([
      { table: "public.orders", rows: 1n, inserts: 1n },
      {
        table: "public.customers",
        inserts: 4n,
        because: expect.stringContaining(
          "public.orders needs rows of it by orders_customer_fkey",
        ) as unknown,
      },
    ]);
    expect(plan.tables[0]).not.toHaveProperty("onlyInTarget");
    expect(result.outcome).toBe("complete");
    const ids = "SELECT json_agg(id ORDER BY id) AS ids FROM customers WHERE id IN (33, 16, 8, 4)";
    expect(await database.query(ids)).toEqual([{ ids: [4, 8, 16, 33] }]);
    const some = await restore([
      {
        table: "public.orders",
        condition: "(details ->> 'n')::int > 49 AND \"total\" < 52 -- the rest",
      },
    ]);
    expect(some.plan.tables).toMatchObject([{ rows: 2n, inserts: 2n, unchanged: 0n }]);
    expect(await database.query("SELECT count(*)::int AS n FROM orders")).toEqual([{ n: 100 }]);
  });

  test("rows that refer to them come along, when that was asked for", async () => {
    await using database = await openShop();
    const [before] = await database.query(CONTENTS);
    // As the application did: the cascade took orders and items with it.
    await database.psql("DELETE FROM customers WHERE id = 40");
    const wanted = [{ table: "public.customers", keys: [["40"]] }];
    const { plan } = await restore(wanted, { withChildren: true });
    expect(plan.tables).toMatchObject([
      { table: "public.customers", rows: 1n },
      { table: "public.orders", rows: 2n },
      { table: "public.items", rows: 6n },
    ]);
    expect((await database.query(CONTENTS))[0]).toEqual(before);
  });

  test("a row that only the target has stays, or goes when that was asked for and shown", async () => {
    await using database = await openShop();
    await database.psql(`
      SET session_replication_role = replica; INSERT INTO items VALUES (1, 99, 'new', NULL), (2, 98, 'new', NULL)`);
    const { plan } = await restore(["public.items"]);
    expect(plan.tables).toMatchObject([{ onlyInTarget: 2n, deletes: 0n, inserts: 0n }]);
    expect(plan.notes).toContain("public.items: only in the target, and stay: 2 rows");
    const deleted = await restore(["public.items"], { form: { kind: "merge", deleteExtra: true } });
    expect(deleted.plan.tables[0]?.samples).toContainEqual({
      action: "delete",
      key: "order_id=1, line=99",
    });
    expect(deleted.result.tables).toEqual([
      { table: "public.items", into: "public.items", inserted: 0n, updated: 0n, deleted: 2n },
    ]);
    expect(await database.query("SELECT count(*)::int AS n FROM items")).toEqual([{ n: 300 }]);
  });

  test("of some rows of a table, and of tables that others need, none is deleted", async () => {
    await using database = await openShop();
    await database.psql(
      "SET session_replication_role = replica; DELETE FROM customers WHERE id = 2",
    );
    const { plan } = await restore([{ table: "public.orders", keys: [["1"]] }], {
      form: { kind: "merge", deleteExtra: true },
    });
    expect(plan.tables).toMatchObject([
      { table: "public.orders", deletes: 0n },
      { table: "public.customers", inserts: 1n, deletes: 0n },
    ]);
    const counts =
      "SELECT (SELECT count(*)::int FROM orders) AS o, (SELECT count(*)::int FROM customers) AS c";
    expect(await database.query(counts)).toEqual([{ o: 100, c: 40 }]);
  });

  test("rows that are to go, and were changed since they were shown, stay", async () => {
    await using database = await openShop();
    await database.psql("INSERT INTO items VALUES (1, 99, 'new', NULL)");
    const form = { kind: "merge", deleteExtra: true } as const;
    for (const change of [
      "UPDATE items SET note = 'kept' WHERE line = 99",
      "INSERT INTO items VALUES (1, 98, 'newer', NULL)",
    ]) {
      const deleting = restore(
        ["public.items"],
        { form },
        async () => void (await database.psql(change)),
      );
      await expect(deleting).rejects.toThrow(refused("restore.merge_stale", "to be deleted"));
    }
    expect(await database.query("SELECT count(*)::int AS n FROM items")).toEqual([{ n: 302 }]);
  });

  test("what MATCH FULL does not allow is a row without a parent", async () => {
    await using database = await openShop(`
      CREATE TABLE whole (a int, b int, PRIMARY KEY (a, b));
      CREATE TABLE half (id int PRIMARY KEY, a int, b int, CONSTRAINT full_one FOREIGN KEY (a, b) REFERENCES whole MATCH FULL);
      RESET ROLE; SET session_replication_role = replica; INSERT INTO half VALUES (1, 1, NULL), (2, NULL, NULL);`);
    await database.psql("DELETE FROM half");
    await using plan = await planOf(["public.half"]);
    expect(plan.conflicts).toMatchObject([{ code: "parent_missing", rows: 1n, samples: ["id=1"] }]);
  });

  test("what would leave a row without a parent is rolled back and named", async () => {
    await using database = await openShop();
    await database.psql(`
      SET session_replication_role = replica; INSERT INTO orders (customer, total) VALUES (1, 1);
      INSERT INTO items VALUES (101, 1, 'of the new one', NULL)`);
    const deleting = restore(["public.orders"], { form: { kind: "merge", deleteExtra: true } });
    await expect(deleting).rejects.toThrow(
      refused("restore.orphans", "items_order_id_fkey of public.items"),
    );
    expect(await database.query("SELECT count(*)::int AS n FROM orders")).toEqual([{ n: 101 }]);
  });

  test("one that stood without a parent before is left, and said", async () => {
    await using database = await openShop();
    await database.psql(`
      SET session_replication_role = replica; INSERT INTO items VALUES (777, 1, 'lost', NULL);
      UPDATE items SET part = 'damaged' WHERE order_id = 5`);
    const { result } = await restore([
      {
        table: "public.items",
        keys: [
          ["5", "1"],
          ["5", "2"],
          ["5", "3"],
        ],
      },
    ]);
    expect(result).toMatchObject({
      outcome: "incomplete",
      orphans: [{ foreignKey: "items_order_id_fkey of public.items to public.orders", rows: 1n }],
      tables: [{ updated: 3n }],
    });
  });

  test("what changed between plan and execution ends it, and nothing is written", async () => {
    await using database = await openShop();
    await database.psql(
      "SET session_replication_role = replica; DELETE FROM orders WHERE id = 3; UPDATE orders SET total = 9 WHERE id = 4",
    );
    const wanted = ["public.orders"];
    for (const [script, undo] of [
      ["UPDATE orders SET total = 8 WHERE id = 4", "UPDATE orders SET total = 9 WHERE id = 4"],
      [
        "INSERT INTO orders (id, customer, total) OVERRIDING SYSTEM VALUE VALUES (3, 1, 3)",
        "DELETE FROM orders WHERE id = 3",
      ],
      ["ALTER TABLE orders ADD COLUMN more int", "ALTER TABLE orders DROP COLUMN more"],
    ] as const) {
      const quietly = (sql: string): Promise<string> =>
        database.psql(`SET session_replication_role = replica; ${sql}`);
      await expect(restore(wanted, {}, async () => void (await quietly(script)))).rejects.toThrow(
        refused("restore.merge_stale"),
      );
      await quietly(undo);
    }
    expect(await database.query("SELECT count(*)::int AS n FROM orders")).toEqual([{ n: 99 }]);
    // Rows that the plan never looked at may come and go.
    const { result } = await restore(
      wanted,
      {},
      async () => void (await database.psql("INSERT INTO orders (customer, total) VALUES (1, 1)")),
    );
    expect(result.tables).toMatchObject([{ inserted: 1n, updated: 1n }]);
  });

  test("a plan is executed once", async () => {
    await using database = await openShop();
    await database.psql("DELETE FROM items WHERE line = 1");
    await using plan = await planOf(["public.items"]);
    expect((await plan.execute()).tables).toMatchObject([{ inserted: 100n }]);
    await expect(plan.execute()).rejects.toThrow(refused("restore.plan_spent"));
  });

  test.for<readonly [name: string, script: string, code: string, text: string]>([
    [
      "a value that another row has now",
      "DELETE FROM orders; DELETE FROM customers WHERE id = 40; INSERT INTO customers VALUES (999, 'c40@example.org', NULL)",
      "unique_taken",
      "customers_email_key",
    ],
    ["a column that is gone", "ALTER TABLE customers DROP COLUMN email", "column_missing", "email"],
    [
      "a column of another type",
      "ALTER TABLE customers ALTER email TYPE varchar(100)",
      "type_changed",
      "was text and is character varying(100)",
    ],
    [
      "a column that needs a value",
      "ALTER TABLE customers ADD COLUMN born date; UPDATE customers SET born = now(); ALTER TABLE customers ALTER born SET NOT NULL",
      "column_added",
      "born",
    ],
    [
      "a NOT NULL that they do not keep",
      "UPDATE customers SET referred_by = 1; ALTER TABLE customers ALTER referred_by SET NOT NULL",
      "null_refused",
      "referred_by",
    ],
    [
      "a check that they do not keep",
      "DELETE FROM orders; DELETE FROM customers WHERE id > 20; ALTER TABLE customers ADD CHECK (id <= 20)",
      "check_refused",
      "customers_id_check",
    ],
  ])("conflict, nothing written: %s", async ([, script, code, text]) => {
    await using database = await openShop();
    await database.psql(`SET session_replication_role = replica; ${script}`);
    const [before] = await database.query(CONTENTS);
    await using plan = await planOf(["public.customers"]);
    expect(plan.conflicts).toContainEqual(
      expect.objectContaining({
        code,
        table: "public.customers",
        message: expect.stringContaining(text) as unknown,
      }),
    );
    await expect(plan.execute()).rejects.toThrow(refused("restore.merge_conflicts", "customers"));
    expect((await database.query(CONTENTS))[0]).toEqual(before);
  });

  test("conflict: a parent that nobody has, one that stands otherwise, a key that several rows share", async () => {
    await using database = await openShop(
      "CREATE TABLE codes (id int PRIMARY KEY, code text UNIQUE); CREATE TABLE uses (n int PRIMARY KEY, code text, twice int);" +
        "INSERT INTO codes VALUES (1, 'a'), (2, 'b'); INSERT INTO uses VALUES (1, 'a', 1), (2, 'gone', 1), (3, 'b', 2);",
    );
    await database.psql(`
      UPDATE codes SET code = 'renamed' WHERE id = 1; DELETE FROM uses;
      ALTER TABLE uses ADD FOREIGN KEY (code) REFERENCES codes (code), DROP CONSTRAINT uses_pkey, ALTER twice SET NOT NULL, ADD UNIQUE (twice)`);
    await using plan = await planOf(["public.uses"]);
    expect(plan.conflicts.map(({ code, table }) => `${code} ${table}`).toSorted()).toEqual([
      "key_not_unique public.uses",
      "parent_differs public.codes",
      "parent_missing public.uses",
    ]);
    const missing = plan.conflicts.find(({ code }) => code === "parent_missing");
    expect(missing).toMatchObject({
      rows: 1n,
      message: expect.stringContaining("neither the target nor the snapshot") as unknown,
    });
  });

  test("rows that changed places, and identities, are replaced; where that would lose something it is a conflict", async () => {
    await using database = await openShop(`
      CREATE TABLE t (k text PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, place int UNIQUE, half int GENERATED ALWAYS AS (place / 2) STORED);
      CREATE UNIQUE INDEX t_half ON t ((place * 2)) WHERE k > 'a';
      CREATE TABLE of_t (k text PRIMARY KEY REFERENCES t ON DELETE CASCADE);
      INSERT INTO t (k, place) SELECT chr(96 + i), i FROM generate_series(1, 9) AS i; INSERT INTO of_t SELECT k FROM t;`);
    const contents =
      "SELECT json_agg(t ORDER BY k) AS t, (SELECT count(*)::int FROM of_t) AS children FROM t";
    const [before] = await database.query(contents);
    await database.psql(`
      SET session_replication_role = replica;
      UPDATE t SET place = place + 100; UPDATE t SET place = place - 99;
      DELETE FROM t WHERE k = 'd'; INSERT INTO t (k, place) VALUES ('d', 99)`);
    const damaged = await database.query(contents);
    await database.psql("ALTER TABLE t ADD COLUMN newer int DEFAULT 1");
    await using refusedPlan = await planOf(["public.t"]);
    expect(refusedPlan.conflicts.map(({ code, rows }) => [code, rows])).toEqual([
      ["unique_taken", 6n],
      ["unique_taken", 7n],
      ["identity_differs", 1n],
    ]);
    await database.psql("ALTER TABLE t DROP COLUMN newer");
    await expect(refusedPlan.execute()).rejects.toThrow(refused("restore.merge_conflicts"));
    expect(await database.query(contents)).toEqual(damaged);
    const { plan, result } = await restore(["public.t"]);
    expect(plan.tables).toMatchObject([{ inserts: 0n, updates: 9n }]);
    expect(result.tables).toMatchObject([{ inserted: 0n, updated: 9n, deleted: 0n }]);
    expect((await database.query(contents))[0]).toEqual(before);
  });

  test("functions of checks, indexes and generated columns find what their own sessions find", async () => {
    await using database = await openShop(`
      CREATE FUNCTION inner_one(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN upper(v); END';
      CREATE FUNCTION outer_one(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN inner_one(v); END';
      CREATE DOMAIN word AS text CHECK (outer_one(VALUE) <> 'NEVER');
      CREATE TABLE f (id int PRIMARY KEY, v word CHECK (outer_one(v) <> 'NO'), w text GENERATED ALWAYS AS (outer_one(v)) STORED);
      CREATE UNIQUE INDEX ON f (outer_one(v));
      INSERT INTO f VALUES (1, 'a'), (2, 'b');`);
    await database.psql("DELETE FROM f");
    const condition = "inner_one(v) = 'A'";
    const { result } = await restore([{ table: "public.f", condition }]);
    expect(result.tables).toMatchObject([{ inserted: 1n }]);
    expect(await database.query("SELECT * FROM f")).toEqual([{ id: 1, v: "a", w: "A" }]);
  });

  test("where the primary key is newer than the snapshot, another key that it has tells rows apart", async () => {
    await using database = await openShop(
      "CREATE TABLE p (code text PRIMARY KEY, v int); INSERT INTO p VALUES ('a', 1), ('b', 2);",
    );
    await database.psql(`
      DELETE FROM p WHERE code = 'b'; UPDATE p SET v = 9;
      ALTER TABLE p DROP CONSTRAINT p_pkey, ADD UNIQUE (code), ADD COLUMN id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY`);
    const { plan } = await restore(["public.p"]);
    expect(plan.tables).toMatchObject([{ inserts: 1n, updates: 1n }]);
    expect(plan.notes).toContain(
      "public.p: column id is newer than the snapshot: inserted rows get its default",
    );
    expect(await database.query("SELECT code, v, id FROM p ORDER BY id")).toEqual([
      { code: "a", v: 1, id: 1 },
      { code: "b", v: 2, id: 2 },
    ]);
  });

  test("a deferrable constraint, which no trigger checks now, is proven all the same", async () => {
    await using database = await openShop(
      "CREATE TABLE d (id int PRIMARY KEY, v int UNIQUE DEFERRABLE); INSERT INTO d VALUES (1, 1), (2, 2);",
    );
    await database.psql("DELETE FROM d WHERE id = 2");
    const taken = async (): Promise<void> =>
      void (await database.psql("INSERT INTO d VALUES (3, 2)"));
    await expect(restore(["public.d"], {}, taken)).rejects.toThrow(
      refused("restore.merge_unproven", "d_v_key of public.d"),
    );
    expect(await database.query("SELECT array_agg(id) AS ids FROM d")).toEqual([{ ids: [1, 3] }]);
  });

  test("cycles, composite keys, MATCH FULL, deferred constraints and hostile names", async () => {
    const odd = `"a.b"."T ""x"" '; DROP--"`;
    await using database = await openShop(`
      CREATE SCHEMA "a.b";
      CREATE TABLE ${odd} ("Key 1" int, "k'2" text, "left" int, c1 text, n int, sparekeep_n int, PRIMARY KEY ("Key 1", "k'2"));
      CREATE TABLE "a.b".other (id int PRIMARY KEY, a int, b text, FOREIGN KEY (a, b) REFERENCES ${odd} MATCH FULL DEFERRABLE INITIALLY DEFERRED);
      ALTER TABLE ${odd} ADD FOREIGN KEY ("left") REFERENCES "a.b".other;
      BEGIN;
      INSERT INTO ${odd} SELECT n, 'k' || n, NULL, 'c', n, n FROM generate_series(1, 5) AS n;
      INSERT INTO "a.b".other SELECT n, n, 'k' || n FROM generate_series(1, 5) AS n;
      INSERT INTO "a.b".other VALUES (9, NULL, NULL);
      UPDATE ${odd} SET "left" = 1 + "Key 1" % 5;
      COMMIT;`);
    const contents = `SELECT (SELECT json_agg(t ORDER BY "Key 1") FROM ${odd} AS t) AS t, (SELECT json_agg(o ORDER BY id) FROM "a.b".other AS o) AS o`;
    const [before] = await database.query(contents);
    await database.psql(
      `SET session_replication_role = replica; DELETE FROM "a.b".other; DELETE FROM ${odd}`,
    );
    const { plan } = await restore([{ table: `a.b.T "x" '; DROP--`, keys: [["1", "k1"]] }]);
    expect(plan.tables).toMatchObject([
      { inserts: 5n },
      { inserts: 5n, because: expect.any(String) as unknown },
    ]);
    const rest = await restore([{ table: "a.b.other", condition: "a IS NULL" }]);
    expect(rest.result.tables).toMatchObject([{ inserted: 1n }]);
    expect((await database.query(contents))[0]).toEqual(before);
    const condition = `"Key 1" = 1 AND "k'2" = 'k1' AND sparekeep_n = 1 AND c1 = 'c' AND n = 1`;
    await using found = await planOf([{ table: `a.b.T "x" '; DROP--`, condition }]);
    expect(found.tables).toMatchObject([{ rows: 1n, unchanged: 1n }]);
  });

  test("partitions are merged as such, and are parents together", async () => {
    await using database = await openShop(`
      CREATE TABLE events (id int, day date, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
      CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
      CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
      CREATE TABLE notes (id int PRIMARY KEY, event int, day date, FOREIGN KEY (event, day) REFERENCES events);
      INSERT INTO events SELECT n, date '2026-01-01' + n, 'e' || n FROM generate_series(1, 50) AS n;
      INSERT INTO notes SELECT n, n, date '2026-01-01' + n FROM generate_series(1, 50) AS n;`);
    await database.psql(
      "SET session_replication_role = replica; DELETE FROM events WHERE id IN (3, 45); DELETE FROM notes WHERE id IN (3, 45)",
    );
    const { plan, result } = await restore(["public.notes"]);
    expect(plan.tables).toMatchObject([
      { table: "public.notes", inserts: 2n },
      { table: "public.events_1", inserts: 1n },
      { table: "public.events_2", inserts: 1n },
    ]);
    expect(result.outcome).toBe("complete");
    expect(await database.query("SELECT count(*)::int AS n FROM events")).toEqual([{ n: 50 }]);
    // Of the table named as one, keys stand in any of its partitions.
    await database.psql(
      "SET session_replication_role = replica; DELETE FROM events WHERE id IN (3, 45)",
    );
    const chosenBy = (...keys: (readonly string[])[]): Partial<PartialOptions> => {
      const rows = { table: { schema: "public", name: "events" }, keys };
      const parts = ["public.events_1", "public.events_2"];
      return { chosen: parts.map((part) => ({ table: tableOf(made, part), rows })) };
    };
    const both = [
      ["3", "2026-01-04"],
      ["45", "2026-02-15"],
    ] as const;
    await expect(planOf([], chosenBy(...both, ["3", "2026-02-04"]))).rejects.toThrow(
      refused("restore.key_not_found", "1 of 3 keys of public.events"),
    );
    expect((await restore([], chosenBy(...both))).plan.tables).toMatchObject([
      { table: "public.events_1", inserts: 1n },
      { table: "public.events_2", inserts: 1n },
    ]);
  });

  test("values that are equal and do not read the same are put back", async () => {
    await using database = await openShop(`
      CREATE TABLE v (id int PRIMARY KEY, n numeric, f float8, j jsonb, i interval, b bytea, c char(5), x xml, e text);
      INSERT INTO v VALUES (1, 1.00, 0, '{"a": 1.0}', '24 hours', '\\x00ff', 'ab', '<a/>', '');`);
    const [before] = await database.query("SELECT v::text AS v FROM v");
    await database.psql(`UPDATE v SET n = 1, f = '-0', j = '{"a": 1.00}', i = '1 day', e = NULL`);
    const { plan } = await restore(["public.v"]);
    expect(plan.tables[0]?.samples).toEqual([
      { action: "update", key: "id=1", columns: ["n", "f", "j", "i", "e"] },
    ]);
    expect((await database.query("SELECT v::text AS v FROM v"))[0]).toEqual(before);
  });

  test("sequences go forward to the largest restored number, and never back", async () => {
    await using database = await openShop();
    const last = "SELECT last_value::int AS n FROM orders_id_seq";
    await database.psql(
      "SET session_replication_role = replica; DELETE FROM orders WHERE id > 90; ALTER TABLE orders ALTER id RESTART WITH 20",
    );
    await restore([{ table: "public.orders", keys: [["95"]] }]);
    expect(await database.query(last)).toEqual([{ n: 95 }]);
    await database.psql("ALTER TABLE orders ALTER id RESTART WITH 500");
    await restore(["public.orders"]);
    expect(await database.query(last)).toEqual([{ n: 500 }]);
  });

  test("a role that may not set session_replication_role: triggers off by their owner, foreign keys enforced", async () => {
    await using database = await openShop(
      "RESET ROLE; REASSIGN OWNED BY app TO plain; GRANT USAGE ON SCHEMA public TO plain;",
    );
    const [before] = await database.query(CONTENTS);
    await database.psql("DELETE FROM customers WHERE id IN (20, 40)");
    const wanted = ["public.items", "public.orders", "public.customers"];
    const { plan } = await restoreRows(made, as("plain"), wanted);
    expect(plan.notes).toContain(
      "public.orders: triggers tell are switched off for the transaction",
    );
    expect((await database.query(CONTENTS))[0]).toEqual(before);
    const enabled = await database.query(
      "SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'tell'",
    );
    expect(enabled).toEqual([{ tgenabled: "O" }]);
    await expect(
      planOf(wanted, { form: { kind: "merge", deleteExtra: true } }, "plain"),
    ).rejects.toThrow(refused("restore.triggers_fire", "cascade"));
  });

  test("a trigger that fires always is switched off and on again as it was", async () => {
    await using database = await openShop("ALTER TABLE orders ENABLE ALWAYS TRIGGER tell;");
    await database.psql(
      "ALTER TABLE orders DISABLE TRIGGER tell; DELETE FROM orders WHERE id = 1; ALTER TABLE orders ENABLE ALWAYS TRIGGER tell",
    );
    await restore(["public.orders"]);
    expect(
      await database.query(
        "SELECT total::int, (SELECT count(*)::int FROM mails) AS mails FROM orders WHERE id = 1",
      ),
    ).toEqual([{ total: 1, mails: 0 }]);
    const enabled = await database.query(
      "SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'tell'",
    );
    expect(enabled).toEqual([{ tgenabled: "A" }]);
  });

  test.for<readonly [name: string, script: string, code: string, text: string]>([
    ["a table that is gone", "DROP TABLE items", "restore.table_missing", "public.items"],
    [
      "a table without a key",
      "ALTER TABLE items DROP CONSTRAINT items_pkey",
      "restore.no_key",
      "public.items",
    ],
    [
      "a rule",
      "CREATE RULE r AS ON INSERT TO items DO ALSO NOTHING; ALTER TABLE items ENABLE ALWAYS RULE r",
      "restore.triggers_fire",
      "rule r",
    ],
    [
      "a table without the right to write",
      "ALTER TABLE items OWNER TO plain; GRANT SELECT ON items TO app",
      "restore.target_refuses",
      "without insert, update on public.items",
    ],
    [
      "a parent that it may not hold",
      "ALTER TABLE orders OWNER TO plain; GRANT SELECT ON orders TO app",
      "restore.target_refuses",
      "without update on public.orders",
    ],
    [
      "a sequence that it may not set",
      "ALTER TABLE items ADD s serial; ALTER SEQUENCE items_s_seq OWNED BY NONE; ALTER SEQUENCE items_s_seq OWNER TO plain",
      "restore.target_refuses",
      "items_s_seq",
    ],
    [
      "a deferrable exclusion",
      "ALTER TABLE items ADD EXCLUDE (order_id WITH =, line WITH =) DEFERRABLE",
      "restore.object_refused",
      "deferrable exclusion",
    ],
  ])("refused: %s", async ([, script, code, text]) => {
    await using database = await openShop();
    await database.psql(script);
    await expect(planOf(["public.items"])).rejects.toThrow(refused(code, text));
  });

  test("refused: a role that row security shows a part only, of the table or of one that refers to it", async () => {
    await using database = await openShop();
    await database.psql(`
      GRANT ALL ON ALL TABLES IN SCHEMA public TO plain; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain;
      GRANT USAGE ON SCHEMA public TO plain; ALTER TABLE orders ENABLE ROW LEVEL SECURITY, DISABLE TRIGGER tell`);
    await expect(planOf(["public.orders"], {}, "plain")).rejects.toThrow(
      refused("restore.rows_hidden", "public.orders"),
    );
    await expect(planOf(["public.customers"], {}, "plain")).rejects.toThrow(
      refused("restore.rows_hidden", "public.orders"),
    );
    await using seen = await planOf(["public.orders"]);
    expect(seen.tables).toMatchObject([{ unchanged: 100n }]);
  });

  test("refused: a superuser, unless the source is trusted; a role without temporary tables", async () => {
    await using database = await openShop();
    const options = partialOptions(made, database.url, ["public.items"]);
    await expect(planPartialRestore(options)).rejects.toThrow(refused("restore.superuser_refused"));
    await using plan = await planPartialRestore({ ...options, trustSource: true });
    expect(plan.tables).toMatchObject([{ unchanged: 300n }]);
    // What a check of the application runs as it, could become the superuser.
    const boss = database.cluster.superuser;
    await database.psql(`GRANT "${boss}" TO app`);
    try {
      await expect(planOf(["public.items"])).rejects.toThrow(
        refused("restore.superuser_refused", "member of one"),
      );
    } finally {
      await database.psql(`REVOKE "${boss}" FROM app`);
    }
    await database.psql(`REVOKE TEMPORARY ON DATABASE ${database.name} FROM PUBLIC`);
    await expect(planOf(["public.items"])).rejects.toThrow(
      refused("restore.target_refuses", "temporary"),
    );
  });

  test("refused: keys and conditions that are none", async () => {
    await using database = await openShop();
    const wrong = (rows: Omit<Exclude<Wanted, string>, "table">): Promise<unknown> =>
      planOf([{ table: "public.items", ...rows }]);
    await expect(wrong({ keys: [["x", "1"]] })).rejects.toThrow(
      refused("restore.key_mismatch", '"x"'),
    );
    await expect(wrong({ keys: [["1"]] })).rejects.toThrow(
      refused("restore.key_mismatch", "order_id, line"),
    );
    await expect(
      wrong({
        keys: [
          ["1", "1"],
          ["1", "9"],
        ],
      }),
    ).rejects.toThrow(refused("restore.key_not_found", "1 of 2"));
    for (const condition of [
      "nothing = 1",
      "true); DELETE FROM public.items; SELECT (true",
      "true)) AS picked; COMMIT; DELETE FROM public.items; INSERT INTO pg_temp.sparekeep_picks_1 SELECT 1, false FROM (SELECT 1 WHERE (true",
      "1",
      "(SELECT setval('public.orders_id_seq', 1)) > 0",
    ]) {
      await expect(wrong({ condition })).rejects.toThrow(refused("restore.condition_refused"));
    }
    expect(await database.query("SELECT count(*)::int AS n FROM items")).toEqual([{ n: 300 }]);
  });

  test("damaged rows of the snapshot never reach the target", async () => {
    await using database = await openShop();
    await database.psql("DELETE FROM items WHERE order_id = 1");
    const [file = ""] = [...made.files.files.keys()].filter((path) => path.includes("/items/"));
    const bytes = Buffer.from(made.files.files.get(file) ?? "");
    bytes.write("q", bytes.indexOf("part"));
    made.files.files.set(file, bytes);
    await expect(planOf(["public.items"])).rejects.toThrow(refused("restore.file_differs"));
    expect(await database.query("SELECT count(*)::int AS n FROM items")).toEqual([{ n: 297 }]);
  });

  test("a value that the target's type no longer takes is named", async () => {
    await using database = await openShop(
      "CREATE TYPE mood AS ENUM ('ok', 'bad'); CREATE TABLE m (id int PRIMARY KEY, mood mood); INSERT INTO m VALUES (1, 'bad');",
    );
    await database.psql(
      "DROP TABLE m; DROP TYPE mood; CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE m (id int PRIMARY KEY, mood mood); ALTER TABLE m OWNER TO app",
    );
    await expect(planOf(["public.m"])).rejects.toThrow(refused("restore.rows_refused", '"bad"'));
  });

  test("a parent that another session is deleting is waited for, and none of ours is left without one", async () => {
    await using database = await openShop(
      "CREATE TABLE up (id int PRIMARY KEY); CREATE TABLE down (id int PRIMARY KEY, up int REFERENCES up); INSERT INTO up VALUES (1), (2); INSERT INTO down VALUES (1, 1);",
    );
    await database.psql("DELETE FROM down");
    await using other = await connect({
      url: new Secret(database.url),
      applicationName: "other",
      readOnly: false,
    });
    const deleting = async (): Promise<void> => {
      await other.query("BEGIN");
      await other.query("DELETE FROM public.up WHERE id = 1");
    };
    await expect(restore(["public.down"], {}, deleting)).rejects.toThrow(
      refused("postgres.lock_timeout"),
    );
    await other.query("ROLLBACK");
    const deleted = async (): Promise<void> =>
      void (await database.psql("DELETE FROM up WHERE id = 1"));
    await expect(restore(["public.down"], {}, deleted)).rejects.toThrow(
      refused("restore.orphans", "down_up_fkey of public.down to public.up"),
    );
    expect(await database.query("SELECT * FROM down")).toEqual([]);
  });

  test("a row that something took away again on the way is noticed, and all is rolled back", async () => {
    await using database = await openShop(`
      CREATE FUNCTION takes() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
        IF NOT current_setting('transaction_read_only')::boolean THEN DELETE FROM public.w WHERE id = 1; END IF; RETURN true; END $$;
      CREATE TABLE w (id int PRIMARY KEY, CHECK (id < 2 OR takes())); INSERT INTO w VALUES (2), (1);`);
    await database.psql("DELETE FROM w WHERE id = 2");
    await expect(restore(["public.w"])).rejects.toThrow(
      refused("restore.merge_unproven", "1 rows of public.w"),
    );
    expect(await database.query("SELECT id FROM w")).toEqual([{ id: 1 }]);
  });

  test("a writer that does not let go ends it, and an interrupted one changed nothing", async () => {
    await using database = await openShop();
    await database.psql("DELETE FROM items WHERE order_id = 1");
    await using holder = await connect({
      url: new Secret(database.url),
      applicationName: "holder",
      readOnly: false,
    });
    const hold = async (): Promise<void> => {
      await holder.query("BEGIN");
      await holder.query("UPDATE public.items SET note = 'busy' WHERE order_id = 2");
    };
    await expect(restore(["public.items"], {}, hold)).rejects.toThrow(
      refused("postgres.lock_timeout"),
    );
    const controller = new AbortController();
    const waiting = restore(["public.items"], { signal: controller.signal });
    const queued = "SELECT FROM pg_locks WHERE relation = 'items'::regclass AND NOT granted";
    while ((await database.query(queued)).length === 0)
      await database.query("SELECT pg_sleep(0.05)");
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ kind: "cancelled" });
    await holder.query("ROLLBACK");
    expect(await database.query("SELECT count(*)::int AS n FROM items")).toEqual([{ n: 297 }]);
    await restore(["public.items"]);
    expect(await database.query("SELECT count(*)::int AS n FROM items")).toEqual([{ n: 300 }]);
  });
});
