import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ITEM_KINDS, planRelease, planRestore } from "../../src/restore/index.ts";
import { startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { differencesBetween } from "../support/compare.ts";
import { runRestoreScript, writeSnapshotFolder } from "../support/recovered-folder.ts";
import { releaseOptions } from "../support/release.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";
import { startSink } from "../support/sink.ts";
import type { Sink } from "../support/sink.ts";

/** An application that calls out in every way that this server has, and one trigger that does not. */
const application = (sink: Sink): string => `
CREATE ROLE shop LOGIN PASSWORD 'of the shop';
CREATE SCHEMA shop AUTHORIZATION shop;
CREATE EXTENSION dblink SCHEMA public;
CREATE EXTENSION postgres_fdw SCHEMA public;
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO shop;
SET ROLE shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, note text, stamped bool);
CREATE TABLE shop."Order lines" (id int PRIMARY KEY);
CREATE FUNCTION shop.tell(who text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.dblink_connect('tell', replace('${sink.connectionString("NAME")}', 'NAME', who));
EXCEPTION WHEN sqlclient_unable_to_establish_sqlconnection THEN NULL;
END $$;
CREATE FUNCTION shop.on_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM shop.tell(TG_ARGV[0]);
  RETURN NEW;
END $$;
CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.stamped = true; RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.stamp();
CREATE TRIGGER tell_one AFTER INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.on_order('one');
COMMENT ON TRIGGER tell_one ON shop.orders IS 'tells; the first';
CREATE TRIGGER "Tell 2" AFTER INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.on_order('two');
ALTER TABLE shop.orders ENABLE ALWAYS TRIGGER "Tell 2";
CREATE TRIGGER "x ON y" AFTER INSERT ON shop."Order lines" FOR EACH ROW EXECUTE FUNCTION shop.on_order('lines');
CREATE RULE told AS ON INSERT TO shop."Order lines" DO ALSO SELECT shop.tell('rule');
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
  OPTIONS (host '127.0.0.1', port '${sink.port}', dbname 'it''s', sslmode 'disable', gssencmode 'disable');
CREATE USER MAPPING FOR shop SERVER far OPTIONS (user 'mapped', password 'of the far server');
CREATE FOREIGN TABLE shop.far_parts (id int) SERVER far OPTIONS (table_name 'parts');
CREATE VIEW shop.far_ids AS SELECT id FROM shop.far_parts;
COMMENT ON VIEW shop.far_ids IS 'from afar';
CREATE VIEW shop.linked AS SELECT * FROM public.dblink('${sink.connectionString("view")}', 'SELECT 1') AS q(id int);
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER far TO PUBLIC;
CREATE FUNCTION shop.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM shop.tell('ddl'); END $$;
ALTER FUNCTION shop.on_ddl() OWNER TO shop;
CREATE EVENT TRIGGER "watch; ddl" ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION shop.on_ddl();
COMMENT ON EVENT TRIGGER "watch; ddl" IS 'it''s watching';
CREATE PUBLICATION orders_out FOR TABLE shop.orders (id, note) WHERE (id > 5 AND note <> 'it''s; DROP TABLE x --')
  WITH (publish = 'insert, update');
ALTER PUBLICATION orders_out OWNER TO shop;
ALTER TABLE shop.orders REPLICA IDENTITY FULL;
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE PUBLICATION whole_schema FOR TABLES IN SCHEMA shop WITH (publish_via_partition_root = true);
CREATE SUBSCRIPTION inward CONNECTION 'host=127.0.0.1 port=1 password=of-the-publisher' PUBLICATION p WITH (connect = false);
INSERT INTO shop.orders (id) SELECT 1;
`;

let sink: Sink;
let source: Cluster;
let made: Made;

beforeAll(async () => {
  sink = await startSink();
  source = await startCluster({ superuser: "postgres" });
  await source.createDatabase("shop");
  await source.psql(application(sink), "shop");
  made = await captureForRestore(source.url("shop"));
}, 60_000);

afterAll(async () => {
  await source[Symbol.asyncDispose]();
  await sink[Symbol.asyncDispose]();
});

async function restored(): Promise<Cluster> {
  const target = await startCluster();
  const result = await (await planRestore(restoreOptions(made, target.url("back")))).execute();
  expect(result.issues).toEqual([]);
  expect(result.outcome).toBe("complete");
  await target.query("ALTER ROLE shop PASSWORD 'of the shop'");
  return target;
}

async function release(target: Cluster, ...items: string[]) {
  const plan = await planRelease(releaseOptions(made, target.url("back"), { items }));
  return await plan.execute();
}

let lastOrder = 100;

/** As the application does. */
async function write(target: Cluster): Promise<void> {
  lastOrder += 1;
  const role = { name: "shop", password: "of the shop" };
  for (const table of ["shop.orders", 'shop."Order lines"']) {
    await target.query(`INSERT INTO ${table} (id) VALUES (${lastOrder})`, {
      database: "back",
      role,
    });
  }
}

const leftOf = async (target: Cluster): Promise<readonly string[]> =>
  await differencesBetween(
    { url: source.url("shop"), ignoreRoles: ["postgres", target.superuser] },
    { url: target.url("back"), ignoreRoles: ["postgres", target.superuser] },
  );

describe("a restored application", () => {
  test("calls nobody before it is released, and then exactly what was released calls", async () => {
    const before = await sink.callers();
    // The source's own, when its rows were written.
    expect(before.filter((name) => name === "one")).toHaveLength(1);
    await using target = await restored();
    await write(target);
    const [stamped] = await target.query("SELECT stamped FROM shop.orders WHERE id > 100", {
      database: "back",
    });
    expect(stamped).toEqual({ stamped: true });
    await target.query("CREATE TABLE shop.by_ddl (a int)", { database: "back" });
    const plan = await planRelease(releaseOptions(made, target.url("back")));
    expect(plan.chosen).toEqual([]);
    expect(plan.items.map(({ id, state }) => [id, state])).toEqual([
      ["extension dblink", "withheld"],
      ["extension postgres_fdw", "withheld"],
      ["foreign server far", "withheld"],
      ["user mapping shop on far", "withheld"],
      ["publication everything", "withheld"],
      ["publication orders_out", "withheld"],
      ["publication whole_schema", "withheld"],
      ["subscription inward", "refused"],
      ['trigger shop.orders "Tell 2"', "withheld"],
      ["trigger shop.orders tell_one", "withheld"],
      ['trigger shop."Order lines" "x ON y"', "withheld"],
      ['rule shop."Order lines" told', "withheld"],
      ['event trigger "watch; ddl"', "withheld"],
    ]);
    await expect(release(target, "trigger shop.orders tell_one")).rejects.toMatchObject({
      code: "restore.item_refused",
      message: expect.stringContaining("it needs extension dblink") as unknown,
    });
    // The extension by itself lets nobody call.
    expect(await release(target, "extension dblink")).toMatchObject({ outcome: "complete" });
    await write(target);
    expect(await sink.callers()).toEqual(before);
    expect(await release(target, "trigger shop.orders tell_one")).toMatchObject({
      outcome: "complete",
    });
    await write(target);
    expect(await sink.callers()).toEqual([...before, "one"]);
    await release(target, 'rule shop."Order lines" told');
    await write(target);
    expect((await sink.callers()).slice(before.length + 1).toSorted()).toEqual(["one", "rule"]);
    // A second time it changes nothing.
    const again = await planRelease(
      releaseOptions(made, target.url("back"), { items: ["extension dblink"] }),
    );
    expect(again.chosen).toEqual([]);
    expect(await again.execute()).toEqual({ outcome: "complete", released: [] });
  });

  test("is the source again when everything is released, but for what it says", async () => {
    await using target = await restored();
    const calls = await sink.callers();
    const records: string[] = [];
    const options = releaseOptions(
      made,
      target.url("back"),
      { kinds: ITEM_KINDS },
      { onItem: async (id) => void records.push(id) },
    );
    const plan = await planRelease(options);
    expect(plan.refused.map(({ id }) => id)).toEqual(["subscription inward"]);
    const result = await plan.execute();
    expect(result.released.filter(({ outcome }) => outcome === "failed")).toEqual([]);
    expect(result.released).toHaveLength(12);
    // One was refused.
    expect(result.outcome).toBe("incomplete");
    expect(records).toEqual(plan.chosen.map(({ id }) => id));
    expect(await sink.callers()).toEqual(calls);
    const lines = (await leftOf(target)).map((line) => line.replace(/boot_\w+/, "LOGIN"));
    expect(lines).toEqual([
      'event trigger "watch; ddl": owner: "postgres" became "LOGIN"',
      "subscription inward: exists: present became missing",
      // pg_dump sorts them.
      expect.stringMatching(/^foreign server far: options: /),
      // Of the extension, which is the login's.
      expect.stringMatching(/^relation public.dblink_pkey_results: owner: /),
      expect.stringMatching(/^relation public.dblink_pkey_results: rights: /),
    ]);
    const left = await target.query(
      `SELECT rolname FROM pg_roles WHERE rolname ~ '^sparekeep' UNION ALL
       SELECT p.proname FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner
        WHERE r.rolsuper AND p.oid >= 16384 AND NOT EXISTS (
          SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')`,
      { database: "back" },
    );
    expect(left).toEqual([]);
    const role = { name: "shop", password: "of the shop" };
    await expect(
      target.query("SELECT * FROM shop.far_ids", { database: "back", role }),
    ).rejects.toThrow(/could not connect/);
    expect(await sink.callers()).toEqual([...calls, "mapped"]);
  });

  test("calls nobody when restore.sh brought it back, and its writes say why", async () => {
    const recovered = await writeSnapshotFolder(made);
    await using target = await startCluster();
    await target.createDatabase("another");
    await target.createDatabase("back");
    const ended = runRestoreScript(recovered, target, "back");
    await rm(recovered, { recursive: true });
    // Views over what is left out are missing.
    expect(ended.status).toBe(3);
    await target.query("ALTER ROLE shop PASSWORD 'of the shop'");
    const calls = await sink.callers();
    await expect(write(target)).rejects.toThrow(/dblink_connect.* does not exist/);
    expect(await sink.callers()).toEqual(calls);
    const found = await target.query(
      `SELECT extname AS name FROM pg_extension UNION ALL SELECT srvname FROM pg_foreign_server
       UNION ALL SELECT pubname FROM pg_publication UNION ALL SELECT evtname FROM pg_event_trigger`,
      { database: "back" },
    );
    expect(found).toEqual([{ name: "plpgsql" }]);
  });
});

test("a materialised view over a foreign table waits for its server, and is no loss until then", async () => {
  await using far = await startCluster({ superuser: "postgres" });
  await far.createDatabase("app");
  await far.psql(
    `CREATE TABLE here (a int); INSERT INTO here VALUES (1);
     CREATE ROLE app; CREATE SCHEMA app AUTHORIZATION app;
     CREATE EXTENSION postgres_fdw;
     CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '${far.port}', dbname 'app');
     CREATE USER MAPPING FOR postgres SERVER loop OPTIONS (user 'postgres', password '${far.password}');
     CREATE FOREIGN TABLE app.there (a int) SERVER loop OPTIONS (schema_name 'public', table_name 'here');
     CREATE MATERIALIZED VIEW app.seen AS SELECT a FROM app.there;
     CREATE INDEX seen_a ON app.seen (a);
     ALTER SERVER loop OWNER TO app; ALTER FOREIGN TABLE app.there OWNER TO app; ALTER MATERIALIZED VIEW app.seen OWNER TO app`,
    "app",
  );
  const snapshot = await captureForRestore(far.url("app"));
  await using target = await startCluster();
  const url = target.url("back");
  const result = await (await planRestore(restoreOptions(snapshot, url))).execute();
  expect(result).toMatchObject({ outcome: "complete", issues: [] });
  const items = ["extension postgres_fdw", "foreign server loop", "user mapping postgres on loop"];
  const plan = await planRelease(releaseOptions(snapshot, url, { items }));
  expect(await plan.execute()).toMatchObject({ outcome: "complete" });
  const views = await target.query(
    `SELECT matviewname AS name, matviewowner AS owner, hasindexes, ispopulated FROM pg_matviews`,
    { database: "back" },
  );
  expect(views).toEqual([{ name: "seen", owner: "app", hasindexes: true, ispopulated: false }]);
  await target.query("REFRESH MATERIALIZED VIEW app.seen", { database: "back" }).then(
    () => expect.fail("app has no mapping"),
    (error: unknown) => expect(String(error)).toContain("user mapping not found"),
  );
});
