import { chmodSync, existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ITEM_KINDS, planRelease, planRestore } from "../../src/restore/index.ts";
import { startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { releaseOptions } from "../support/release.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";

/** A source whose event triggers, and all that they could see of a release, attack whoever is a superuser. */
const script = (marker: string): string => `
CREATE ROLE evil LOGIN;
CREATE SCHEMA app AUTHORIZATION evil;
CREATE EXTENSION postgres_fdw SCHEMA public;
CREATE EXTENSION dblink SCHEMA public;
SET ROLE evil;
CREATE TABLE app.t (a int);
CREATE FUNCTION app.attack() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
  COPY (SELECT 1) TO PROGRAM 'touch ${marker}';
  RETURN 1;
EXCEPTION WHEN insufficient_privilege THEN RETURN 0;
END $$;
CREATE FUNCTION app.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM app.attack(); END';
CREATE FUNCTION app.on_row() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM app.attack(); PERFORM dblink_connect('x'); RETURN NEW; END $$;
CREATE TRIGGER tell AFTER INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.on_row();
CREATE VIEW app.v AS SELECT app.attack() FROM public.dblink('x', 'y') AS q(a int);
RESET ROLE;
CREATE SERVER inside FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/tmp');
ALTER SERVER inside OWNER TO evil;
CREATE USER MAPPING FOR evil SERVER inside OPTIONS (user 'postgres', password_required 'false');
CREATE PUBLICATION p FOR TABLE app.t;
CREATE EVENT TRIGGER usual ON ddl_command_end EXECUTE FUNCTION app.on_ddl();
ALTER EVENT TRIGGER usual DISABLE;
CREATE EVENT TRIGGER always ON ddl_command_end EXECUTE FUNCTION app.on_ddl();
ALTER EVENT TRIGGER always DISABLE;
`;

describe("a release of what a hostile source defined", () => {
  let folder = "";
  let source: Cluster;
  let made: Made;
  const marker = (): string => join(folder, "marker");

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sparekeep-release-"));
    // The server runs as another user.
    chmodSync(folder, 0o777);
    source = await startCluster({ superuser: "postgres" });
    await source.createDatabase("app");
    await source.psql(script(marker()), "app");
    await source.psql(
      "ALTER EVENT TRIGGER always ENABLE ALWAYS; ALTER EVENT TRIGGER usual ENABLE;",
      "app",
    );
    // The source's own superuser, who has only himself to blame.
    await rm(marker(), { force: true });
    made = await captureForRestore(source.url("app"));
  });

  afterAll(async () => {
    await source[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  async function restored(): Promise<Cluster> {
    const target = await startCluster();
    const result = await (await planRestore(restoreOptions(made, target.url("back")))).execute();
    expect(result.issues).toEqual([]);
    return target;
  }

  test("runs nothing of it as a superuser, and its mapping gets no superuser's leave", async () => {
    await using target = await restored();
    const url = target.url("back");
    const plan = await planRelease(releaseOptions(made, url, { kinds: ITEM_KINDS }));
    const result = await plan.execute();
    expect(result.released.filter(({ outcome }) => outcome === "failed")).toMatchObject([
      { id: "user mapping evil on inside", message: expect.stringMatching(/superuser/) as unknown },
    ]);
    expect(existsSync(marker())).toBe(false);
    const rows = await target.query(
      `SELECT evtname AS name, evtenabled AS enabled FROM pg_event_trigger
       UNION ALL SELECT usename, 'mapping' FROM pg_user_mappings ORDER BY 1`,
      { database: "back" },
    );
    expect(rows).toEqual([
      { name: "always", enabled: "A" },
      { name: "usual", enabled: "O" },
    ]);
    // From here on a superuser's change of the schema is his own affair, and ours would be one.
    await target.query("DROP PUBLICATION p", { database: "back" });
    expect(existsSync(marker())).toBe(true);
    await rm(marker());
    const later = planRelease(releaseOptions(made, url, { items: ["publication p"] }));
    await expect(later).rejects.toMatchObject({
      code: "restore.item_refused",
      message: expect.stringContaining("event trigger always") as unknown,
    });
    await target.query("ALTER EVENT TRIGGER always ENABLE; ALTER EVENT TRIGGER usual ENABLE", {
      database: "back",
    });
    await rm(marker(), { force: true });
    const held = await planRelease(releaseOptions(made, url, { items: ["publication p"] }));
    expect(await held.execute()).toMatchObject({ outcome: "complete" });
    expect(existsSync(marker())).toBe(false);
  });
});

describe("a release", () => {
  let source: Cluster;
  let target: Cluster;
  let made: Made;

  beforeAll(async () => {
    source = await startCluster({ superuser: "postgres" });
    target = await startCluster();
    await source.createDatabase("app");
    await source.psql(
      `CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE PUBLICATION p FOR TABLE t; CREATE PUBLICATION q;
       CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1 password=hush' PUBLICATION p WITH (connect = false)`,
      "app",
    );
    made = await captureForRestore(source.url("app"));
    await (await planRestore(restoreOptions(made, target.url("back")))).execute();
  });

  afterAll(async () => {
    await source[Symbol.asyncDispose]();
    await target[Symbol.asyncDispose]();
  });

  const plan = (items: readonly string[], url = target.url("back"), more = {}) =>
    planRelease(releaseOptions(made, url, { items }, more));

  test("refuses the source, and a database that is not there", async () => {
    await expect(plan([], source.url("app"))).rejects.toMatchObject({
      code: "restore.target_is_source",
    });
    await expect(plan([], target.url("nowhere"))).rejects.toMatchObject({
      code: "restore.target_missing",
    });
  });

  test("refuses a restore that is not finished", async () => {
    const stopped = new AbortController();
    const restore = await planRestore(
      restoreOptions(made, target.url("half"), {
        signal: stopped.signal,
        onProgress: ({ step }) => {
          if (step === "tables") stopped.abort();
        },
      }),
    );
    await expect(restore.execute()).rejects.toMatchObject({ kind: "cancelled" });
    await expect(plan([], target.url("half"))).rejects.toMatchObject({
      code: "restore.target_unfinished",
    });
  });

  test("refuses what there is not, and what cannot be, before it writes", async () => {
    await expect(plan(["publication r"])).rejects.toMatchObject({ code: "restore.item_unknown" });
    await expect(plan(["publication p", "subscription s"])).rejects.toMatchObject({
      code: "restore.item_refused",
      message: expect.stringContaining("slot of its own") as unknown,
    });
    const { items } = await plan([]);
    expect(items.map(({ state }) => state)).toEqual(["withheld", "withheld", "refused"]);
    expect(JSON.stringify(items)).not.toContain("hush");
  });

  test("touches nothing that could not be recorded before", async () => {
    const refused = await plan(["publication p"], target.url("back"), {
      onItem: () => Promise.reject(new Error("no audit log")),
    });
    await expect(refused.execute()).rejects.toThrow("no audit log");
    expect((await plan([])).items[0]).toMatchObject({ state: "withheld" });
  });

  test("calls nothing released that is not there afterwards", async () => {
    const both = await plan(["publication p", "publication q"], target.url("back"), {
      onItem: async (id: string) => {
        // Somebody drops the first while the second is made.
        if (id === "publication q") await target.query("DROP PUBLICATION p", { database: "back" });
      },
    });
    expect(await both.execute()).toEqual({
      outcome: "incomplete",
      released: [
        { id: "publication p", outcome: "failed", message: "not there after it was released" },
        { id: "publication q", outcome: "released" },
      ],
    });
  });

  test("waits for nobody, and clears away what another left behind", async () => {
    const mark = "sparekeep: releases withheld objects of database back";
    await target.psql(
      `CREATE ROLE sparekeep_release_0a; COMMENT ON ROLE sparekeep_release_0a IS '${mark}'`,
      "back",
    );
    const first = await plan(["publication p"], target.url("back"), {
      onItem: async () => {
        const second = await plan(["publication p"]);
        await expect(second.execute()).rejects.toMatchObject({ code: "restore.release_runs" });
      },
    });
    expect(await first.execute()).toMatchObject({ outcome: "complete" });
    await expect(first.execute()).rejects.toMatchObject({ code: "restore.plan_spent" });
    expect(await target.query("SELECT FROM pg_roles WHERE rolname ~ '^sparekeep_release'")).toEqual(
      [],
    );
  });
});

describe("a release by an ordinary login", () => {
  test("does what the login may, and names what it may not", async () => {
    await using source = await startCluster({ superuser: "postgres" });
    await source.createDatabase("app");
    await source.psql(
      `CREATE ROLE op LOGIN; CREATE ROLE other;
       CREATE EXTENSION dblink SCHEMA public;
       CREATE FUNCTION call() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM http_get(NULL); RETURN NEW; END';
       CREATE SCHEMA s AUTHORIZATION other;
       CREATE TABLE mine (a int); CREATE TABLE s.theirs (a int);
       CREATE TRIGGER tell AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION call();
       CREATE PUBLICATION p FOR TABLE mine; CREATE PUBLICATION q FOR TABLE s.theirs;
       ALTER TABLE mine OWNER TO op; ALTER FUNCTION call OWNER TO op; ALTER TABLE s.theirs OWNER TO other;
       CREATE FUNCTION ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
       CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION ddl()`,
      "app",
    );
    const made = await captureForRestore(source.url("app"));
    await using target = await startCluster();
    await target.query("CREATE ROLE op LOGIN CREATEDB CREATEROLE PASSWORD 'of op'");
    const url = target.url("back", { name: "op", password: "of op" });
    await (await planRestore(restoreOptions(made, url))).execute();
    const plan = await planRelease(releaseOptions(made, url, { kinds: ITEM_KINDS }));
    expect(plan.refused.map(({ id, why }) => [id, why])).toEqual([
      ["extension dblink", "only a superuser may install it"],
      ["event trigger e", "only a superuser may create one"],
    ]);
    const result = await plan.execute();
    expect(result).toMatchObject({
      outcome: "incomplete",
      released: [
        { id: "publication p", outcome: "released" },
        {
          id: "publication q",
          outcome: "failed",
          message: expect.stringContaining("permission denied for schema s") as unknown,
          hint: expect.stringMatching(/run: .*ADD TABLE ONLY "s"\."theirs"/) as unknown,
        },
        { id: "trigger public.mine tell", outcome: "released" },
      ],
    });
  });
});
