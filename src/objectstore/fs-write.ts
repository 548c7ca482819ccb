import { mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import type { FileHandle, link } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AppError, throwIfAborted, toHex } from "../kernel/index.ts";
import type { Bytes, RandomBytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { errnoOf, isMissing } from "./fs-errors.ts";
import { totalBytes } from "./keys.ts";
import type { LargeBody } from "./object-store.ts";

/** `~` is outside the alphabet of keys: a leftover is never listed, by us or (not being an id) by restic. */
const TEMPORARY = /^~[0-9a-f]{24}$/;
const FOLDER_MODE = 0o700;
const WRITING_MODE = 0o600;
/** As restic's local backend does: what is written is never written again. */
const WRITTEN_MODE = 0o400;
/** No write of one object takes a day; what is older was left by a crash. */
const STALE_MS = 24 * 60 * 60 * 1000;
/** Linux takes at most IOV_MAX (1024) buffers a call. */
const BUFFERS_A_WRITE = 512;
/** File systems that do not know hard links: FAT, exFAT, some FUSE and SMB mounts. */
const NO_HARD_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);
/** Network file systems that cannot sync a folder; the name is as durable as they make it. */
const NO_FOLDER_SYNC = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "EBADF", "EISDIR"]);

export interface WriteOptions {
  readonly random: RandomBytes;
  readonly ifAbsent: boolean;
  readonly signal: AbortSignal | undefined;
  /** `link(2)`; a test hands in one that the file system refuses. */
  readonly link: typeof link;
  /** As `syncFolder`; a test hands in one that waits. */
  readonly syncFolder: (folder: string) => Promise<void>;
  /** Of the store. Folders below it are made durable up to here. */
  readonly root: string;
  /** Folders that this store has made durable, or is about to. */
  readonly preparedFolders: Map<string, Promise<void>>;
  /** Those that it has cleaned. */
  readonly cleanedFolders: Set<string>;
}

/**
 * Bytes first, then the name: a file under a temporary name in the same folder is filled, measured, synced, and only
 * then given its name, and the folder synced. A crash at any point leaves the whole object or none.
 */
export async function writeDurably(
  path: string,
  body: readonly Bytes[] | LargeBody,
  options: WriteOptions,
): Promise<void> {
  const folder = dirname(path);
  await prepareFolder(folder, options);
  const temporary = join(folder, `~${toHex(options.random(12))}`);
  try {
    const writtenAt = await writeTemporary(temporary, body, options.signal);
    throwIfAborted(options.signal);
    await giveName(temporary, path, options);
    await options.syncFolder(folder);
    await removeStale(folder, writtenAt, options.cleanedFolders);
  } catch (thrown) {
    await unlinkIfThere(temporary);
    // Who finds the name taken may rely on it: an attempt before this one may have given it and not come to the sync.
    if (isTaken(thrown)) await options.syncFolder(folder);
    throw thrown;
  }
}

function isTaken(thrown: unknown): boolean {
  return (
    errnoOf(thrown) === "EEXIST" ||
    (thrown instanceof AppError && thrown.code === "objectstore.exists")
  );
}

async function writeTemporary(
  path: string,
  body: readonly Bytes[] | LargeBody,
  signal: AbortSignal | undefined,
): Promise<Date> {
  const file = await open(path, "wx", WRITING_MODE);
  try {
    const sizeBytes = await writeBody(file, body, signal);
    const { size, mtime } = await file.stat();
    if (size !== sizeBytes) {
      throw objectStoreError("unavailable", {
        message: `${size} bytes on disk where ${sizeBytes} were written`,
        subject: { path, sizeBytes, foundBytes: size },
      });
    }
    await makeReadOnly(file);
    await file.sync();
    return mtime;
  } finally {
    await file.close();
  }
}

/** Answers with the bytes that it should have written. */
async function writeBody(
  file: FileHandle,
  body: readonly Bytes[] | LargeBody,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (!("open" in body)) {
    await writeAll(file, body, signal);
    return totalBytes(body);
  }
  for await (const part of body.open()) await writeAll(file, [part], signal);
  return body.sizeBytes;
}

async function writeAll(
  file: FileHandle,
  body: readonly Bytes[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let first = 0; first < body.length; first += BUFFERS_A_WRITE) {
    let rest = body.slice(first, first + BUFFERS_A_WRITE).filter((part) => part.byteLength > 0);
    while (rest.length > 0) {
      throwIfAborted(signal);
      const { bytesWritten } = await file.writev(rest);
      rest = dropBytes(rest, bytesWritten);
    }
  }
}

/** What is left to write after a write that took fewer bytes than it was given. */
export function dropBytes(parts: readonly Bytes[], count: number): Bytes[] {
  let left = count;
  const rest: Bytes[] = [];
  for (const part of parts) {
    if (left >= part.byteLength) left -= part.byteLength;
    else {
      rest.push(left === 0 ? part : part.subarray(left));
      left = 0;
    }
  }
  return rest;
}

async function makeReadOnly(file: FileHandle): Promise<void> {
  try {
    await file.chmod(WRITTEN_MODE);
  } catch (thrown) {
    // Safe to go on: the mode only guards against accidents, and FAT and some network mounts know none.
    if (errnoOf(thrown) === undefined) throw thrown;
  }
}

async function giveName(temporary: string, path: string, options: WriteOptions): Promise<void> {
  if (!options.ifAbsent) {
    await rename(temporary, path);
    return;
  }
  try {
    await options.link(temporary, path);
  } catch (thrown) {
    if (!NO_HARD_LINKS.has(errnoOf(thrown) ?? "")) throw thrown;
    await renameIfAbsent(temporary, path);
    return;
  }
  await unlink(temporary);
}

/**
 * Where hard links are unknown two writers of one key may both succeed, and the later one stays. The names of a
 * repository are hashes of their content, so both wrote the same bytes.
 */
async function renameIfAbsent(temporary: string, path: string): Promise<void> {
  const found = await stat(path).catch(undefinedIfMissing);
  if (found !== undefined) {
    throw objectStoreError("exists", { message: "name already taken", subject: { path } });
  }
  await rename(temporary, path);
}

export function undefinedIfMissing(thrown: unknown): undefined {
  if (isMissing(thrown)) return undefined;
  throw thrown;
}

/** Once a folder and store. Who finds it being made waits: a name in it is no more durable than the folder's own. */
function prepareFolder(folder: string, options: WriteOptions): Promise<void> {
  const { preparedFolders } = options;
  const known = preparedFolders.get(folder);
  if (known !== undefined) return known;
  const prepared = makeFolder(folder, options).catch((thrown: unknown) => {
    preparedFolders.delete(folder);
    throw thrown;
  });
  preparedFolders.set(folder, prepared);
  return prepared;
}

/**
 * New folders are durable only when each one's parent was synced; so are those that were there, for whoever made them may
 * have died before. Above the store only what was made here is synced: the rest may not be ours to open.
 */
async function makeFolder(folder: string, { root, syncFolder }: WriteOptions): Promise<void> {
  const firstMade = await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  const reached = (made: string): boolean =>
    made.length <= root.length && (firstMade === undefined || made.length < firstMade.length);
  for (let made = folder; !reached(made); made = dirname(made)) await syncFolder(dirname(made));
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } catch (thrown) {
    if (!NO_FOLDER_SYNC.has(errnoOf(thrown) ?? "")) throw thrown;
  } finally {
    await handle.close();
  }
}

/** Once a folder and store: removes what crashed writers left, by the clock of the file system that also dated it. */
async function removeStale(folder: string, writtenAt: Date, cleaned: Set<string>): Promise<void> {
  if (cleaned.has(folder)) return;
  cleaned.add(folder);
  for (const name of await readdir(folder)) {
    if (!TEMPORARY.test(name)) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(undefinedIfMissing);
    if (found !== undefined && writtenAt.getTime() - found.mtimeMs > STALE_MS) {
      await unlinkIfThere(path);
    }
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch(undefinedIfMissing);
}
