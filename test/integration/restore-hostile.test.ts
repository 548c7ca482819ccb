import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { planRestore } from "../../src/restore/index.ts";
import { createTestDatabase, startCluster, testPrograms } from "../support/cluster.ts";
import type { Cluster, TestDatabase } from "../support/cluster.ts";
import { captureByHand } from "../support/hand-capture.ts";
import { runRestoreScript, writeSnapshotFolder } from "../support/recovered-folder.ts";
import { restoreOptions } from "../support/restore.ts";

/**
 * A source whose functions are harmless while it is built and attack ever after: each first tries to become who
 * logged in, then every superuser, then runs a program of the server.
 */
const WAYS = ["index", "view", "generated", "check", "statistics", "default", "trigger", "policy"];

const harmless = (way: string): string =>
  `CREATE FUNCTION by_${way}(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN a; END';`;

const armed = (way: string): string =>
  `CREATE OR REPLACE FUNCTION by_${way}(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE
     AS 'BEGIN PERFORM public.attack(''${way}''); RETURN a; END';`;

function script(marker: string): string {
  return `
CREATE FUNCTION attack(way text) RETURNS void LANGUAGE plpgsql AS $attack$
DECLARE
  other text;
BEGIN
  RAISE LOG 'attack by % as % of %', way, current_user, session_user;
  BEGIN EXECUTE 'RESET SESSION AUTHORIZATION'; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN EXECUTE 'RESET ROLE'; EXCEPTION WHEN OTHERS THEN NULL; END;
  FOR other IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper OR rolcreaterole OR rolname ~ '^pg_' LOOP
    BEGIN EXECUTE pg_catalog.format('SET ROLE %I', other); EXCEPTION WHEN OTHERS THEN NULL; END;
    BEGIN EXECUTE pg_catalog.format('GRANT %I TO CURRENT_USER', other); EXCEPTION WHEN OTHERS THEN NULL; END;
  END LOOP;
  BEGIN
    EXECUTE pg_catalog.format('COPY (SELECT 1) TO PROGRAM %L', 'touch ${marker}');
  EXCEPTION WHEN OTHERS THEN NULL; END;
END $attack$;
${WAYS.map(harmless).join("\n")}
CREATE DOMAIN careful AS int CHECK (by_check(VALUE) IS NOT NULL);
CREATE TABLE t (a int, d int DEFAULT by_default(1), c careful,
  g int GENERATED ALWAYS AS (by_generated(a)) STORED, CHECK (by_check(a) IS NOT NULL));
INSERT INTO t (a, c) SELECT n, n FROM generate_series(1, 50) AS n;
CREATE INDEX ON t (by_index(a));
CREATE STATISTICS s ON (by_statistics(a)), a FROM t;
CREATE MATERIALIZED VIEW v AS SELECT by_view(a) FROM t;
CREATE INDEX ON v (by_view);
CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  AS 'BEGIN PERFORM public.by_trigger(1); RETURN NEW; END';
CREATE TRIGGER always BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION on_row();
ALTER TABLE t ENABLE ALWAYS TRIGGER always;
CREATE POLICY p ON t USING (by_policy(a) = a);
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
ALTER TABLE t FORCE ROW LEVEL SECURITY;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM public.attack(''event''); END';
CREATE ROLE helper CREATEROLE;
GRANT pg_execute_server_program TO helper;
${WAYS.map(armed).join("\n")}
ALTER ROLE helper SET session_preload_libraries = 'evil';
CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION on_ddl();
ALTER EVENT TRIGGER e DISABLE;
`;
}

describe("a hostile source", () => {
  let folder = "";
  let marker = "";

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "sparekeep-hostile-"));
    // The server runs as another user.
    chmodSync(folder, 0o777);
    marker = join(folder, "marker");
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  async function startSource(): Promise<{ cluster: Cluster; database: TestDatabase }> {
    const cluster = await startCluster({ superuser: "postgres" });
    const database = await createTestDatabase({ cluster, script: script(marker) });
    await database.query("ALTER EVENT TRIGGER e ENABLE");
    expect(existsSync(marker)).toBe(false);
    return { cluster, database };
  }

  function attacks(cluster: Cluster): Set<string> {
    const log = readFileSync(join(cluster.folder, "log"), "utf8");
    return new Set([...log.matchAll(/attack by (\w+) as/g)].map((match) => match[1] ?? ""));
  }

  test("runs a program where pg_restore builds as superuser: the trap", async () => {
    const source = await startSource();
    await using _cluster = source.cluster;
    await using target = await startCluster();
    await target.createDatabase("trapped");
    const { pg_dump: dump, pg_restore: restore } = testPrograms();
    const archive = execFileSync(dump, ["-Fc", "--no-owner", `-d${source.database.url}`]);
    execFileSync(restore, ["--no-owner", `-d${target.url("trapped")}`], { input: archive });
    expect(existsSync(marker)).toBe(true);
  });

  test("runs nothing when we restore it as a superuser", async () => {
    const source = await startSource();
    await using _cluster = source.cluster;
    const made = await captureByHand(source.database);
    await using target = await startCluster();
    const plan = await planRestore(restoreOptions(made, target.url("safe")));
    const result = await plan.execute();
    expect(result.issues).toEqual([]);
    expect(existsSync(marker)).toBe(false);
    // They did run, and tried.
    expect([...attacks(target)].sort()).toEqual([
      "check",
      "generated",
      "index",
      "statistics",
      "view",
    ]);
    const withheld = result.withheld.map(({ object }) => object);
    expect(withheld).toContain("EVENT TRIGGER e");
    expect(withheld).toContain("ROLE helper SET session_preload_libraries");
    const rights = await target.query(
      `SELECT pg_has_role('helper', 'pg_execute_server_program', 'MEMBER') AS program,
              (SELECT rolsuper FROM pg_roles WHERE rolname = 'postgres') AS super,
              (SELECT count(*)::int FROM pg_event_trigger) AS events,
              (SELECT count(*)::int FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
                WHERE r.rolsuper AND d.deptype = 'o') AS superusers_own,
              (SELECT count(*)::int FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
                WHERE r.rolsuper AND p.oid >= 16384) AS superuser_functions`,
      { database: "safe" },
    );
    expect(rights).toEqual([
      { program: false, super: false, events: 0, superusers_own: 0, superuser_functions: 0 },
    ]);
  });

  test("runs nothing when restore.sh restores it as a superuser", async () => {
    const source = await startSource();
    await using _cluster = source.cluster;
    const made = await captureByHand(source.database);
    const recovered = await writeSnapshotFolder(made);
    await using target = await startCluster();
    await target.createDatabase("another");
    await target.createDatabase("safe");
    const ended = runRestoreScript(recovered, target, "safe");
    expect(ended).toEqual({ status: 0, output: expect.stringContaining("everything is there") });
    expect(existsSync(marker)).toBe(false);
    expect(attacks(target)).toContain("index");
    expect(attacks(target)).toContain("view");
    await rm(recovered, { recursive: true });
  });

  test("is refused where the source's owner is a superuser at the target", async () => {
    const source = await startSource();
    await using _cluster = source.cluster;
    const made = await captureByHand(source.database);
    await using target = await startCluster({ superuser: "postgres" });
    await expect(planRestore(restoreOptions(made, target.url("safe")))).rejects.toThrow(
      expect.objectContaining({ code: "restore.role_collision" }),
    );
    const recovered = await writeSnapshotFolder(made);
    await target.createDatabase("another");
    await target.createDatabase("safe");
    const ended = runRestoreScript(recovered, target, "safe");
    expect(ended.status).toBe(2);
    expect(ended.output).toContain("role postgres owns objects");
    expect(await readFile(join(target.folder, "log"), "utf8")).not.toContain("attack by");
    await rm(recovered, { recursive: true });
  });
});
