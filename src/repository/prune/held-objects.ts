import { throwIfAborted } from "../../kernel/index.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { isGone } from "./pack-facts.ts";

/** Questions to the store under way. */
const PARALLEL = 16;

/** Until when the store holds these objects against removal; those that it does not hold any more are left out. */
export async function heldUntil(
  core: RepositoryCore,
  keys: readonly string[],
  nowMs: number,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const { lock } = core.store;
  const held = new Map<string, number>();
  if (lock === undefined) return held;
  const options = signal === undefined ? {} : { signal };
  const ask = async (key: string): Promise<void> => {
    try {
      const untilMs = (await lock.retentionOf(key, options))?.until.getTime() ?? 0;
      if (untilMs > nowMs) held.set(key, untilMs);
    } catch (thrown) {
      // Gone already: nothing holds it.
      if (!isGone(thrown)) throw thrown;
    }
  };
  for (let at = 0; at < keys.length; at += PARALLEL) {
    throwIfAborted(signal);
    await Promise.all(keys.slice(at, at + PARALLEL).map(ask));
  }
  return held;
}

/** The same for packs, by their ids. */
export async function packsHeldUntil(
  core: RepositoryCore,
  ids: readonly string[],
  nowMs: number,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const held = await heldUntil(core, ids.map(objectKey.pack), nowMs, signal);
  return new Map([...held].map(([key, untilMs]) => [key.slice(key.lastIndexOf("/") + 1), untilMs]));
}
