import { expect, test } from "vitest";
import type { CronJob } from "./jobs.ts";
import { placeOf } from "./target.ts";
import type { ScheduledJob } from "./target.ts";

const JOB: CronJob = {
  id: "cron job nightly",
  jobid: "7",
  schedule: "0 3 * * *",
  command: "CALL tidy()",
  database: "app",
  username: "owner",
  active: true,
  name: "nightly",
};
const OFF: ScheduledJob = {
  jobid: "1",
  schedule: JOB.schedule,
  command: JOB.command,
  database: "back",
  username: "owner",
  active: false,
  name: "nightly",
};
const unnamed = { ...JOB, name: undefined };

test.for([
  ["where nothing is", JOB, [], "nothing"],
  ["where it was scheduled and switched off", JOB, [OFF], "the job itself"],
  ["where it is switched on", JOB, [{ ...OFF, active: true }], "another job"],
  ["where its name does other work", JOB, [{ ...OFF, command: "DROP TABLE t" }], "another job"],
  // pg_cron would change that job.
  ["where its name is another database's", JOB, [{ ...OFF, database: "other" }], "another job"],
  ["where its name is another user's", JOB, [{ ...OFF, username: "ann" }], "nothing"],
  ["without a name", unnamed, [{ ...OFF, name: null }], "the job itself"],
  ["without a name, switched on", unnamed, [{ ...OFF, name: null, active: true }], "another job"],
  ["without a name, elsewhere", unnamed, [{ ...OFF, name: null, database: "other" }], "nothing"],
] as const)("a job %s", ([, job, scheduled, wanted]) => {
  expect(placeOf(job, "back", scheduled)).toBe(wanted);
});
