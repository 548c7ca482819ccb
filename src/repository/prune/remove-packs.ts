import { AppError, throwIfAborted } from "../../kernel/index.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import type { Slice } from "./slices.ts";

const PARALLEL = 8;

export interface RemovablePack {
  readonly id: string;
  readonly bytes: number;
}

export interface RemovedPacks {
  readonly packs: number;
  readonly bytes: number;
  readonly refused: readonly string[];
  /** Those that the slice left no time for. */
  readonly left: readonly RemovablePack[];
}

/** Packs that no index lists any more. A refusal by the store is a value: it may hold an object for reasons of its own. */
export async function removePacks(
  core: RepositoryCore,
  packs: readonly RemovablePack[],
  slice: Slice,
): Promise<RemovedPacks> {
  let bytes = 0;
  let removed = 0;
  const refused: string[] = [];
  const remove = async (pack: RemovablePack): Promise<void> => {
    try {
      await core.store.remove(objectKey.pack(pack.id), { signal: slice.signal });
      removed += 1;
      bytes += pack.bytes;
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "objectstore.denied") throw thrown;
      refused.push(pack.id);
    }
  };
  let at = 0;
  while (at < packs.length && !slice.isOver()) {
    throwIfAborted(slice.signal);
    await Promise.all(packs.slice(at, at + PARALLEL).map(remove));
    at += PARALLEL;
  }
  return { packs: removed, bytes, refused, left: packs.slice(at) };
}
