import { quoteLiteral } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { restoreError } from "../errors.ts";
import type { CronJob } from "./jobs.ts";

/** pg_cron at the target. Its scheduler reads committed rows alone: what one transaction switches off never runs. */

export interface ScheduledJob {
  readonly jobid: string;
  readonly schedule: string;
  readonly command: string;
  readonly database: string;
  readonly username: string;
  readonly active: boolean;
  readonly name: string | null;
}

/** `undefined` where the database has no pg_cron. As far as the login sees them. */
export async function readScheduled(
  inside: Connection,
): Promise<readonly ScheduledJob[] | undefined> {
  const [there] = await inside.query<{ found: boolean }>(
    "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') AND to_regclass('cron.job') IS NOT NULL AS found",
  );
  if (there?.found !== true) return undefined;
  return await inside.query<ScheduledJob & Record<string, unknown>>(
    `SELECT jobid::text AS jobid, schedule, command, database, username, active, jobname::text AS name
       FROM cron.job ORDER BY jobid`,
  );
}

/** The same job at the target: by its name and user, or where it has no name by all that it is. */
export function findScheduled(
  job: CronJob,
  databaseName: string,
  scheduled: readonly ScheduledJob[],
): ScheduledJob | undefined {
  return scheduled.find((one) => {
    if (one.database !== databaseName || one.username !== job.username) return false;
    if (job.name !== undefined) return one.name === job.name;
    return one.name === null && one.schedule === job.schedule && one.command === job.command;
  });
}

/**
 * What stands where a job is to be scheduled. pg_cron knows a job by its name and user alone, over all databases, and
 * `schedule_in_database` of a name that is taken changes the job that has it.
 */
export function placeOf(
  job: CronJob,
  databaseName: string,
  scheduled: readonly ScheduledJob[],
): "nothing" | "the job itself" | "another job" {
  const found = findScheduled(job, databaseName, scheduled);
  if (found !== undefined) {
    return isSameWork(job, found) && !found.active ? "the job itself" : "another job";
  }
  const isTaken = scheduled.some(
    ({ name, username }) =>
      job.name !== undefined && name === job.name && username === job.username,
  );
  return isTaken ? "another job" : "nothing";
}

export function isSameWork(job: CronJob, scheduled: ScheduledJob): boolean {
  return scheduled.schedule === job.schedule && scheduled.command === job.command;
}

/**
 * In the caller's transaction. `cron.schedule` makes a job that is on: the second statement switches it off before
 * anybody sees it. Ids are the target's own.
 */
export async function scheduleJob(
  admin: Connection,
  job: CronJob,
  to: { readonly databaseName: string; readonly adminName: string; readonly active: boolean },
): Promise<void> {
  const { schedule, command, username, name } = job;
  const isOwn = username === to.adminName;
  if (name !== undefined) {
    await admin.query("SELECT cron.schedule_in_database($1, $2, $3, $4, $5, $6)", [
      name,
      schedule,
      command,
      to.databaseName,
      isOwn ? null : username,
      to.active,
    ]);
    return;
  }
  const [made] = await admin.query<{ jobid: string }>(
    "SELECT cron.schedule($1, $2)::text AS jobid",
    [schedule, command],
  );
  if (made === undefined) throw restoreError("object_refused", { message: "a job without an id" });
  await admin.query(
    "SELECT cron.alter_job(job_id := $1::int8, database := $2, username := $3, active := $4)",
    [made.jobid, to.databaseName, isOwn ? null : username, to.active],
  );
}

/** For people: the command, which may hold a key, is not repeated. */
export function shownSchedule(job: CronJob, databaseName: string): string {
  const [name, schedule, database, user] = [
    job.name ?? `job ${job.jobid}`,
    job.schedule,
    databaseName,
    job.username,
  ].map((text) => quoteLiteral(text).trim());
  return `SELECT cron.schedule_in_database(${name}, ${schedule}, '…', ${database}, ${user})`;
}
