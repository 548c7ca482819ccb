import { acceptVerb } from "./commands/accept.ts";
import { backupVerb } from "./commands/backup.ts";
import { checkVerb } from "./commands/check.ts";
import { diffVerb } from "./commands/diff.ts";
import { copiesVerb } from "./commands/copies.ts";
import { copyVerb } from "./commands/copy.ts";
import { doctorVerb } from "./commands/doctor.ts";
import { drillVerb } from "./commands/drill.ts";
import { dumpVerb } from "./commands/dump.ts";
import { dumpsVerb } from "./commands/dumps.ts";
import { estimateVerb } from "./commands/estimate.ts";
import { exportVerb } from "./commands/export.ts";
import { forgetVerb } from "./commands/forget.ts";
import { guardVerb } from "./commands/guard.ts";
import { holdVerb } from "./commands/hold.ts";
import { initVerb } from "./commands/init.ts";
import { keyVerb } from "./commands/key.ts";
import { lsVerb } from "./commands/ls.ts";
import { recoverVerb } from "./commands/recover.ts";
import { recoverVersionsVerb } from "./commands/recover-versions.ts";
import { projectVerb } from "./commands/project.ts";
import { providerVerb } from "./commands/provider.ts";
import { pruneVerb } from "./commands/prune.ts";
import { rekeyVerb } from "./commands/rekey.ts";
import { releaseVerb } from "./commands/release.ts";
import { repairVerb } from "./commands/repair.ts";
import { restoreVerb } from "./commands/restore.ts";
import { rewriteVerb } from "./commands/rewrite.ts";
import { snapshotsVerb } from "./commands/snapshots.ts";
import { statusVerb } from "./commands/status.ts";
import type { Verb } from "./verb.ts";

/** Every verb by its purpose, in the order in which `--help` shows them. */
export const VERB_GROUPS: readonly (readonly [purpose: string, verbs: readonly Verb[]])[] = [
  [
    "The day's work",
    [
      initVerb,
      doctorVerb,
      backupVerb,
      guardVerb,
      statusVerb,
      snapshotsVerb,
      lsVerb,
      dumpVerb,
      dumpsVerb,
      exportVerb,
      diffVerb,
      projectVerb,
    ],
  ],
  ["The bad day", [restoreVerb, releaseVerb, recoverVerb, recoverVersionsVerb, repairVerb]],
  [
    "Proof and copies",
    [checkVerb, drillVerb, copyVerb, copiesVerb, providerVerb, estimateVerb, acceptVerb],
  ],
  ["Retention", [forgetVerb, pruneVerb, holdVerb, rewriteVerb]],
  ["Keys", [keyVerb, rekeyVerb]],
];

/** Whose first examples lead the help of the program. */
export const FIRST_VERBS: readonly Verb[] = [
  initVerb,
  doctorVerb,
  backupVerb,
  snapshotsVerb,
  restoreVerb,
  checkVerb,
  forgetVerb,
];
