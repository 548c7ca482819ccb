import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCliBench } from "../support/cli.ts";
import type { CliBench } from "../support/cli.ts";
import type { Cluster } from "../support/cluster.ts";
import { startCronCluster } from "../support/cron.ts";
import { startSink } from "../support/sink.ts";
import type { Sink } from "../support/sink.ts";

/** Each due every minute; two write rows, one calls out. */
const application = (sink: Sink): string => `
CREATE ROLE shop LOGIN;
CREATE SCHEMA shop AUTHORIZATION shop;
CREATE EXTENSION pg_cron WITH SCHEMA pg_catalog;
CREATE EXTENSION dblink SCHEMA public;
SET ROLE shop;
CREATE TABLE shop.ran (what text, at timestamptz DEFAULT now());
CREATE FUNCTION shop.tell(who text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.dblink_connect('tell', replace('${sink.connectionString("NAME")}', 'NAME', who));
EXCEPTION WHEN sqlclient_unable_to_establish_sqlconnection THEN NULL;
END $$;
RESET ROLE;
SELECT cron.schedule_in_database('kept off', '* * * * *', 'INSERT INTO shop.ran VALUES (''kept off'')', 'shop', 'shop');
SELECT cron.schedule_in_database('the "rows"', '* * * * *', 'INSERT INTO shop.ran VALUES (''rows'')', 'shop', 'shop');
SELECT cron.schedule_in_database('calls', '* * * * *', 'SELECT shop.tell(''cron'')', 'shop', 'shop');
SELECT cron.schedule_in_database('calls too', '* * * * *', 'SELECT shop.tell(''another'')', 'shop', 'shop');
`;

const RAN = `SELECT DISTINCT coalesce(j.jobname, 'gone') AS job FROM cron.job_run_details AS d
  LEFT JOIN cron.job AS j ON j.jobid = d.jobid ORDER BY 1`;
const CONTROLS = "SELECT count(*)::int AS runs FROM public.control";

/** Real jobs of a real pg_cron, through the program as a user runs it; takes minutes, since its clock has no seconds. */
describe("jobs due each minute", () => {
  let sink: Sink;
  let source: Cluster;
  let target: Cluster;
  let bench: CliBench;

  beforeAll(async () => {
    sink = await startSink();
    source = await startCronCluster("shop", { superuser: "postgres" });
    target = await startCronCluster("back");
    await source.createDatabase("shop");
    await source.psql(application(sink), "shop");
    bench = await createCliBench({
      DATABASE_URL: source.url("shop"),
      TARGET_URL: target.url("back"),
    });
  });

  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
    await target[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
    await sink[Symbol.asyncDispose]();
  });

  /** pg_cron starts what is due in one go: what did not start with this job was not due. */
  async function watchMinutes(minutes: number): Promise<void> {
    const runs = async (): Promise<number> => {
      const [row] = await target.query<{ runs: number }>(CONTROLS, { database: "back" });
      return row?.runs ?? 0;
    };
    const until = (await runs()) + minutes;
    while ((await runs()) < until) await target.query("SELECT pg_sleep(1)");
  }

  const release = (...more: string[]) =>
    bench.run(["release", "latest", "--to-env", "TARGET_URL", ...more]);

  test(
    "do nothing for two minutes after a restore, and then the released ones run",
    {
      timeout: 900_000,
    },
    async () => {
      expect(
        (await bench.run(["init", "--connection-env", "DATABASE_URL", "--to", "repo"])).code,
      ).toBe(0);
      expect(await bench.run(["backup"])).toMatchObject({ code: 0 });
      await source.stop();
      const restored = await bench.run(["restore", "--to-env", "TARGET_URL", "--create", "--yes"]);
      expect(restored).toMatchObject({ code: 0 });
      expect(restored.stdout).toContain("schedule 4 jobs of pg_cron, switched off");
      const before = await sink.callers();
      await target.psql(
        `CREATE TABLE public.control (at timestamptz DEFAULT now());
       SELECT cron.schedule('control', '* * * * *', 'INSERT INTO public.control DEFAULT VALUES')`,
        "back",
      );
      const [rows] = await target.query("SELECT count(*)::int AS rows FROM shop.ran", {
        database: "back",
      });
      await watchMinutes(2);
      expect(await target.query(RAN, { database: "back" })).toEqual([{ job: "control" }]);
      expect(
        await target.query("SELECT count(*)::int AS rows FROM shop.ran", { database: "back" }),
      ).toEqual([rows]);
      expect(await sink.callers()).toEqual(before);

      const listed = await release();
      expect(listed.code).toBe(0);
      expect(listed.stdout).toMatch(/withheld +extension dblink$/m);
      expect(listed.stdout).toMatch(/withheld +cron job "the ""rows"""$/m);
      expect(listed.stdout).not.toContain("INSERT INTO shop.ran");
      expect(await release("--item", "cron job calls", "--json")).toMatchObject({ code: 2 });
      const dry = await release("--item", "cron job calls", "--dry-run");
      expect(dry.stdout).toMatch(/runs: SELECT cron\.alter_job\(job_id := \d+, active := true\)/);
      const unasked = await release("--item", "cron job calls");
      expect(unasked).toMatchObject({ code: 2 });
      expect(unasked.stderr).toContain("nobody confirmed");
      const done = await release(
        "--item",
        "extension dblink",
        "--item",
        'cron job "the ""rows"""',
        "--item",
        "cron job calls",
        "--yes",
      );
      expect(done).toMatchObject({ code: 0, stderr: "" });
      expect(done.stdout).toContain("released: cron job calls");

      await watchMinutes(2);
      expect(await target.query(RAN, { database: "back" })).toEqual([
        { job: "calls" },
        { job: "control" },
        { job: 'the "rows"' },
      ]);
      expect(new Set((await sink.callers()).slice(before.length))).toEqual(new Set(["cron"]));
      const kept =
        "SELECT DISTINCT what FROM shop.ran WHERE at > (SELECT min(at) FROM public.control)";
      expect(await target.query(kept, { database: "back" })).toEqual([{ what: "rows" }]);
    },
  );

  test("are each recorded before they are switched on", async () => {
    const [policy = ""] = await readdir(bench.stateFolder);
    const text = await readFile(join(bench.stateFolder, policy, "audit.jsonl"), "utf8");
    const records = text
      .split("\n")
      .filter((line) => line.includes('"action":"release"'))
      .map((line): unknown => JSON.parse(line));
    const executed = records.filter((record) =>
      JSON.stringify(record).includes('"step":"execute"'),
    );
    expect(executed).toMatchObject([
      { subject: { item: "extension dblink" } },
      { subject: { item: 'cron job "the ""rows"""' } },
      { subject: { item: "cron job calls" } },
    ]);
  });

  test("a second release of them does nothing, and an unknown one or kind is refused", async () => {
    const again = await release("--item", "cron job calls", "--yes");
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout).toContain("Nothing is left to do.");
    const unknown = await bench.json([
      "release",
      "latest",
      "--to-env",
      "TARGET_URL",
      "--item",
      "cron job nope",
      "--yes",
    ]);
    expect(unknown).toMatchObject({
      code: 2,
      document: { error: { code: "restore.item_unknown" } },
    });
    const kind = await release("--all", "cron jobs");
    expect(kind).toMatchObject({ code: 2 });
    expect(kind.stderr).toContain("which is no kind of item");
    const all = await bench.json([
      "release",
      "latest",
      "--to-env",
      "TARGET_URL",
      "--all",
      "cron job",
      "--yes",
    ]);
    expect(all).toMatchObject({ code: 0, document: { outcome: "complete" } });
    const left = await bench.json(["release", "latest", "--to-env", "TARGET_URL"]);
    expect(left.document).toMatchObject({
      plan: { items: Array.from({ length: 6 }, () => ({ state: "released" })) },
    });
  });
});
