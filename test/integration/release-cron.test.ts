import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { planRelease, planRestore } from "../../src/restore/index.ts";
import { startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { startCronCluster } from "../support/cron.ts";
import { runRestoreScript, writeSnapshotFolder } from "../support/recovered-folder.ts";
import { releaseOptions } from "../support/release.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";

const HOSTILE = `INSERT INTO app.ran VALUES ('it''s "two" \\ $$x$$
'); -- \t ü`;

/** Long before the next of them is due. */
const SCHEDULES = `
CREATE ROLE app LOGIN; CREATE ROLE other LOGIN;
CREATE SCHEMA app AUTHORIZATION app;
CREATE TABLE app.ran (what text);
CREATE EXTENSION pg_cron WITH SCHEMA pg_catalog;
GRANT USAGE ON SCHEMA cron TO app;
SELECT cron.schedule_in_database('to be gone', '1 1 1 1 *', 'SELECT 1', 'shop', 'app');
SELECT cron.unschedule(1);
SELECT cron.schedule_in_database('nightly', '1 1 1 1 *', 'SELECT 1', 'shop', 'app');
SELECT cron.schedule_in_database('nightly', '2 1 1 1 *', 'SELECT 2', 'shop', 'other');
SELECT cron.schedule_in_database('it''s "x"', '3 1 1 1 *', $cmd$${HOSTILE}$cmd$, 'shop', 'app');
SELECT cron.schedule('4 1 1 1 *', 'SELECT 4');
SELECT cron.schedule_in_database('off', '5 1 1 1 *', 'SELECT 5', 'shop', 'app', false);
SELECT cron.schedule_in_database('elsewhere', '6 1 1 1 *', 'SELECT 6', 'postgres', 'app');
INSERT INTO cron.job_run_details (jobid, runid, command) VALUES (1, 1, 'SELECT 1');
`;

const JOBS = "SELECT schedule, command, username, jobname, active FROM cron.job ORDER BY schedule";

describe("jobs of pg_cron", () => {
  let source: Cluster;
  let made: Made;

  beforeAll(async () => {
    source = await startCronCluster("shop", { superuser: "postgres" });
    await source.createDatabase("shop");
    await source.psql(SCHEDULES, "shop");
    made = await captureForRestore(source.url("shop"));
  });

  afterAll(() => source[Symbol.asyncDispose]());

  const job = (schedule: number, jobname: string | null, username: string, command: string) => ({
    schedule: `${schedule} 1 1 1 *`,
    command,
    username,
    jobname,
    active: false,
  });

  test("are in the snapshot, and the log of their runs is not", () => {
    const { tables, leftOut } = made.manifest.database;
    expect(tables.find(({ name }) => name === "job")?.rows).toBe("6");
    expect(tables.map(({ name }) => name)).not.toContain("job_run_details");
    expect(leftOut.map(({ object }) => object)).toContain("cron.job_run_details");
  });

  test("come back as their users, switched off, under ids of the target", async () => {
    await using target = await startCronCluster("back");
    const plan = await planRestore(restoreOptions(made, target.url("back")));
    expect(plan.steps).toContain("schedule 6 jobs of pg_cron, switched off");
    const result = await plan.execute();
    // Another database's is not this one's to run.
    expect(result.issues).toMatchObject([
      { code: "cron_job_not_scheduled", object: "CRON JOB elsewhere" },
    ]);
    expect(await target.query(JOBS, { database: "back" })).toEqual([
      job(1, "nightly", "app", "SELECT 1"),
      job(2, "nightly", "other", "SELECT 2"),
      job(3, 'it\'s "x"', "app", HOSTILE),
      job(4, null, "postgres", "SELECT 4"),
      job(5, "off", "app", "SELECT 5"),
    ]);
    const databases = await target.query("SELECT DISTINCT database FROM cron.job", {
      database: "back",
    });
    expect(databases).toEqual([{ database: "back" }]);
    expect(result.withheld.map(({ object }) => object)).toEqual(
      expect.arrayContaining(["CRON JOB nightly of app", "CRON JOB #5", 'CRON JOB "it\'s ""x"""']),
    );
    const [may] = await target.query("SELECT has_schema_privilege('app', 'cron', 'USAGE') AS may", {
      database: "back",
    });
    expect(may).toEqual({ may: true });
  });

  test("are never on for a moment: no transaction shows one so", async () => {
    await using target = await startCronCluster("back");
    await target.createDatabase("back");
    const inside = { database: "back" };
    await target.query(
      "SELECT pg_create_logical_replication_slot('watch', 'test_decoding')",
      inside,
    );
    await (
      await planRestore(restoreOptions(made, target.url("back"), { create: false }))
    ).execute();
    const changes = await target.query<{ xid: string; data: string }>(
      `SELECT xid::text AS xid, data FROM pg_logical_slot_get_changes('watch', NULL, NULL)
        WHERE data LIKE 'table cron.job: %' ORDER BY lsn`,
      inside,
    );
    // What each transaction left of each job, as its commit made it visible.
    const left = new Map(
      changes.map(({ xid, data }) => [
        `${xid}: ${/jobid\[bigint\]:(\d+)/.exec(data)?.[1]}`,
        /active\[boolean\]:(\w+)/.exec(data)?.[1],
      ]),
    );
    expect([...left.values()]).toEqual(Array.from({ length: 5 }, () => "false"));
    // One was on inside its own transaction: only the unnamed job needs two steps.
    expect(changes.filter(({ data }) => data.includes("active[boolean]:true"))).toHaveLength(1);
  });

  test("are switched on one by one, and only as the snapshot has them", async () => {
    await using target = await startCronCluster("back");
    const url = target.url("back");
    await (await planRestore(restoreOptions(made, url))).execute();
    const listed = await planRelease(releaseOptions(made, url));
    expect(listed.items.map(({ id, state }) => [id, state])).toEqual([
      ["extension pg_cron", "released"],
      ["cron job nightly of app", "withheld"],
      ["cron job nightly of other", "withheld"],
      ['cron job "it\'s ""x"""', "withheld"],
      ["cron job #5", "withheld"],
      ["cron job elsewhere", "refused"],
    ]);
    expect(JSON.stringify(listed.items)).not.toContain("INSERT INTO app.ran");
    const items = ["cron job nightly of other", "cron job #5"];
    const plan = await planRelease(releaseOptions(made, url, { items }));
    expect(await plan.execute()).toMatchObject({ outcome: "complete" });
    const on = "SELECT username, schedule FROM cron.job WHERE active ORDER BY schedule";
    expect(await target.query(on, { database: "back" })).toEqual([
      { username: "other", schedule: "2 1 1 1 *" },
      { username: "postgres", schedule: "4 1 1 1 *" },
    ]);
    await target.query("UPDATE cron.job SET command = 'SELECT evil()' WHERE username = 'app'", {
      database: "back",
    });
    const changed = planRelease(releaseOptions(made, url, { items: ["cron job nightly of app"] }));
    await expect(changed).rejects.toMatchObject({ code: "restore.item_refused" });
    expect(await target.query(on, { database: "back" })).toHaveLength(2);
  });

  test("that a server cannot run are named, each with what to run", async () => {
    await using target = await startCluster();
    const url = target.url("back");
    const result = await (await planRestore(restoreOptions(made, url))).execute();
    expect(result.outcome).toBe("incomplete");
    expect(result.issues.map(({ code }) => code)).toEqual(
      Array.from({ length: 6 }, () => "cron_job_not_scheduled"),
    );
    expect(result.issues[0]).toMatchObject({
      object: "CRON JOB nightly of app",
      message: "the target server does not load pg_cron",
      hint: expect.stringContaining(
        "cron.schedule_in_database('nightly', '1 1 1 1 *', '…', 'back', 'app')",
      ) as unknown,
    });
    const { items } = await planRelease(releaseOptions(made, url));
    expect(items[0]).toMatchObject({ id: "extension pg_cron", state: "refused" });
  });

  test("are named by restore.sh, and not copied into a scheduler", async () => {
    const recovered = await writeSnapshotFolder(made);
    await using target = await startCronCluster("back");
    await target.createDatabase("another");
    await target.createDatabase("back");
    const ended = runRestoreScript(recovered, target, "back");
    const guide = await readFile(join(recovered, "RECOVERY.md"), "utf8");
    await rm(recovered, { recursive: true });
    expect(ended.status).toBe(3);
    expect(ended.output).toContain("6 jobs of pg_cron are not scheduled");
    expect(guide).toContain("Jobs of pg_cron (6)");
    const found = await target.query("SELECT extname FROM pg_extension", { database: "back" });
    expect(found).toEqual([{ extname: "plpgsql" }]);
  });

  test("are rows like others where somebody's own table is called as pg_cron's", async () => {
    await using own = await startCluster({ superuser: "postgres" });
    await own.createDatabase("app");
    await own.psql(
      `CREATE SCHEMA cron; CREATE TABLE cron.job (jobid int, schedule text, command text, database text, username text, active bool);
       INSERT INTO cron.job VALUES (1, '* * * * *', 'SELECT 1', 'app', 'postgres', true)`,
      "app",
    );
    const theirs = await captureForRestore(own.url("app"));
    await using target = await startCronCluster("back");
    const result = await (await planRestore(restoreOptions(theirs, target.url("back")))).execute();
    expect(result).toMatchObject({ outcome: "complete", rows: 1n });
    expect((await planRelease(releaseOptions(theirs, target.url("back")))).items).toEqual([]);
  });

  test("of a user who is a superuser at the target are not scheduled", async () => {
    await using target = await startCronCluster("back");
    await target.query("CREATE ROLE other SUPERUSER LOGIN");
    const result = await (await planRestore(restoreOptions(made, target.url("back")))).execute();
    expect(result.issues.map(({ object }) => object)).toEqual([
      "CRON JOB nightly of other",
      "CRON JOB elsewhere",
    ]);
    expect(result.issues[0]?.message).toBe('would run as "other", who is a superuser here');
  });

  test("are scheduled once where a restore was interrupted behind them", async () => {
    await using target = await startCronCluster("back");
    const url = target.url("back");
    const restore = async (signal?: AbortSignal, stop?: () => void) => {
      const plan = await planRestore(
        restoreOptions(made, url, {
          create: stop !== undefined,
          ...(signal === undefined ? {} : { signal }),
          onProgress: ({ step }) => (step === "tables" ? stop?.() : undefined),
        }),
      );
      return await plan.execute();
    };
    const early = new AbortController();
    await expect(restore(early.signal, () => early.abort())).rejects.toMatchObject({
      kind: "cancelled",
    });
    // The marker is dropped last, after the jobs: whoever reads it makes the restore wait there.
    const late = new AbortController();
    const reader = new Client({ connectionString: url });
    await reader.connect();
    await reader.query("BEGIN; LOCK TABLE sparekeep_restore.owned IN ACCESS SHARE MODE");
    const waits = restore(late.signal).then(
      () => "ended",
      () => "stopped",
    );
    const waiting = `SELECT count(*)::int AS sessions FROM pg_stat_activity
      WHERE application_name = 'sparekeep restore admin' AND wait_event_type = 'Lock'`;
    while ((await target.query<{ sessions: number }>(waiting))[0]?.sessions === 0) {
      await target.query("SELECT pg_sleep(0.05)");
    }
    late.abort();
    expect(await waits).toBe("stopped");
    await reader.end();
    const count = "SELECT count(*)::int AS jobs FROM cron.job";
    expect(await target.query(count, { database: "back" })).toEqual([{ jobs: 5 }]);
    expect((await restore()).issues.map(({ object }) => object)).toEqual(["CRON JOB elsewhere"]);
    expect(await target.query(count, { database: "back" })).toEqual([{ jobs: 5 }]);
  });
});
