import type { Lock } from "../lock/lock.ts";
import type { BlobReader } from "../read/blob-reader.ts";
import type { Needs } from "./needs.ts";
import type { PackLedger, UnlistedPack } from "./pack-facts.ts";
import type { PrunePlan } from "./types.ts";

/** What a plan knows besides what it shows: too much to print, and of no use to anybody but `executePrune`. */
export interface PruneState {
  readonly ledger: PackLedger;
  readonly needs: Needs;
  readonly reader: BlobReader;
  readonly graceMs: number;
  readonly lifetimes: number;
  /** Snapshots whose needs are noted. */
  readonly snapshots: Set<string>;
  /** Packs in no index that are old enough to be removed. */
  readonly unlisted: readonly UnlistedPack[];
  /** Index files that the store does not let go yet. */
  readonly heldFiles: Set<string>;
  /** Numbers of packs that this run took out of the index. */
  readonly dropped: Set<number>;
  /** The shared lock of planning, where it was kept. */
  readonly lock?: Lock;
}

const STATES = new WeakMap<PrunePlan, PruneState>();

export function registerState(plan: PrunePlan, state: PruneState): void {
  STATES.set(plan, state);
}

/** Once: whoever takes it executes the plan. */
export function takeState(plan: PrunePlan): PruneState | undefined {
  const state = STATES.get(plan);
  STATES.delete(plan);
  return state;
}

/** A plan that will not be executed holds no lock any more when this returns; without one nothing happens. */
export async function releasePlan(plan: PrunePlan): Promise<void> {
  await takeState(plan)?.lock?.[Symbol.asyncDispose]();
}
