import { constants } from "node:fs";
import { lstat, open, symlink, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { AppError, throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { repositoryError } from "../errors.ts";
import { fileNameOf, latin1 } from "../tree/names.ts";
import { showPath } from "../tree/pending.ts";
import type { Entry, EntryPath, Snapshot, SnapshotReader } from "../types.ts";
import { systemCode, TargetFolders } from "./target-folders.ts";

export interface RestoreFilesOptions {
  /** Only this folder or file; it keeps its full path below the target. */
  readonly below?: EntryPath;
  /** Replaces files that are there; folders are merged in any case. Off: the first one in the way is an error. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly files: number; readonly bytes: number }) => void;
}

export interface RestoredFiles {
  readonly files: number;
  readonly folders: number;
  readonly symlinks: number;
  readonly bytes: number;
  /** Entries whose true names no file system holds, with the names that they got. At most 1,000 are listed. */
  readonly renamed: readonly { readonly path: readonly Bytes[]; readonly name: Bytes }[];
  /** Devices, pipes and sockets: not restored. At most 1,000 are listed. */
  readonly skipped: readonly (readonly Bytes[])[];
}

const MAX_LISTED = 1000;

/**
 * Writes a snapshot's entries below `targetFolder` under their true names. Nothing outside it is ever touched, whatever
 * the tree says: names that would lead elsewhere are escaped, no symlink is gone through, a file is always a new one.
 */
export async function restoreFiles(
  reader: SnapshotReader,
  snapshot: Snapshot,
  targetFolder: string,
  options: RestoreFilesOptions = {},
): Promise<RestoredFiles> {
  const { below, signal, onProgress } = options;
  const folders = await TargetFolders.open(targetFolder);
  const counts = { files: 0, folders: 0, symlinks: 0, bytes: 0 };
  const renamed: { path: readonly Bytes[]; name: Bytes }[] = [];
  const skipped: (readonly Bytes[])[] = [];
  const which = {
    ...(below === undefined ? {} : { below }),
    ...(signal === undefined ? {} : { signal }),
  };
  for await (const entry of reader.entries(snapshot, which)) {
    throwIfAborted(signal);
    const names = entry.path.map(fileNameOf);
    const name = names.at(-1) ?? Buffer.alloc(0);
    const isRenamed = latin1(name) !== latin1(entry.path.at(-1) ?? name);
    if (isRenamed && renamed.length < MAX_LISTED) renamed.push({ path: entry.path, name });
    if (entry.type === "dir") {
      await folders.enter(names, entry);
      counts.folders += 1;
    } else if (entry.type === "other") {
      if (skipped.length < MAX_LISTED) skipped.push(entry.path);
    } else {
      const path = Buffer.concat([await folders.enter(names.slice(0, -1)), SLASH, name]);
      if (options.overwrite === true) await makeRoom(path, entry);
      if (entry.type === "symlink") {
        await restoreSymlink(path, entry);
        counts.symlinks += 1;
      } else {
        counts.bytes += await restoreFile(reader, path, entry, signal);
        counts.files += 1;
        onProgress?.({ files: counts.files, bytes: counts.bytes });
      }
    }
  }
  await folders.close();
  return { ...counts, renamed, skipped };
}

const SLASH = Buffer.from("/");

/** Whatever is there goes, a link as a link: writing into it could write into a file outside. */
async function makeRoom(path: Buffer, entry: Entry): Promise<void> {
  try {
    if ((await lstat(path)).isDirectory()) throw inTheWay(entry, "folder");
    await unlink(path);
  } catch (thrown) {
    if (systemCode(thrown) !== "ENOENT") throw wrap(thrown, entry);
  }
}

async function restoreFile(
  reader: SnapshotReader,
  path: Buffer,
  entry: Entry,
  signal?: AbortSignal,
): Promise<number> {
  const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = constants;
  let handle: FileHandle;
  try {
    handle = await open(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600);
  } catch (thrown) {
    throw systemCode(thrown) === "EEXIST" ? inTheWay(entry, "file") : wrap(thrown, entry);
  }
  try {
    const written = await writeContent(reader, handle, entry, signal);
    // Set-user-id bits are not brought back: a tree is foreign input, and we may run as root.
    await handle.chmod(entry.mode & 0o777);
    await handle.utimes(entry.modifiedAt, entry.modifiedAt);
    await handle.close();
    return written;
  } catch (thrown) {
    await handle.close();
    // Half a file must not be taken for a whole one.
    await unlink(path);
    throw wrap(thrown, entry);
  }
}

async function writeContent(
  reader: SnapshotReader,
  handle: FileHandle,
  entry: Entry,
  signal?: AbortSignal,
): Promise<number> {
  let written = 0;
  for await (const bytes of reader.read(entry, signal === undefined ? {} : { signal })) {
    for (let at = 0; at < bytes.byteLength;) {
      at += (await handle.write(bytes, at)).bytesWritten;
    }
    written += bytes.byteLength;
  }
  if (written !== entry.sizeBytes) {
    const path = showPath(entry.path);
    throw repositoryError("tree_damaged", {
      message: `${path} of ${entry.sizeBytes} bytes whose blobs hold ${written}`,
      subject: { path },
    });
  }
  return written;
}

async function restoreSymlink(path: Buffer, entry: Entry): Promise<void> {
  try {
    await symlink(Buffer.from(entry.linkTarget ?? []), path);
  } catch (thrown) {
    throw systemCode(thrown) === "EEXIST" ? inTheWay(entry, "file") : wrap(thrown, entry);
  }
}

function inTheWay(entry: Entry, what: string): AppError {
  const path = showPath(entry.path);
  return repositoryError("target_exists", {
    message: `${what} in the way of ${path}`,
    subject: { path },
  });
}

function wrap(thrown: unknown, entry: Entry): unknown {
  if (thrown instanceof AppError || systemCode(thrown) === undefined) return thrown;
  const path = showPath(entry.path);
  return repositoryError("target_failed", {
    message: `${path} that cannot be written (${systemCode(thrown) ?? ""})`,
    subject: { path },
    cause: thrown,
  });
}
