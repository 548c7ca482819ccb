import { AppError, throwIfAborted, toAppError } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { listIds } from "../list.ts";
import { loadUnpacked, unpackedDamage, unpackedPrefix } from "../unpacked.ts";
import { BlobIndex } from "./blob-index.ts";
import { parseIndex } from "./index-file.ts";
import type { IndexedPack } from "./index-file.ts";

/** How many index files are fetched ahead of the one being taken in. */
const READ_AHEAD = 4;

/** A prune replaces index files: new ones are written before old ones go, so another look finds what vanished. */
const LOOKS = 3;

/** Every index file into one index. A damaged one is an error: a blob might be missing that is there. */
export async function loadIndex(core: RepositoryCore, signal?: AbortSignal): Promise<BlobIndex> {
  for (let look = 1; ; look += 1) {
    try {
      return await readAll(core, signal);
    } catch (thrown) {
      const vanished = thrown instanceof AppError && thrown.code === "objectstore.not_found";
      if (!vanished || look === LOOKS) throw thrown;
    }
  }
}

async function readAll(core: RepositoryCore, signal?: AbortSignal): Promise<BlobIndex> {
  const index = new BlobIndex();
  for await (const loaded of indexFiles(core, signal)) {
    if ("error" in loaded) throw loaded.error;
    addPacks(index, loaded.packs);
    const packs = Uint32Array.from(loaded.packs, ({ id }) => index.packNumber(id));
    index.files.push({ id: loaded.id, packs });
  }
  return index;
}

export function addPacks(index: BlobIndex, packs: readonly IndexedPack[]): void {
  for (const { id, entries } of packs) {
    const number = index.packNumber(id);
    for (const entry of entries) index.add(entry, number);
  }
}

export type LoadedIndex =
  | { readonly id: string; readonly packs: readonly IndexedPack[] }
  | { readonly id: string; readonly error: AppError };

/** One file at a time is in memory as JSON, in the order of their ids. Damage is a value, other errors are thrown. */
export async function* indexFiles(
  core: RepositoryCore,
  signal?: AbortSignal,
): AsyncGenerator<LoadedIndex> {
  const ids = await listIds(core.store, unpackedPrefix.index, signal);
  const ahead: Promise<{ json: Uint8Array } | { error: AppError }>[] = [];
  let next = 0;
  for (const id of ids) {
    throwIfAborted(signal);
    while (ahead.length < READ_AHEAD && next < ids.length) {
      ahead.push(fetchIndex(core, ids[next] ?? id, signal));
      next += 1;
    }
    const fetched = await ahead.shift();
    if (fetched === undefined) continue;
    if ("error" in fetched) {
      if (fetched.error.kind !== "corrupt") throw fetched.error;
      yield { id, error: fetched.error };
      continue;
    }
    const packs = parseIndex(fetched.json);
    yield packs === undefined
      ? { id, error: unpackedDamage("index", id, "that is no index") }
      : { id, packs };
  }
}

/** Never rejects: a promise that waits its turn must not be an unhandled rejection. */
async function fetchIndex(
  core: RepositoryCore,
  id: string,
  signal: AbortSignal | undefined,
): Promise<{ json: Uint8Array } | { error: AppError }> {
  try {
    return { json: await loadUnpacked(core, "index", id, signal) };
  } catch (thrown) {
    return { error: toAppError(thrown) };
  }
}
