import { link, open, opendir, stat, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { throwIfAborted } from "../kernel/index.ts";
import type { Bytes, RandomBytes } from "../kernel/index.ts";
import { fsError, isMissing } from "./fs-errors.ts";
import { syncFolder, undefinedIfMissing, writeDurably } from "./fs-write.ts";
import type { WriteOptions } from "./fs-write.ts";
import { isKeyPart, parseKey, parsePrefix } from "./keys.ts";
import { truncated } from "./memory.ts";
import type {
  ByteRange,
  LargeBody,
  ObjectStat,
  ObjectStore,
  PutOptions,
  GetOptions,
  WaitOptions,
} from "./object-store.ts";

export interface FsStoreOptions {
  readonly random: RandomBytes;
  /** For tests. */
  readonly link?: WriteOptions["link"];
  /** For tests. */
  readonly syncFolder?: WriteOptions["syncFolder"];
}

/**
 * Objects are files below one folder, laid out as restic's local backend does. Symbolic links inside are followed:
 * people put `data` on another disk. Files whose names are no keys (ours still being written, or foreign) are not
 * listed.
 */
export function createFsStore(folder: string, options: FsStoreOptions): ObjectStore {
  const root = resolve(folder);
  const writeOptions = {
    random: options.random,
    link: options.link ?? link,
    syncFolder: options.syncFolder ?? syncFolder,
    root,
    preparedFolders: new Map<string, Promise<void>>(),
    cleanedFolders: new Set<string>(),
  };
  const at = (key: string): string => join(root, ...parseKey(key));
  return {
    location: root,
    put: async (key, body, put) => {
      const path = at(key);
      await wrapped("write", key, () => putFile(path, body, writeOptions, put));
    },
    putLarge: async (key, body, put) => {
      const path = at(key);
      await wrapped("write", key, () => putFile(path, body, writeOptions, put));
    },
    get: async (key, wait) => {
      const path = at(key);
      return wrapped("read", key, () => readFile(path, key, wait));
    },
    getRange: async (key, range, wait) => {
      const path = at(key);
      return wrapped("read", key, () => readFile(path, key, wait, range));
    },
    stat: async (key, wait) => {
      const path = at(key);
      throwIfAborted(wait?.signal);
      return wrapped("look up", key, () => statFile(path, key));
    },
    list: (prefix, wait) => {
      const parts = parsePrefix(prefix);
      return listFolder(join(root, ...parts), prefix, wait);
    },
    remove: async (key, wait) => {
      const path = at(key);
      throwIfAborted(wait?.signal);
      await wrapped("remove", key, () => removeFile(path, writeOptions.syncFolder));
    },
  };
}

async function wrapped<Result>(
  action: string,
  key: string,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    throw fsError(thrown, action, key);
  }
}

async function putFile(
  path: string,
  body: readonly Bytes[] | LargeBody,
  options: Omit<WriteOptions, "ifAbsent" | "signal">,
  put: PutOptions | undefined,
): Promise<void> {
  throwIfAborted(put?.signal);
  await writeDurably(path, body, {
    ...options,
    ifAbsent: put?.ifAbsent ?? false,
    signal: put?.signal,
  });
}

async function readFile(
  path: string,
  key: string,
  options: GetOptions | undefined,
  range?: ByteRange,
): Promise<Bytes> {
  throwIfAborted(options?.signal);
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const wanted = range ?? { offset: 0, length: size };
    if (wanted.offset + wanted.length > size) throw truncated(key, wanted, size);
    const bytes = options?.room?.(wanted.length) ?? Buffer.allocUnsafe(wanted.length);
    await readExactly(file, key, bytes, wanted.offset, options);
    return bytes;
  } finally {
    await file.close();
  }
}

async function readExactly(
  file: FileHandle,
  key: string,
  bytes: Bytes,
  offset: number,
  options: WaitOptions | undefined,
): Promise<void> {
  const length = bytes.byteLength;
  let filled = 0;
  while (filled < length) {
    throwIfAborted(options?.signal);
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) throw truncated(key, { offset, length }, offset + filled);
    filled += bytesRead;
  }
}

async function statFile(path: string, key: string): Promise<ObjectStat | undefined> {
  const found = await stat(path).catch(undefinedIfMissing);
  if (found === undefined || !found.isFile()) return undefined;
  return { key, sizeBytes: found.size, modifiedAt: found.mtime };
}

async function* listFolder(
  folder: string,
  prefix: string,
  options: WaitOptions | undefined,
): AsyncIterable<ObjectStat> {
  try {
    for await (const found of await opendir(folder)) {
      throwIfAborted(options?.signal);
      if (!isKeyPart(found.name)) continue;
      const key = `${prefix}${found.name}`;
      const path = join(folder, found.name);
      // What vanishes between the name and the look at it was removed by someone else: no object.
      const about = found.isDirectory() ? undefined : await stat(path).catch(undefinedIfMissing);
      if (found.isDirectory() || about?.isDirectory() === true) {
        yield* listFolder(path, `${key}/`, options);
      } else if (about?.isFile() === true) {
        yield { key, sizeBytes: about.size, modifiedAt: about.mtime };
      }
    }
  } catch (thrown) {
    if (isMissing(thrown)) return;
    throw fsError(thrown, "list", prefix);
  }
}

/** Also where it is gone: an attempt before this one may have removed it and not come to the sync. */
async function removeFile(path: string, sync: typeof syncFolder): Promise<void> {
  await unlink(path).catch(undefinedIfMissing);
  await sync(dirname(path)).catch(undefinedIfMissing);
}
