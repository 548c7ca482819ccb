import { AppError } from "../../kernel/index.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { planOf } from "../snapshot-tags.ts";
import type { Repository, Snapshot } from "../types.ts";
import { holds as isHeldBy, isInForce } from "./hold.ts";
import type { Hold } from "./hold.ts";
import { listHolds } from "./holds.ts";

/**
 * What keeps a snapshot from being removed by whoever does not ask the policy (rewrite, repair): a hold in force, or an
 * Object Lock. Read under the exclusive lock for a removal; without one, for a plan, what it says may change.
 */
export interface Standing {
  readonly holds: readonly Hold[];
  /** Of our clock and the store's the earlier: a clock that is wrong ends no hold and no lock. */
  readonly now: Date;
}

/** Why a snapshot is still there. */
export interface Remaining<Id extends string = string> {
  readonly snapshot: Id;
  readonly why: "held" | "locked" | "denied";
  /** Who holds it and why, of a hold. */
  readonly by?: string;
  readonly reason?: string;
  /** When the store's lock ends. */
  readonly until?: Date;
}

interface WaitOptions {
  readonly signal?: AbortSignal;
}

export async function readStanding(
  repository: Repository,
  clocks: { readonly stores: Date } | undefined,
  options: WaitOptions = {},
): Promise<Standing> {
  const ours = coreOf(repository).clock.now();
  const now = clocks === undefined || ours < clocks.stores ? ours : clocks.stores;
  const holds = await holdsIfAny(repository, options);
  return { holds: holds.filter((hold) => isInForce(hold, now)), now };
}

/** A store without room for records has no holds. */
async function holdsIfAny(repository: Repository, options: WaitOptions): Promise<readonly Hold[]> {
  try {
    return await listHolds(repository, options);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "objectstore.no_place") return [];
    throw thrown;
  }
}

/** Of a file that cannot be read only the id is known: every range may hold it. */
export type KnownSnapshot<Id extends string = string> =
  | (Pick<Snapshot, "time" | "tags" | "original"> & { readonly id: Id })
  | { readonly id: Id; readonly time: undefined };

/** What stands in the way of its removal, if anything does. */
export async function obstacleOf<Id extends string>(
  core: RepositoryCore,
  snapshot: KnownSnapshot<Id>,
  { holds, now }: Standing,
  { signal }: WaitOptions = {},
): Promise<Remaining<Id> | undefined> {
  const { id } = snapshot;
  const hold = holds.find((one) => mayHold(one, snapshot));
  if (hold !== undefined) {
    return { snapshot: id, why: "held", by: hold.by, reason: hold.reason };
  }
  const until = await lockEnd(core, id, signal);
  return until !== undefined && until > now ? { snapshot: id, why: "locked", until } : undefined;
}

function mayHold(hold: Hold, snapshot: KnownSnapshot): boolean {
  if (snapshot.time === undefined) {
    return hold.range !== undefined || hold.snapshots.includes(snapshot.id);
  }
  return isHeldBy(hold, { ...snapshot, plan: planOf(snapshot) });
}

async function lockEnd(
  { store }: RepositoryCore,
  id: string,
  signal: AbortSignal | undefined,
): Promise<Date | undefined> {
  try {
    const waits = signal === undefined ? {} : { signal };
    return (await store.lock?.retentionOf(objectKey.snapshot(id), waits))?.until;
  } catch (thrown) {
    // Gone already: nothing stands in the way.
    if (thrown instanceof AppError && thrown.code === "objectstore.not_found") return undefined;
    throw thrown;
  }
}

/** Gone when this returns `undefined`. A snapshot that is held, or that the store does not let go, is a value. */
export async function removeUnlessHeld<Id extends string>(
  core: RepositoryCore,
  snapshot: KnownSnapshot<Id>,
  standing: Standing,
  options: WaitOptions = {},
): Promise<Remaining<Id> | undefined> {
  const obstacle = await obstacleOf(core, snapshot, standing, options);
  if (obstacle !== undefined) return obstacle;
  try {
    await core.store.remove(objectKey.snapshot(snapshot.id), options);
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "objectstore.denied") throw thrown;
    return { snapshot: snapshot.id, why: "denied" };
  }
}
