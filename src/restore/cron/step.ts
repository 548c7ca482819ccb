import type { Connection } from "../../postgres/index.ts";
import type { Work, Findings } from "../context.ts";
import { orIssue, rethrowFatal } from "../context.ts";
import { inTransaction } from "../ledger.ts";
import { runGrant } from "../step-owners.ts";
import type { RestoreIssue } from "../types.ts";
import { isOwnJobTable, readJobs } from "./jobs.ts";
import type { CronJob } from "./jobs.ts";
import { placeOf, readScheduled, scheduleJob, shownSchedule } from "./target.ts";

/**
 * The jobs of pg_cron, scheduled and switched off: last of all, when no function of the source runs any more that could
 * schedule some of its own. Where the target has no pg_cron for this database, each job is an issue.
 */
export async function restoreJobs(work: Work): Promise<void> {
  const jobs = await listJobs(work);
  if (jobs.length === 0) return;
  const { admin, target } = work;
  const lacking = await ensureCron(work);
  const scheduled = lacking === undefined ? ((await readScheduled(admin)) ?? []) : [];
  for (const job of jobs) {
    const why = lacking ?? refusal(work, job);
    if (why !== undefined) {
      work.issues.push(notScheduled(work, job, why));
      continue;
    }
    const issue = {
      code: "cron_job_not_scheduled",
      object: objectOf(job),
      hint: hintOf(work, job),
    };
    const { databaseName, adminName } = target;
    const stands = placeOf(job, databaseName, scheduled);
    if (stands === "another job") {
      const message = "another job of its name and user stands there, or it is switched on";
      work.issues.push({ ...issue, message, hint: "Look at cron.job; nothing there was changed." });
      continue;
    }
    const isThere = await orIssue(work, issue, () =>
      inTransaction(admin, async () => {
        // A restore that was interrupted here has scheduled some of them.
        if (stands === "the job itself") return;
        await scheduleJob(admin, job, { databaseName, adminName, active: false });
      }),
    );
    if (isThere && job.active) {
      const reason = "scheduled and switched off; `sparekeep release` switches it on";
      work.withheld.push({ object: objectOf(job), reason });
    }
  }
}

async function listJobs(work: Work): Promise<readonly CronJob[]> {
  if (isOwnJobTable(work.archive.preData)) return [];
  try {
    return await readJobs(work.options);
  } catch (thrown) {
    const { message, code } = rethrowFatal(thrown);
    work.issues.push({
      code: "cron_job_not_scheduled",
      object: "TABLE cron.job",
      message,
      cause: code,
    });
    return [];
  }
}

function objectOf(job: CronJob): string {
  return job.id.replace(/^cron job/, "CRON JOB");
}

function hintOf({ target }: Findings, job: CronJob): string {
  return `Run: ${shownSchedule(job, target.databaseName)}; its command is in the snapshot's database/tables/cron/job.`;
}

function notScheduled(findings: Findings, job: CronJob, message: string): RestoreIssue {
  return {
    code: "cron_job_not_scheduled",
    object: objectOf(job),
    message,
    hint: hintOf(findings, job),
  };
}

function refusal({ options, target }: Findings, job: CronJob): string | undefined {
  const { databaseName } = options.manifest.database.server;
  return refusalOfJob(job, { sourceDatabase: databaseName, roles: target.roles });
}

/** A job runs as its user: never as one who was nobody's superuser before. */
export function refusalOfJob(
  job: CronJob,
  at: { readonly sourceDatabase: string; readonly roles: Findings["target"]["roles"] },
): string | undefined {
  if (job.database !== at.sourceDatabase) {
    return `a job of database ${JSON.stringify(job.database)}, which is not in this snapshot`;
  }
  if (at.roles.get(job.username)?.powerful !== true) return undefined;
  return `would run as ${JSON.stringify(job.username)}, who is a superuser here`;
}

/** Why there is no pg_cron for this database, once all was tried; `undefined` where there is. */
async function ensureCron(work: Work): Promise<string | undefined> {
  const { admin, target } = work;
  if ((await readScheduled(admin)) !== undefined) return undefined;
  if (!target.extensions.has("pg_cron")) return "the target server has no pg_cron";
  const database = await readCronDatabase(admin);
  if (database === undefined) return "the target server does not load pg_cron";
  if (database !== target.databaseName) {
    return `the target server's pg_cron is for database ${JSON.stringify(database)} (cron.database_name)`;
  }
  if (!target.superuser) return "only a superuser may install pg_cron in the target";
  // Into the system's schema: nothing of the source can be found there by the extension's script.
  try {
    await admin.query("CREATE EXTENSION pg_cron WITH SCHEMA pg_catalog");
  } catch (thrown) {
    return rethrowFatal(thrown).message;
  }
  for (const { entry } of work.archive.held) {
    if (entry.kind === "ACL" && /^SCHEMA cron$/.test(entry.tag)) await runGrant(work, entry);
    else if (entry.kind === "ACL" && entry.schema === "cron") await runGrant(work, entry);
  }
  return undefined;
}

/** Whose jobs pg_cron runs; `undefined` where the server does not load it. */
export async function readCronDatabase(inside: Connection): Promise<string | undefined> {
  const [row] = await inside.query<{ name: string | null }>(
    "SELECT current_setting('cron.database_name', true) AS name",
  );
  return row?.name ?? undefined;
}
