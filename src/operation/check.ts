/*
 * effects
 *   reads         every index, snapshot and tree; with --read-data every pack in full
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 10 no repository; 12 wrong password; 20 something is damaged
 */
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import type { CheckReport } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext, Progress } from "./context.ts";
import { openDestination, recordedView } from "./open.ts";
import type { View } from "./open.ts";

export interface CheckRepositoryOptions extends View {
  readonly policy: Policy;
  readonly destination?: string;
  readonly readData: boolean;
  readonly onProgress?: OnProgress;
}

export interface CheckResult extends CheckReport {
  readonly destination: string;
  readonly location: string;
  readonly readData: boolean;
  readonly outcome: "clean" | "damaged";
  readonly durationMs: number;
}

export async function checkRepository(
  context: OperationContext,
  options: CheckRepositoryOptions,
): Promise<CheckResult> {
  const destination = destinationNamed(options.policy, options.destination);
  const startedMs = context.clock.monotonicMs();
  await recordAccess(context, options.policy, "check", {
    destination: destination.name,
    readData: String(options.readData),
    ...recordedView(options),
  });
  const repository = await openDestination(context, destination, options);
  const { onProgress, readData } = options;
  const report = await repository.check({
    readData,
    signal: context.signal,
    ...(onProgress === undefined ? {} : { onProgress: (progress) => onProgress(shown(progress)) }),
  });
  const damaged = report.findings.some((finding) => finding.severity === "error");
  return {
    ...report,
    destination: destination.name,
    location: repository.location,
    readData,
    outcome: damaged ? "damaged" : "clean",
    durationMs: context.clock.monotonicMs() - startedMs,
  };
}

/** "snapshot 3 of 20" is a place within one step, not a step of its own. */
function shown(progress: { doneBytes: number; totalBytes: number; step: string }): Progress {
  const count = /^snapshot (\d+) of (\d+)$/.exec(progress.step);
  if (count === null) return progress;
  const objects = { done: Number(count[1]), total: Number(count[2]) };
  return { step: "snapshots", doneBytes: 0, totalBytes: 0, objects };
}
