import type { RepositoryCore } from "../core.ts";
import type { LockClocks } from "../lock/lock.ts";
import { loadRecords } from "../record/record.ts";
import { planOf } from "../snapshot-tags.ts";
import type { Snapshot } from "../types.ts";
import { foldHolds, holds, isInForce, parseHoldRecord } from "./hold.ts";

/**
 * Ids of those snapshots that a hold in force keeps, for whoever removes some: asked under the lock that excludes new holds,
 * by the clock that lets a hold end later. A hold that cannot be read is an error.
 */
export async function heldAmong(
  core: RepositoryCore,
  snapshots: readonly Snapshot[],
  { ours, stores }: LockClocks,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const all = foldHolds(await loadRecords(core, "holds", parseHoldRecord, signal));
  const earlier = new Date(Math.min(ours.getTime(), stores.getTime()));
  const standing = all.filter((hold) => isInForce(hold, earlier));
  const isHeld = (snapshot: Snapshot): boolean =>
    standing.some((hold) => holds(hold, { ...snapshot, plan: planOf(snapshot) }));
  return new Set(snapshots.filter(isHeld).map(({ id }) => id));
}
