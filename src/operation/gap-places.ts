import { AppError, throwIfAborted } from "../kernel/index.ts";
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { saveGap } from "../repository/index.ts";
import type { Gap, Repository } from "../repository/index.ts";
import type { OperationContext } from "./context.ts";
import { openDestination } from "./open.ts";
import { hasRoomForRecords } from "./prove.ts";

/** The repositories that the plans of a source write to: where later runs look for a break in its history. */
export interface GapPlaces {
  readonly open: readonly { readonly destination: string; readonly repository: Repository }[];
  /** A repository that is out of reach must not keep anybody from recovering: it is said, and the run is incomplete. */
  readonly closed: readonly { readonly destination: string; readonly reason: string }[];
}

export async function openGapPlaces(
  context: OperationContext,
  policy: Policy,
  source: string,
): Promise<GapPlaces> {
  const names = new Set(
    Object.values(policy.plans).flatMap((plan) => (plan.source === source ? [plan.to] : [])),
  );
  const open: { destination: string; repository: Repository }[] = [];
  const closed: { destination: string; reason: string }[] = [];
  for (const name of names) {
    const destination = destinationNamed(policy, name);
    if (!hasRoomForRecords(destination)) {
      closed.push({
        destination: name,
        reason: "it has no room for records: name a folder with beside:",
      });
      continue;
    }
    try {
      open.push({ destination: name, repository: await openDestination(context, destination) });
    } catch (thrown) {
      throwIfAborted(context.signal);
      if (!(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
      closed.push({ destination: name, reason: thrown.message });
    }
  }
  return { open, closed };
}

/** Names of the destinations that hold the record now, and what became of the others. */
export async function recordGap(
  places: GapPlaces,
  gap: Gap,
  signal: AbortSignal,
): Promise<GapPlaces["closed"]> {
  const failed: { destination: string; reason: string }[] = [];
  for (const { destination, repository } of places.open) {
    try {
      await saveGap(repository, gap, { signal });
    } catch (thrown) {
      throwIfAborted(signal);
      if (!(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
      failed.push({ destination, reason: thrown.message });
    }
  }
  return failed;
}
