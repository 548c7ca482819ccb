import { afterEach, describe, expect, test } from "vitest";
import { planRestore } from "../../src/restore/index.ts";
import {
  createTestDatabase,
  failOnLeakedSessions,
  sharedCluster,
  startCluster,
} from "../support/cluster.ts";
import { captureByHand } from "../support/hand-capture.ts";
import { restoreOptions } from "../support/restore.ts";

const SCRIPT = `
CREATE ROLE app_owner LOGIN CREATEROLE;
CREATE ROLE anon;
GRANT anon TO app_owner;
ALTER ROLE app_owner SET search_path = app, public;
CREATE SCHEMA app AUTHORIZATION app_owner;
SET ROLE app_owner;
CREATE TYPE app.mood AS ENUM ('sad', 'ok');
CREATE TABLE app.parts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, m app.mood,
  upper_name text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE app.offers (id serial PRIMARY KEY, part bigint NOT NULL REFERENCES app.parts, price numeric);
INSERT INTO app.parts (name, m) SELECT 'part ' || n, 'ok' FROM generate_series(1, 500) AS n;
INSERT INTO app.offers (part, price) SELECT n, n * 1.5 FROM generate_series(1, 500) AS n;
CREATE INDEX ON app.parts (lower(name));
CREATE MATERIALIZED VIEW app.counts AS SELECT m, count(*) FROM app.parts GROUP BY m;
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE INSERT ON app.parts FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.parts ENABLE ALWAYS TRIGGER touch;
ALTER TABLE app.parts ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON app.parts FOR SELECT TO anon USING (true);
GRANT USAGE ON SCHEMA app TO anon;
GRANT SELECT ON app.parts TO anon WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO anon;
COMMENT ON TABLE app.parts IS 'parts; all of them';
RESET ROLE;
SELECT lo_from_bytea(4711, 'hello');
ALTER LARGE OBJECT 4711 OWNER TO app_owner;
`;

describe("a restore into an empty cluster", () => {
  afterEach(async () => failOnLeakedSessions(await sharedCluster()));

  test("brings the database back, owners and rights included", async () => {
    await using source = await createTestDatabase({ script: SCRIPT });
    const made = await captureByHand(source);
    await using target = await startCluster();
    const plan = await planRestore(restoreOptions(made, target.url("back")));
    const result = await plan.execute();
    expect(result.issues).toEqual([]);
    expect(result.outcome).toBe("complete");
    expect(result.verified).toEqual({ tables: 2, rows: 1000n });
    const owners = await target.query<{ owner: string }>(
      `SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relnamespace = 'app'::regnamespace`,
      { database: "back" },
    );
    expect(owners).toEqual([{ owner: "app_owner" }]);
    const leftovers = await target.query(
      "SELECT rolname FROM pg_roles WHERE rolname LIKE 'sparekeep%'",
    );
    expect(leftovers).toEqual([]);
    expect(
      await target.query("SELECT count(*)::int AS n FROM app.counts", { database: "back" }),
    ).toEqual([{ n: 1 }]);
    await target.query("DROP DATABASE back");
  });

  test("adds to a configuration table the rows that were the user's", async () => {
    await using source = await createTestDatabase({
      script: "CREATE TABLE conf (a int); INSERT INTO conf VALUES (1), (2), (3);",
    });
    const made = await captureByHand(source);
    const { database } = made.manifest;
    const [table] = database.tables;
    const missing = { ...table!, name: "of_an_absent_extension", condition: "WHERE a > 1" };
    const tables = [{ ...table!, condition: "WHERE a > 0" }, missing];
    const manifest = { ...made.manifest, database: { ...database, tables } };
    await using target = await startCluster();
    const plan = await planRestore(restoreOptions({ ...made, manifest }, target.url("back")));
    const result = await plan.execute();
    expect(result.issues).toEqual([]);
    expect(result.verified).toEqual({ tables: 1, rows: 3n });
    expect(result.withheld).toContainEqual({
      object: "TABLE public.of_an_absent_extension",
      reason: "configuration of an extension that was left out",
    });
  });

  test("does not refresh a view as a role that could become a superuser", async () => {
    await using sourceCluster = await startCluster({ superuser: "source_boot" });
    await using source = await createTestDatabase({
      cluster: sourceCluster,
      script: `CREATE ROLE app; CREATE SCHEMA app AUTHORIZATION app; SET ROLE app;
        CREATE MATERIALIZED VIEW app.one AS SELECT 1 AS a;`,
    });
    const made = await captureByHand(source);
    await using target = await startCluster();
    await target.query("CREATE ROLE app CREATEROLE");
    const result = await (await planRestore(restoreOptions(made, target.url("back")))).execute();
    expect(result.issues).toEqual([
      {
        code: "view_not_refreshed",
        object: "MATERIALIZED VIEW app.one",
        message: "its owner app could become a superuser here",
        hint: "Refresh it by hand.",
        cause: "restore.object_refused",
      },
    ]);
  });

  test("falls back on the source's search path where a function counts on it", async () => {
    await using source = await createTestDatabase({
      script: `CREATE FUNCTION rate() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2';
        CREATE FUNCTION doubled(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN a * rate(); END';
        CREATE TABLE t (a int, b int GENERATED ALWAYS AS (doubled(a)) STORED, CHECK (doubled(a) > 0));
        INSERT INTO t (a) VALUES (1), (2);
        CREATE INDEX ON t (doubled(a));
        CREATE MATERIALIZED VIEW v AS SELECT doubled(a) FROM t;`,
    });
    const made = await captureByHand(source);
    await using target = await startCluster();
    const plan = await planRestore(restoreOptions(made, target.url("back")));
    const result = await plan.execute();
    expect(result.issues).toEqual([]);
    const rows = await target.query(
      "SELECT (SELECT array_agg(b ORDER BY b) FROM t) AS b, (SELECT array_agg(doubled ORDER BY doubled) FROM v) AS v",
      { database: "back" },
    );
    expect(rows).toEqual([{ b: [2, 4], v: [2, 4] }]);
  });
});
