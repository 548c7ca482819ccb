import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createTestDatabase, startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { captureByHand } from "../support/hand-capture.ts";
import { runRestoreScript, writeSnapshotFolder } from "../support/recovered-folder.ts";

/** Clusters of tests are copies of one, so they share its identifier: another oid tells the databases apart. */
async function createTarget(target: Cluster): Promise<void> {
  await target.createDatabase("another");
  await target.createDatabase("back");
}

const HOSTILE = `odd "name" 'x' $(touch /tmp/x) \`y\` \\ ; -- %s`;

const SCRIPT = `
CREATE ROLE ${JSON.stringify(HOSTILE).replaceAll('\\"', '""').replaceAll("\\\\", "\\")};
CREATE ROLE owner_1 LOGIN CREATEDB;
CREATE SCHEMA app AUTHORIZATION owner_1;
SET ROLE owner_1;
CREATE TABLE app.parts (id int PRIMARY KEY, name text);
INSERT INTO app.parts SELECT n, 'part ' || n FROM generate_series(1, 300) AS n;
CREATE TABLE app."${HOSTILE.replaceAll('"', '""')}" (a int, "b ""c" text);
INSERT INTO app."${HOSTILE.replaceAll('"', '""')}" VALUES (1, E'tab\\t and \\\\ line\\n');
CREATE TABLE app."sla/sh" (a int);
INSERT INTO app."sla/sh" VALUES (7);
CREATE TABLE app.nothing ();
INSERT INTO app.nothing DEFAULT VALUES;
CREATE MATERIALIZED VIEW app.counts AS SELECT count(*) FROM app.parts;
CREATE SEQUENCE app.numbers START 5; SELECT nextval('app.numbers');
GRANT USAGE ON SCHEMA app TO PUBLIC;
GRANT SELECT ON app.parts TO PUBLIC;
RESET ROLE;
SELECT lo_from_bytea(4711, decode(repeat('00ff0a5c', 20000), 'hex'));
ALTER LARGE OBJECT 4711 OWNER TO owner_1;
ALTER ROLE owner_1 SET search_path = app, "$user";
`;

describe("restore.sh", () => {
  test("brings the database back with psql and pg_restore alone", async () => {
    await using sourceCluster = await startCluster();
    await using source = await createTestDatabase({ cluster: sourceCluster, script: SCRIPT });
    const made = await captureByHand(source);
    const folder = await writeSnapshotFolder(made);
    await using target = await startCluster();
    await createTarget(target);
    // As the repository divides a huge folder.
    await mkdir(join(folder, "database/tables/app/%-p"));
    await rename(
      join(folder, "database/tables/app/parts"),
      join(folder, "database/tables/app/%-p/parts"),
    );
    const ended = runRestoreScript(folder, target, "back");
    expect(ended.output).not.toMatch(/error/i);
    expect(ended).toEqual(expect.objectContaining({ status: 0 }));
    const facts = await target.query(
      `SELECT (SELECT count(*)::int FROM app.parts) AS parts, (SELECT last_value::int FROM app.numbers) AS last,
              (SELECT count(*)::int FROM app.nothing) AS nothing, (SELECT * FROM app.counts)::int AS counted,
              (SELECT a FROM app."sla/sh") AS slash, md5(lo_get(4711)) AS lo,
              (SELECT pg_get_userbyid(lomowner) FROM pg_largeobject_metadata) AS lo_owner,
              (SELECT string_agg(DISTINCT pg_get_userbyid(relowner), ',') FROM pg_class WHERE relnamespace = 'app'::regnamespace) AS owners,
              (SELECT array_agg(rolname ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'sparekeep%') AS left_roles,
              (SELECT rolcreatedb AND rolcanlogin FROM pg_roles WHERE rolname = 'owner_1') AS attributes,
              has_schema_privilege('public', 'app', 'CREATE') AS open`,
      { database: "back" },
    );
    const [lo] = await source.query("SELECT md5(lo_get(4711)) AS lo");
    expect(facts).toEqual([
      {
        parts: 300,
        last: 5,
        nothing: 1,
        counted: 300,
        slash: 7,
        lo: lo?.["lo"],
        lo_owner: "owner_1",
        owners: "owner_1",
        left_roles: null,
        attributes: true,
        open: false,
      },
    ]);
    const again = runRestoreScript(folder, target, "back");
    expect(again.status).toBe(2);
    expect(again.output).toContain("not empty");
    await rm(folder, { recursive: true });
  });

  test("refuses the source, and says 3 when a table lost a row", async () => {
    await using sourceCluster = await startCluster();
    await using source = await createTestDatabase({
      cluster: sourceCluster,
      script: "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2);",
    });
    const made = await captureByHand(source);
    const folder = await writeSnapshotFolder(made);
    await source.query("DROP TABLE t");
    const refused = runRestoreScript(folder, sourceCluster, source.name);
    expect(refused.output).toContain("the database that the backup was taken of");
    expect(refused.status).toBe(2);
    await using target = await startCluster();
    await createTarget(target);
    await writeFile(join(folder, "database/tables/public/t/0000.copy"), "1\n");
    const ended = runRestoreScript(folder, target, "back");
    expect(ended.output).toContain("DIFFERS public.t: 1 of 2 rows");
    expect(ended.status).toBe(3);
    await rm(folder, { recursive: true });
  });
});
