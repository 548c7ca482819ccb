import type { CronJob } from "../cron/jobs.ts";
import { refusalOfJob } from "../cron/step.ts";
import { findScheduled, isSameWork, scheduleJob, shownSchedule } from "../cron/target.ts";
import { restoreError } from "../errors.ts";
import { inTransaction } from "../ledger.ts";
import type { ReleaseFacts } from "./facts.ts";
import type { Hands } from "./releaser.ts";
import type { ListedItem } from "./types.ts";

/** Jobs of pg_cron as items: one that was off at the source is none. */

export const CRON_EXTENSION = "extension pg_cron";

interface JobSource {
  readonly sourceDatabase: string;
  /** The extension is an item, too. */
  readonly canInstall: boolean;
}

export function listJob(job: CronJob, facts: ReleaseFacts, source: JobSource): ListedItem {
  const found = scheduledOf(job, facts);
  const isOn = found?.active === true && isSameWork(job, found);
  const why = isOn ? undefined : refusalOf(job, facts, source);
  const state = isOn ? "released" : why === undefined ? "withheld" : "refused";
  const on = found === undefined ? shownSchedule(job, facts.databaseName) : switchOn(found.jobid);
  return {
    id: job.id,
    kind: "cron job",
    reason: `runs by itself (${job.schedule}), as ${job.username}`,
    state,
    ...(why === undefined ? {} : { why }),
    statements: isOn ? [] : [on],
    needs: facts.scheduled === undefined ? [CRON_EXTENSION] : [],
  };
}

function scheduledOf(job: CronJob, facts: ReleaseFacts): ReturnType<typeof findScheduled> {
  return findScheduled(job, facts.databaseName, facts.scheduled ?? []);
}

function switchOn(jobid: string): string {
  return `SELECT cron.alter_job(job_id := ${jobid}, active := true)`;
}

function refusalOf(
  job: CronJob,
  facts: ReleaseFacts,
  { sourceDatabase, canInstall }: JobSource,
): string | undefined {
  if (facts.scheduled === undefined && !canInstall) return "the target has no pg_cron";
  const refused = refusalOfJob(job, { sourceDatabase, roles: facts.roles });
  if (refused !== undefined) return refused;
  if (!facts.roles.has(job.username))
    return `there is no role ${JSON.stringify(job.username)} here`;
  const found = scheduledOf(job, facts);
  // Whoever may write there could have put another command under a name that is trusted.
  return found === undefined || isSameWork(job, found)
    ? undefined
    : "its schedule or command at the target is another than the snapshot's; release it by hand";
}

export async function runJob(job: CronJob, hands: Hands, facts: ReleaseFacts): Promise<void> {
  const found = scheduledOf(job, facts);
  const { databaseName, adminName } = facts;
  await inTransaction(hands.admin, async () => {
    if (found === undefined) {
      await scheduleJob(hands.admin, job, { databaseName, adminName, active: true });
      return;
    }
    await hands.admin.query("SELECT cron.alter_job(job_id := $1::int8, active := true)", [
      found.jobid,
    ]);
    // What it is now, and not what it was when the plan was made.
    const [now] = await hands.admin.query<{ schedule: string; command: string }>(
      "SELECT schedule, command FROM cron.job WHERE jobid = $1::int8",
      [found.jobid],
    );
    if (now?.schedule === job.schedule && now.command === job.command) return;
    throw restoreError("object_refused", { message: "the job was changed meanwhile" });
  });
}
