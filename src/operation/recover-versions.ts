/*
 * effects
 *   reads         the list of all versions of the store; of what is missing or was changed the old bytes, and what lies there
 *   writes        audit records; old bytes as the newest version of their keys; with --remove-added marks of removal
 *   locks         none: the repository need not open
 *   leaves behind what was there, as older versions; interrupted: the same command goes on
 *   exit codes    0; 3 some object has no whole version left; 1 the store keeps no versions; 10 no repository then; 130
 */
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { executeRecoverVersions, planRecoverVersions } from "../repository/index.ts";
import type { RecoveredVersions, RecoverVersionsPlan } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { openStore } from "./open.ts";

export interface RecoverVersionsOfOptions {
  readonly policy: Policy;
  readonly destination?: string;
  /** By the store's clock. */
  readonly asOf: Date;
  readonly removeAdded: boolean;
  readonly onProgress?: OnProgress;
}

export interface RecoveryOfVersions extends RecoveredVersions {
  readonly destination: string;
  readonly location: string;
}

/** What is shown is what is executed, once (I7). */
export interface PlannedRecoveryOfVersions {
  readonly destination: string;
  readonly plan: RecoverVersionsPlan;
  execute(): Promise<RecoveryOfVersions>;
}

export async function planRecoveryOfVersions(
  context: OperationContext,
  options: RecoverVersionsOfOptions,
): Promise<PlannedRecoveryOfVersions> {
  const { signal } = context;
  const { asOf, removeAdded, onProgress } = options;
  const destination = destinationNamed(options.policy, options.destination);
  const record = (step: string): Promise<void> =>
    recordAccess(context, options.policy, "recover-versions", {
      step,
      destination: destination.name,
      asOf: asOf.toISOString(),
      removeAdded: String(removeAdded),
    });
  await record("plan");
  onProgress?.({ step: "compare", doneBytes: 0, totalBytes: 0 });
  const store = await openStore(context, destination);
  const plan = await planRecoverVersions(store, { moment: asOf, removeAdded, signal });
  const { name } = destination;
  return {
    destination: name,
    plan,
    execute: async () => {
      await record("execute");
      const recovered = await executeRecoverVersions(store, plan, {
        signal,
        ...(onProgress === undefined ? {} : { onProgress }),
      });
      return { ...recovered, destination: name, location: plan.location };
    },
  };
}
