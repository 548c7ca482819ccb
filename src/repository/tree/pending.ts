import type { Bytes } from "../../kernel/index.ts";
import { repositoryError } from "../errors.ts";
import type { EntryPath } from "../types.ts";
import { latin1 } from "./names.ts";

/**
 * The entries of a snapshot that is being written, until its trees are. Files come in any order, so each is kept, as
 * small as it goes: raw bytes are Latin-1 strings (one byte a byte, 16 bytes of overhead against a Buffer's hundred),
 * about 250 bytes for a file of one blob.
 */
export interface PendingFile {
  readonly mode: number;
  readonly modifiedAtMs: number;
  readonly sizeBytes: number;
  /** Ids, 32 characters each. */
  readonly content: string;
  readonly attributes?: readonly (readonly [name: string, value: string])[];
}

/** Keyed by true name. `reserved`: a file whose content is still being read. */
export class PendingFolder {
  readonly children = new Map<string, Pending>();
}

type Pending = PendingFolder | PendingFile | "reserved";

/** Deeper paths no system could restore: PATH_MAX allows about 2,000 one-letter folders. */
const MAX_DEPTH = 1024;

export interface PendingSlot {
  save(file: PendingFile): void;
  /** Gives the path free again, so that a later attempt may use it. */
  abandon(): void;
}

/** Reserves a path, so that of two concurrent files with one path the second is refused before it is read. */
export function reservePath(root: PendingFolder, path: EntryPath): PendingSlot {
  if (path.length === 0 || path.length > MAX_DEPTH) {
    throw repositoryError("invalid_path", { message: `path of ${path.length} names` });
  }
  const names = path.map(nameKey);
  const folder = names.slice(0, -1).reduce((parent, name) => folderIn(parent, name, path), root);
  const name = names.at(-1) ?? "";
  if (folder.children.has(name)) {
    throw repositoryError("duplicate_path", {
      message: `second entry under ${showPath(path)}`,
      subject: { path: showPath(path) },
    });
  }
  folder.children.set(name, "reserved");
  return {
    save: (file) => void folder.children.set(name, file),
    abandon: () => removeFrom(root, names),
  };
}

/** Takes a saved file out again; its path is free then. */
export function discardPath(root: PendingFolder, path: EntryPath): void {
  const names = path.map(nameKey);
  const entry = names.reduce<Pending | undefined>(
    (parent, name) => (parent instanceof PendingFolder ? parent.children.get(name) : undefined),
    root,
  );
  if (entry === undefined || entry === "reserved" || entry instanceof PendingFolder) {
    throw repositoryError("path_not_found", {
      message: `no saved file ${showPath(path)} to discard`,
      subject: { path: showPath(path) },
    });
  }
  removeFrom(root, names);
}

/** With the folders that held nothing else: a reserved path is an entry, so nobody is about to put something there. */
function removeFrom(folder: PendingFolder, names: readonly string[]): void {
  const [name = "", ...rest] = names;
  const child = folder.children.get(name);
  if (rest.length > 0 && child instanceof PendingFolder) {
    removeFrom(child, rest);
    if (child.children.size > 0) return;
  }
  folder.children.delete(name);
}

function folderIn(parent: PendingFolder, name: string, path: EntryPath): PendingFolder {
  const there = parent.children.get(name);
  if (there instanceof PendingFolder) return there;
  if (there !== undefined) {
    throw repositoryError("invalid_path", {
      message: `path ${showPath(path)} through an entry that is a file`,
      subject: { path: showPath(path) },
    });
  }
  const folder = new PendingFolder();
  parent.children.set(name, folder);
  return folder;
}

function nameKey(part: string | Bytes): string {
  return latin1(bytesOfName(part));
}

export function bytesOfName(part: string | Bytes): Bytes {
  return typeof part === "string" ? Buffer.from(part, "utf8") : part;
}

/** For messages: names joined by `/`, whatever is not printable replaced. */
export function showPath(path: EntryPath): string {
  const text = path.map((part) => Buffer.from(bytesOfName(part)).toString("utf8")).join("/");
  return text.replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, "\ufffd").slice(0, 512);
}
