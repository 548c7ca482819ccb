import { AppError, MIB, throwIfAborted, toAppError } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { listFiles } from "../list.ts";
import {
  fetchUnpacked,
  loadUnpacked,
  openOrReread,
  unpackedDamage,
  unpackedPrefix,
} from "../unpacked.ts";
import { BlobIndex } from "./blob-index.ts";
import { parseIndexFile } from "./index-file.ts";
import type { IndexedPack, IndexFile } from "./index-file.ts";
import { scanIndex } from "./scan-index.ts";

/** Sealed index files fetched ahead of the one being taken in: enough to hide a distant store's answers, and bounded. */
const AHEAD_FILES = 16;
const AHEAD_BYTES = 32 * MIB;

/** What a blob takes at least in a stored index: its id does not compress. */
const LEAST_STORED_BYTES = 32;

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
  for await (const taken of takeIndexFiles(core, index, signal)) {
    if ("error" in taken) throw taken.error;
    index.files.push({ id: taken.id, packs: taken.packs });
    if (taken.marks) withMarks.push(taken.id);
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

function addPacks(index: BlobIndex, packs: readonly IndexedPack[]): void {
  for (const { id, entries } of packs) {
    const number = index.packNumber(id);
    for (const entry of entries) index.add(entry, number);
  }
}

interface Damaged {
  readonly id: string;
  readonly error: AppError;
}

/** An index file whose packs were added to an index. */
export interface TakenIndex {
  readonly id: string;
  /** The numbers of the packs that it lists as stored. */
  readonly packs: Uint32Array;
  /** Whether it marks packs, too. */
  readonly marks: boolean;
}

/** Every index file into `index`, in the order of their ids. Damage is a value and adds nothing; other errors are thrown. */
export async function* takeIndexFiles(
  core: RepositoryCore,
  index: BlobIndex,
  signal?: AbortSignal,
): AsyncGenerator<TakenIndex | Damaged> {
  const files = await listFiles(core.store, unpackedPrefix.index, signal);
  const all = storedBytes(files);
  let guessed = false;
  for await (const opened of openedFiles(core, files, signal)) {
    if ("error" in opened) {
      yield opened;
      continue;
    }
    const taken = takeJson(index, opened.json);
    if (taken === undefined) {
      yield { id: opened.id, error: notAnIndex(opened.id) };
      continue;
    }
    // As dense as the first one: the slots for all of them are made at once.
    if (!guessed)
      index.expect(Math.min(index.size / opened.sizeBytes, 1 / LEAST_STORED_BYTES) * all);
    guessed = true;
    yield { id: opened.id, ...taken };
  }
}

function takeJson(index: BlobIndex, json: Bytes): Omit<TakenIndex, "id"> | undefined {
  const before = [index.size, index.packIds.length] as const;
  const packs: number[] = [];
  const scanned = scanIndex(json, {
    pack: (id) => void packs.push(index.packNumber(id)),
    blob: (entry) => index.add(entry, packs.at(-1) ?? 0),
  });
  if (scanned) return { packs: Uint32Array.from(packs), marks: false };
  const file = parseIndexFile(json);
  if (file === undefined) {
    index.rewind(...before);
    return undefined;
  }
  // What was added before the scanner gave up is of this file, too: the same place again is ignored.
  addPacks(index, file.packs);
  const numbers = Uint32Array.from(file.packs, ({ id }) => index.packNumber(id));
  return { packs: numbers, marks: file.marked.length > 0 };
}

export type LoadedIndex = ({ readonly id: string } & IndexFile) | Damaged;

/** The same as values, for those who need more of a file than its places. One at a time is in memory. */
export async function* indexFiles(
  core: RepositoryCore,
  signal?: AbortSignal,
): AsyncGenerator<LoadedIndex> {
  const files = await listFiles(core.store, unpackedPrefix.index, signal);
  for await (const opened of openedFiles(core, files, signal)) yield parsed(opened);
}

function parsed(opened: OpenedFile | Damaged): LoadedIndex {
  if ("error" in opened) return opened;
  const file = parseIndexFile(opened.json);
  return file === undefined
    ? { id: opened.id, error: notAnIndex(opened.id) }
    : { id: opened.id, ...file };
}

export function notAnIndex(id: string): AppError {
  return unpackedDamage("index", id, "that is no index");
}

export interface IndexStat {
  readonly id: string;
  readonly sizeBytes: number;
}

export interface OpenedFile extends IndexStat {
  readonly json: Bytes;
}

function storedBytes(files: readonly IndexStat[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** Sealed files are fetched ahead; as JSON, many times as large, one at a time is in memory. */
export async function* openedFiles(
  core: RepositoryCore,
  files: readonly IndexStat[],
  signal?: AbortSignal,
): AsyncGenerator<OpenedFile | Damaged> {
  const ahead: Promise<Fetched>[] = [];
  let aheadBytes = 0;
  let next = 0;
  for (const file of files) {
    throwIfAborted(signal);
    while (ahead.length < AHEAD_FILES && (ahead.length === 0 || aheadBytes < AHEAD_BYTES)) {
      const coming = files[next];
      if (coming === undefined) break;
      ahead.push(fetchUnpacked(core, "index", coming.id, signal).then(...asValue));
      aheadBytes += coming.sizeBytes;
      next += 1;
    }
    const fetched = await ahead.shift();
    aheadBytes -= file.sizeBytes;
    if (fetched === undefined) continue;
    if ("thrown" in fetched) throw toAppError(fetched.thrown);
    const opened = await openFetched(core, file.id, fetched.sealed, signal);
    yield "error" in opened ? { id: file.id, ...opened } : { ...file, ...opened };
  }
}

type Fetched = { readonly sealed: Bytes } | { readonly thrown: unknown };

/** A promise that waits its turn must not be an unhandled rejection. */
const asValue = [
  (sealed: Bytes): Fetched => ({ sealed }),
  (thrown: unknown): Fetched => ({ thrown }),
] as const;

async function openFetched(
  core: RepositoryCore,
  id: string,
  sealed: Bytes,
  signal: AbortSignal | undefined,
): Promise<{ json: Bytes } | { error: AppError }> {
  try {
    return { json: await openOrReread(core, "index", id, sealed, signal) };
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.kind !== "corrupt") throw error;
    return { error };
  }
}
