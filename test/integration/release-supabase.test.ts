import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { planRelease, planRestore } from "../../src/restore/index.ts";
import { differencesBetween } from "../support/compare.ts";
import { releaseOptions } from "../support/release.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";
import { fillProject, startSupabaseProject } from "../support/supabase/project.ts";
import type { SupabaseProject } from "../support/supabase/project.ts";

/** As `postgres`, who is no superuser, on the stand-in of test/support/supabase. */
describe("in a restored project of Supabase", () => {
  let source: SupabaseProject;
  let target: SupabaseProject;
  let made: Made;

  beforeAll(async () => {
    source = await startSupabaseProject();
    await fillProject(source);
    made = await captureForRestore(source.url);
    target = await startSupabaseProject();
    const plan = await planRestore(restoreOptions(made, target.url, { create: false }));
    expect((await plan.execute()).issues).toEqual([]);
  }, 60_000);

  afterAll(async () => {
    await target[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
  });

  const hooks = "SELECT count(*)::int AS hooks FROM supabase_functions.hooks";

  test("the webhook and the tables of realtime wait, and nothing of the platform's is an item", async () => {
    const { items } = await planRelease(releaseOptions(made, target.url));
    expect(items.map(({ id, state }) => [id, state])).toEqual([
      ["publication supabase_realtime", "withheld"],
      ["trigger public.orders tell_the_shop", "withheld"],
    ]);
    expect(items[0]?.statements).toEqual([
      'ALTER PUBLICATION "supabase_realtime" ADD TABLE ONLY "public"."orders"',
    ]);
    // The address and the headers of a webhook may hold a key.
    expect(JSON.stringify(items)).not.toContain("shop.example.org");
  });

  test("a webhook sends nothing until it is released", async () => {
    const order = `INSERT INTO public.orders (buyer, total) SELECT id, 1 FROM public.profiles LIMIT 1`;
    await target.query(order);
    expect(await target.cluster.query(hooks)).toEqual([{ hooks: 0 }]);
    const items = ["trigger public.orders tell_the_shop"];
    const plan = await planRelease(releaseOptions(made, target.url, { items }));
    expect(await plan.execute()).toMatchObject({ outcome: "complete" });
    await target.query(order);
    expect(await target.cluster.query(hooks)).toEqual([{ hooks: 1 }]);
    await target.query("DELETE FROM public.orders WHERE note IS NULL");
  });

  test("with the publication nothing of the customer's is missing any more", async () => {
    const kinds = ["publication"] as const;
    const plan = await planRelease(releaseOptions(made, target.url, { kinds }));
    expect(await plan.execute()).toMatchObject({ outcome: "complete" });
    const [before = { url: "" }, after = { url: "" }] = [source, target].map(({ cluster }) => ({
      url: cluster.url("postgres"),
    }));
    const lines = await differencesBetween(before, after);
    const own =
      /^(?:rows|sequence value) (?:realtime\.\w+|storage\.migrations|supabase_functions\.\w+|public\.orders_id_seq): /;
    expect(lines.filter((line) => !own.test(line))).toEqual([]);
  });
});

/** The real pg_cron, as the platform gives it: its table may be read, and jobs are made by its functions alone. */
test(
  "jobs of a project come back switched off, and are switched on one by one",
  {
    timeout: 120_000,
  },
  async () => {
    await using source = await startSupabaseProject({ cron: true });
    await using target = await startSupabaseProject({ cron: true });
    await source.query("SELECT cron.schedule('nightly', '1 1 1 1 *', 'SELECT 1')");
    await source.query("SELECT cron.schedule('2 1 1 1 *', 'SELECT 2')");
    await source.psql(
      "SELECT cron.schedule_in_database('of another', '3 1 1 1 *', 'SELECT 3', 'postgres', 'authenticator')",
    );
    const copied = "INSERT INTO cron.job (schedule, command) VALUES ('* * * * *', 'SELECT 1')";
    await expect(target.query(copied)).rejects.toThrow(/permission denied/);
    const made = await captureForRestore(source.url);
    const plan = await planRestore(restoreOptions(made, target.url, { create: false }));
    const result = await plan.execute();
    // Only the platform's superuser may give a job to another role.
    expect(result.issues).toMatchObject([
      { code: "cron_job_not_scheduled", object: 'CRON JOB "of another"' },
    ]);
    const jobs = "SELECT jobname, command, active FROM cron.job ORDER BY schedule";
    expect(await target.query(jobs)).toEqual([
      { jobname: "nightly", command: "SELECT 1", active: false },
      { jobname: null, command: "SELECT 2", active: false },
    ]);
    const { items } = await planRelease(releaseOptions(made, target.url));
    expect(items.map(({ id, state }) => [id, state])).toEqual([
      ["extension pg_cron", "released"],
      ["publication supabase_realtime", "released"],
      ["cron job nightly", "withheld"],
      ["cron job #2", "withheld"],
      ['cron job "of another"', "withheld"],
    ]);
    const release = await planRelease(
      releaseOptions(made, target.url, { items: ["cron job nightly"] }),
    );
    expect(await release.execute()).toMatchObject({ outcome: "complete" });
    expect(await target.query(jobs)).toEqual([
      { jobname: "nightly", command: "SELECT 1", active: true },
      { jobname: null, command: "SELECT 2", active: false },
    ]);
  },
);
