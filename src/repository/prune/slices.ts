import { AppError } from "../../kernel/index.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { acquireLock } from "../lock/lock.ts";
import type { Lock } from "../lock/lock.ts";
import type { PruneState } from "./state.ts";
import { takeIn, takeInHeld } from "./take-in.ts";
import type { ExecutePruneOptions } from "./types.ts";

/** An exclusive lock is held for 5 minutes at most (engine-traps 19); the last minute is for what was begun. */
const SLICE_MS = 4 * 60_000;
/** Between two slices others may take the lock. */
const PAUSE_MS = 2_000;
const ASK_AGAIN_MS = 5_000;

export interface Slice {
  readonly signal: AbortSignal;
  /** The store's clock when the lock was taken. */
  readonly nowMs: number;
  isOver(): boolean;
}

/** Repeats `work` under an exclusive lock, taking in what appeared first each time, until it says that all is done. */
export async function inSlices(
  core: RepositoryCore,
  state: PruneState,
  options: ExecutePruneOptions,
  work: (slice: Slice) => Promise<boolean>,
): Promise<void> {
  while (!(await oneSlice(core, state, options, work))) {
    await core.clock.sleep(PAUSE_MS, options.signal);
  }
}

async function oneSlice(
  core: RepositoryCore,
  state: PruneState,
  options: ExecutePruneOptions,
  work: (slice: Slice) => Promise<boolean>,
): Promise<boolean> {
  await using lock = await acquireExclusive(core, options);
  const startedMs = core.clock.monotonicMs();
  const signal = signalOf(lock, options);
  const isOver = (): boolean => core.clock.monotonicMs() - startedMs >= SLICE_MS;
  await takeIn(core, state, signal);
  // Much appeared: what was learned stays known, and others get their turn.
  if (isOver()) return false;
  const nowMs = (await lock.clocks(signal)).stores.getTime();
  await takeInHeld(core, state, nowMs, signal);
  await lock.requireHeld(signal);
  return await work({ signal, nowMs, isOver });
}

/**
 * Waits by looking whether the lock in the way is still there: to try again and again would mean to write an exclusive lock
 * each time, and to turn away every backup that begins just then.
 */
async function acquireExclusive(
  core: RepositoryCore,
  { owner, lockWaitMs = 0, signal }: ExecutePruneOptions,
): Promise<Lock> {
  const waits = signal === undefined ? {} : { signal };
  let leftMs = lockWaitMs;
  for (;;) {
    try {
      return await acquireLock(core, { exclusive: true, owner, ...waits });
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "repository.locked") throw thrown;
      const inTheWay = objectKey.lock(String(thrown.subject["lock"]));
      do {
        if (leftMs < ASK_AGAIN_MS) throw thrown;
        leftMs -= ASK_AGAIN_MS;
        await core.clock.sleep(ASK_AGAIN_MS, signal);
      } while ((await core.store.stat(inTheWay, waits)) !== undefined);
    }
  }
}

export function signalOf(lock: Lock, { signal }: { readonly signal?: AbortSignal }): AbortSignal {
  return AbortSignal.any([lock.signal, ...(signal === undefined ? [] : [signal])]);
}
