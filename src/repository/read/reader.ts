import { asBlobId, fromHex, throwIfAborted, toHex } from "../../kernel/index.ts";
import type { BlobId, Bytes } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { loadIndex } from "../index/load-index.ts";
import { NAME_ATTRIBUTE } from "../tree/names.ts";
import type { TreeNode } from "../tree/node.ts";
import { bytesOfName, showPath } from "../tree/pending.ts";
import type { Entry, EntryPath, IndexConflict, Snapshot, SnapshotReader } from "../types.ts";
import { BlobReader } from "./blob-reader.ts";
import { readContent } from "./content.ts";
import { TreeWalker } from "./walk.ts";

/** More than this a poisoned index may name, but nobody needs to read. */
const MAX_CONFLICTS = 10_000;

export async function acquireReader(
  core: RepositoryCore,
  signal?: AbortSignal,
): Promise<SnapshotReader> {
  return new Reader(core, await loadIndex(core, signal, { marked: true }));
}

interface WaitOptions {
  readonly signal?: AbortSignal;
}

class Reader implements SnapshotReader {
  readonly #blobs: BlobReader;
  readonly #walker: TreeWalker;
  #conflicts: readonly IndexConflict[] | undefined;

  constructor(core: RepositoryCore, index: BlobIndex) {
    this.#blobs = new BlobReader(core, index);
    this.#walker = new TreeWalker(this.#blobs);
  }

  get conflicts(): readonly IndexConflict[] {
    this.#conflicts ??= findConflicts(this.#blobs.index, MAX_CONFLICTS);
    return this.#conflicts;
  }

  async *entries(
    snapshot: Snapshot,
    options: { below?: EntryPath; recursive?: boolean; signal?: AbortSignal } = {},
  ): AsyncGenerator<Entry> {
    const { below = [], recursive = true, signal } = options;
    const base = below.map(bytesOfName);
    let tree: string = snapshot.tree;
    if (base.length > 0) {
      const node = await this.#require(snapshot, base, signal);
      if (node.subtree === undefined) {
        yield entryOf(base, node);
        return;
      }
      tree = node.subtree;
    }
    for await (const { path, node } of this.#walker.below(tree, base, recursive, signal)) {
      yield entryOf(path, node);
    }
  }

  async find(snapshot: Snapshot, path: EntryPath, { signal }: WaitOptions = {}): Promise<Entry> {
    const names = path.map(bytesOfName);
    return entryOf(names, await this.#require(snapshot, names, signal));
  }

  async *read(entry: Entry, { signal }: WaitOptions = {}): AsyncGenerator<Bytes> {
    throwIfAborted(signal);
    if (entry.type !== "file") {
      const path = showPath(entry.path);
      throw repositoryError("not_a_file", {
        message: `${path}, which is a ${entry.type === "dir" ? "folder" : entry.type} and no file`,
        subject: { path },
      });
    }
    yield* readContent(this.#blobs, entry.content, signal);
  }

  holds(blob: BlobId): boolean {
    return this.#blobs.index.has(fromHex(blob), "data");
  }

  async #require(
    snapshot: Snapshot,
    path: readonly Bytes[],
    signal?: AbortSignal,
  ): Promise<TreeNode> {
    const node = await this.#walker.find(snapshot.tree, path, signal);
    if (node !== undefined) return node;
    const shown = showPath(path);
    throw repositoryError("path_not_found", {
      message: `nothing under ${shown === "" ? "an empty path" : shown}`,
      subject: { path: shown, snapshot: snapshot.id },
    });
  }
}

function entryOf(path: readonly Bytes[], node: TreeNode): Entry {
  const attributes = [...node.attributes].filter(([name]) => name !== NAME_ATTRIBUTE);
  return {
    path,
    type: node.type,
    sizeBytes: node.sizeBytes,
    modifiedAt: node.modifiedAt,
    mode: node.mode,
    extendedAttributes: Object.fromEntries(attributes),
    content: node.content.map(asBlobId),
    ...(node.linkTarget === undefined ? {} : { linkTarget: node.linkTarget }),
  };
}

/** Blobs that several places are named for. Two writers at once leave harmless ones; a poisoned index leaves others. */
export function findConflicts(index: BlobIndex, limit: number): readonly IndexConflict[] {
  const found: IndexConflict[] = [];
  if (!index.hasRepeats) return found;
  for (let position = 0; position < index.size && found.length < limit; position += 1) {
    const type = index.isTreeAt(position) ? "tree" : "data";
    const id = index.idAt(position);
    // Once a blob: at the one of its places that the probe order finds first.
    if (index.position(id, type) !== position) continue;
    const positions = index.positions(id, type);
    if (positions.length < 2) continue;
    const packs = positions.map((p) => index.packIds[index.packNumberAt(p)] ?? "");
    found.push({ blob: asBlobId(toHex(id)), packs: [...new Set(packs)] });
  }
  return found;
}
