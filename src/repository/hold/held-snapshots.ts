import type { RepositoryCore } from "../core.ts";
import type { LockClocks } from "../lock/lock.ts";
import { loadRecords } from "../record/record.ts";
import { planOf } from "../snapshot-tags.ts";
import type { Snapshot } from "../types.ts";
import { foldHolds, holds, isInForce, parseHoldRecord } from "./hold.ts";
import type { Hold } from "./hold.ts";

/**
 * The holds in force, for whoever removes snapshots: asked under the lock that excludes new holds, by the clock that lets a
 * hold end later. A hold that cannot be read is an error.
 */
export async function standingHolds(
  core: RepositoryCore,
  { ours, stores }: LockClocks,
  signal?: AbortSignal,
): Promise<readonly Hold[]> {
  const all = foldHolds(await loadRecords(core, "holds", parseHoldRecord, signal));
  const earlier = new Date(Math.min(ours.getTime(), stores.getTime()));
  return all.filter((hold) => isInForce(hold, earlier));
}

export function isHeld(standing: readonly Hold[], snapshot: Snapshot): boolean {
  return standing.some((hold) => holds(hold, { ...snapshot, plan: planOf(snapshot) }));
}
