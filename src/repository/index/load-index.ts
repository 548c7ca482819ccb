import { AppError, throwIfAborted, toAppError } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { listIds } from "../list.ts";
import { loadUnpacked, unpackedDamage, unpackedPrefix } from "../unpacked.ts";
import { BlobIndex } from "./blob-index.ts";
import { parseIndexFile } from "./index-file.ts";
import type { IndexedPack, IndexFile } from "./index-file.ts";

/** How many index files are fetched ahead of the one being taken in. */
const READ_AHEAD = 4;

/** A prune replaces index files: new ones are written before old ones go, so another look finds what vanished. */
const LOOKS = 3;

export interface LoadIndexOptions {
  /**
   * Also what lies only in packs that a prune has marked: a reader may use it for as long as it is there, a writer must
   * store it again.
   */
  readonly marked?: boolean;
}

/** Every index file into one index. A damaged one is an error: a blob might be missing that is there. */
export async function loadIndex(
  core: RepositoryCore,
  signal?: AbortSignal,
  options: LoadIndexOptions = {},
): Promise<BlobIndex> {
  for (let look = 1; ; look += 1) {
    try {
      return await readAll(core, options, signal);
    } catch (thrown) {
      const vanished = thrown instanceof AppError && thrown.code === "objectstore.not_found";
      if (!vanished || look === LOOKS) throw thrown;
    }
  }
}

async function readAll(
  core: RepositoryCore,
  options: LoadIndexOptions,
  signal?: AbortSignal,
): Promise<BlobIndex> {
  const index = new BlobIndex();
  const withMarks: string[] = [];
  for await (const loaded of indexFiles(core, signal)) {
    if ("error" in loaded) throw loaded.error;
    addPacks(index, loaded.packs);
    const packs = Uint32Array.from(loaded.packs, ({ id }) => index.packNumber(id));
    index.files.push({ id: loaded.id, packs });
    if (loaded.marked.length > 0) withMarks.push(loaded.id);
  }
  if (options.marked !== true) return index;
  // Read once more, in place of holding them all: only now it is known which of these blobs are nowhere else.
  for (const id of withMarks) addUnknown(index, (await loadIndexFile(core, id, signal)).marked);
  return index;
}

function addUnknown(index: BlobIndex, packs: readonly IndexedPack[]): void {
  for (const { id, entries } of packs) {
    const unknown = entries.filter((entry) => !index.has(entry.id, entry.type));
    if (unknown.length > 0) addPacks(index, [{ id, entries: unknown }]);
  }
}

export async function loadIndexFile(
  core: RepositoryCore,
  id: string,
  signal?: AbortSignal,
): Promise<IndexFile> {
  const file = parseIndexFile(await loadUnpacked(core, "index", id, signal));
  if (file === undefined) throw unpackedDamage("index", id, "that is no index");
  return file;
}

export function addPacks(index: BlobIndex, packs: readonly IndexedPack[]): void {
  for (const { id, entries } of packs) {
    const number = index.packNumber(id);
    for (const entry of entries) index.add(entry, number);
  }
}

export type LoadedIndex =
  | ({ readonly id: string } & IndexFile)
  | { readonly id: string; readonly error: AppError };

/** One file at a time is in memory as JSON, in the order of their ids. Damage is a value, other errors are thrown. */
export async function* indexFiles(
  core: RepositoryCore,
  signal?: AbortSignal,
): AsyncGenerator<LoadedIndex> {
  yield* indexFilesOf(core, await listIds(core.store, unpackedPrefix.index, signal), signal);
}

export async function* indexFilesOf(
  core: RepositoryCore,
  ids: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<LoadedIndex> {
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
    const file = parseIndexFile(fetched.json);
    yield file === undefined
      ? { id, error: unpackedDamage("index", id, "that is no index") }
      : { id, ...file };
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
