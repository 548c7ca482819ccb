import { backupVerb } from "./commands/backup.ts";
import { checkVerb } from "./commands/check.ts";
import { doctorVerb } from "./commands/doctor.ts";
import { dumpVerb } from "./commands/dump.ts";
import { initVerb } from "./commands/init.ts";
import { lsVerb } from "./commands/ls.ts";
import { repairVerb } from "./commands/repair.ts";
import { restoreVerb } from "./commands/restore.ts";
import { snapshotsVerb } from "./commands/snapshots.ts";
import type { Verb } from "./program.ts";

/** Every verb, in the order in which `--help` shows them. */
export const VERBS: readonly Verb[] = [
  initVerb,
  backupVerb,
  snapshotsVerb,
  lsVerb,
  dumpVerb,
  restoreVerb,
  checkVerb,
  repairVerb,
  doctorVerb,
];
