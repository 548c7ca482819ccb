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
});
