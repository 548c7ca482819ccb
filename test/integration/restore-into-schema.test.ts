import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { planPartialRestore } from "../../src/restore/index.ts";
import { createTestDatabase, failOnLeakedSessions, startCluster } from "../support/cluster.ts";
import type { Cluster, TestDatabase } from "../support/cluster.ts";
import { partialOptions, restoreRows } from "../support/partial.ts";
import type { Wanted } from "../support/partial.ts";
import { captureForRestore } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";

const SHOP = `
SET ROLE app;
CREATE TYPE mood AS ENUM ('ok', 'not ok');
CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE, referred_by int REFERENCES customers, mood mood);
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL REFERENCES customers, total numeric(12, 2) CHECK (total >= 0),
  vat numeric GENERATED ALWAYS AS (total * 0.15) STORED, place point, made timestamptz DEFAULT now());
CREATE TABLE mails (n int GENERATED ALWAYS AS IDENTITY, body text);
CREATE FUNCTION send() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.mails (body) VALUES (TG_OP); RETURN NEW; END';
INSERT INTO customers SELECT n, 'c' || n, nullif(n / 2, 0), 'not ok' FROM generate_series(1, 40) AS n;
INSERT INTO orders (customer, total, place) SELECT 1 + n % 40, n, point(n, n) FROM generate_series(1, 100) AS n;
CREATE TRIGGER tell AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION send();
CREATE SCHEMA other;
CREATE TABLE other.orders (id int PRIMARY KEY, of bigint REFERENCES public.orders);
INSERT INTO other.orders SELECT n, n FROM generate_series(1, 5) AS n;
`;

describe("rows of a snapshot in a schema of their own", () => {
  let cluster: Cluster;
  let shop: TestDatabase;
  let made: Made;

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.psql("CREATE ROLE app LOGIN PASSWORD 'app'; CREATE ROLE guest", "postgres");
    shop = await createTestDatabase({ cluster });
    await shop.psql(
      `GRANT ALL ON SCHEMA public TO app; GRANT CREATE ON DATABASE ${shop.name} TO app;${SHOP}`,
    );
    made = await captureForRestore(shop.url);
  });
  afterAll(() => cluster[Symbol.asyncDispose]());
  afterEach(() => failOnLeakedSessions(cluster));

  const target = (): string => cluster.url(shop.name, { name: "app", password: "app" });
  const into = (schema: string): { form: { kind: "schema"; schema: string } } => ({
    form: { kind: "schema", schema },
  });
  const restore = (
    schema: string,
    wanted: readonly Wanted[],
    more = {},
  ): ReturnType<typeof restoreRows> =>
    restoreRows(made, target(), wanted, { ...into(schema), ...more });

  test("a table comes back beside what stands, with its key and the parents that it needs", async () => {
    await using _dropped = {
      [Symbol.asyncDispose]: async () => void (await shop.psql("DROP SCHEMA side CASCADE")),
    };
    const before = await shop.query("SELECT json_agg(o ORDER BY id) AS orders FROM orders AS o");
    const { plan, result } = await restore("side", ["public.orders"]);
    expect(plan.tables).toMatchObject([
      { table: "public.orders", into: "side.orders", rows: 100n },
      {
        table: "public.customers",
        into: "side.customers",
        rows: 40n,
        because: expect.stringContaining("orders_customer_fkey") as unknown,
      },
    ]);
    expect(result).toMatchObject({ outcome: "complete", foreignKeysProven: 2 });
    const same = `SELECT count(*)::int AS n FROM side.orders AS s JOIN public.orders AS o
      ON (s.id, s.customer, s.total, s.made) = (o.id, o.customer, o.total, o.made) AND s.place ~= o.place`;
    expect(await shop.query(same)).toEqual([{ n: 100 }]);
    expect(
      await shop.query(
        "SELECT DISTINCT mood::text, pg_typeof(mood)::text AS type FROM side.customers",
      ),
    ).toEqual([{ mood: "not ok", type: "mood" }]);
    const kept = await shop.query(`
      SELECT conrelid::regclass::text || ' ' || contype::text || ' ' || confrelid::regclass AS kept FROM pg_constraint
       WHERE connamespace = 'side'::regnamespace ORDER BY 1`);
    expect(kept.map((row) => row["kept"])).toEqual([
      "side.customers f side.customers",
      "side.customers p -",
      "side.customers u -",
      "side.orders f side.customers",
      "side.orders p -",
    ]);
    const code = `SELECT (SELECT count(*)::int FROM pg_trigger WHERE tgrelid = 'side.orders'::regclass AND NOT tgisinternal) AS triggers,
      (SELECT count(*)::int FROM pg_attrdef WHERE adrelid = 'side.orders'::regclass) AS defaults, (SELECT count(*)::int FROM mails) AS mails`;
    expect(await shop.query(code)).toEqual([{ triggers: 0, defaults: 0, mails: 0 }]);
    expect(await shop.query("SELECT json_agg(o ORDER BY id) AS orders FROM orders AS o")).toEqual(
      before,
    );
  });

  test("a key alone comes with its chain of parents, and with what refers to it when asked", async () => {
    await using _dropped = {
      [Symbol.asyncDispose]: async () => void (await shop.psql("DROP SCHEMA side CASCADE")),
    };
    const { plan } = await restore("side", [{ table: "public.orders", keys: [["4"]] }], {
      withChildren: true,
    });
    expect(plan.tables.map(({ into: name, rows }) => [name, rows])).toEqual([
      ["side.public_orders", 1n],
      ["side.other_orders", 1n],
      ["side.customers", 3n],
    ]);
    expect(await shop.query("SELECT array_agg(id ORDER BY id) AS ids FROM side.customers")).toEqual(
      [{ ids: [1, 2, 5] }],
    );
  });

  test("tables that are gone from the database come back, types that are gone as text", async () => {
    const away = await createTestDatabase({ cluster });
    await using _away = away;
    await away.psql(`GRANT CREATE ON DATABASE ${away.name} TO app`);
    const url = cluster.url(away.name, { name: "app", password: "app" });
    const { result, plan } = await restoreRows(made, url, ["public.customers"], into("side"));
    expect(plan.targetIsSource).toBe(false);
    expect(result.outcome).toBe("complete");
    expect(
      await away.query("SELECT DISTINCT mood, pg_typeof(mood)::text AS type FROM side.customers"),
    ).toEqual([{ mood: "not ok", type: "text" }]);
  });

  test("nobody else may look, whatever the default privileges give away", async () => {
    await using _undone = {
      [Symbol.asyncDispose]: async () =>
        void (await shop.psql(`DROP SCHEMA side CASCADE; ALTER DEFAULT PRIVILEGES FOR ROLE app REVOKE ALL ON TABLES FROM PUBLIC, guest;
          ALTER DEFAULT PRIVILEGES FOR ROLE app REVOKE ALL ON SCHEMAS FROM guest`)),
    };
    await shop.psql(`ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT ALL ON TABLES TO PUBLIC, guest;
      ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT USAGE ON SCHEMAS TO guest`);
    await restore("side", ["public.customers"]);
    const rights = `SELECT has_schema_privilege('guest', 'side', 'USAGE') AS enters,
      has_table_privilege('guest', 'side.customers', 'SELECT') AS reads`;
    expect(await shop.query(rights)).toEqual([{ enters: false, reads: false }]);
  });

  test.for<readonly [name: string, schema: string, script: string]>([
    [
      "holds something",
      "taken",
      "CREATE SCHEMA taken AUTHORIZATION app; CREATE TABLE taken.t (a int)",
    ],
    ["is somebody else's", "foreign_one", "CREATE SCHEMA foreign_one"],
    ["is reserved", "pg_side", "SELECT 1"],
    ["is ours", "sparekeep_restore", "SELECT 1"],
    ["is cut by the server", "x".repeat(64), "SELECT 1"],
  ])("refused: a schema that %s", async ([, schema, script]) => {
    await shop.psql(script);
    const plan = planPartialRestore(
      partialOptions(made, target(), ["public.orders"], into(schema)),
    );
    await expect(plan).rejects.toMatchObject({ code: "restore.schema_taken" });
  });

  test("an empty one of one's own is taken, one filled after the plan is not", async () => {
    await using _dropped = {
      [Symbol.asyncDispose]: async () => void (await shop.psql("DROP SCHEMA side CASCADE")),
    };
    await shop.psql("CREATE SCHEMA side AUTHORIZATION app");
    const fill = async (): Promise<void> =>
      void (await shop.psql("CREATE TABLE side.mine (a int)"));
    const filled = restoreRows(made, target(), ["public.orders"], into("side"), fill);
    await expect(filled).rejects.toMatchObject({ code: "restore.schema_taken" });
    await shop.psql("DROP TABLE side.mine");
    expect((await restore("side", ["public.orders"])).result.outcome).toBe("complete");
  });

  test("a hostile type is no SQL", async () => {
    await using _dropped = {
      [Symbol.asyncDispose]: async () => void (await shop.psql("DROP SCHEMA side CASCADE")),
    };
    const hostile = "int); DROP TABLE public.mails; CREATE TABLE public.x (a int";
    const tables = made.manifest.database.tables.map((table) =>
      table.name !== "customers"
        ? table
        : {
            ...table,
            columns: table.columns.map((column) =>
              column.name === "mood" ? { ...column, type: hostile } : column,
            ),
          },
    );
    const manifest = { ...made.manifest, database: { ...made.manifest.database, tables } };
    await restoreRows({ ...made, manifest }, target(), ["public.customers"], into("side"));
    expect(
      await shop.query(
        "SELECT to_regclass('public.mails') IS NOT NULL AS mails, to_regclass('public.x') AS x",
      ),
    ).toEqual([{ mails: true, x: null }]);
    expect(
      await shop.query("SELECT DISTINCT pg_typeof(mood)::text AS type FROM side.customers"),
    ).toEqual([{ type: "text" }]);
  });
});
