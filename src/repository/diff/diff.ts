import { equalBytes, throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { loadIndex } from "../index/load-index.ts";
import { BlobReader } from "../read/blob-reader.ts";
import { damagedTree, isShard, MAX_DEPTH, trueName, TreeWalker } from "../read/walk.ts";
import type { TreeNode } from "../tree/node.ts";
import { bytesOfName, showPath } from "../tree/pending.ts";
import type { EntryPath, Repository, Snapshot } from "../types.ts";
import { BlobSides } from "./blob-sides.ts";
import type { BlobTotals, Side } from "./blob-sides.ts";
import { FolderCursor, lowestNameOf } from "./cursor.ts";

/**
 * Two snapshots compared by their trees, without reading data: the same list of blobs is the same content.
 *
 *   both folders in the order of stored names, side by side -> on one side alone: added or removed, with all below it ->
 *   on both: type, content, metadata; the same subtree is skipped -> at the end, what the skipped ones hold is noted, so
 *   that blobs which both need are not counted as new
 *
 * Memory: the tree blobs on the way down, and three bits a blob.
 */

/** Added, removed, other content, other metadata alone, another type. */
export type DiffModifier = "+" | "-" | "M" | "U" | "T";

export interface DiffChange {
  readonly modifier: DiffModifier;
  /** True names. */
  readonly path: readonly Bytes[];
  /** Of the newer one, where both have it. */
  readonly type: TreeNode["type"];
  readonly beforeBytes?: number;
  readonly afterBytes?: number;
}

export interface SideTotals extends BlobTotals {
  readonly files: number;
  readonly folders: number;
  readonly others: number;
  /** Of files on this side alone. */
  readonly sizeBytes: number;
}

export interface DiffTotals {
  readonly changedFiles: number;
  readonly added: SideTotals;
  readonly removed: SideTotals;
}

export interface SnapshotDiff {
  /** To be walked once, to its end. */
  readonly changes: AsyncIterable<DiffChange>;
  /** Once the changes were walked. */
  totals(): DiffTotals;
}

export interface DiffOptions {
  /** Only this file or folder. */
  readonly below?: EntryPath;
  readonly signal?: AbortSignal;
}

export async function diffSnapshots(
  repository: Repository,
  before: Snapshot,
  after: Snapshot,
  { below = [], signal }: DiffOptions = {},
): Promise<SnapshotDiff> {
  const core = coreOf(repository);
  const reader = new BlobReader(core, await loadIndex(core, signal));
  const comparison = new Comparison(reader, signal);
  const path = below.map(bytesOfName);
  const changes =
    path.length === 0
      ? comparison.roots(before.tree, after.tree)
      : comparison.below(before.tree, after.tree, path);
  return { changes, totals: () => comparison.totals() };
}

interface Frame {
  readonly path: readonly Bytes[];
  readonly before: FolderCursor | undefined;
  readonly after: FolderCursor | undefined;
}

interface MutableCounts {
  files: number;
  folders: number;
  others: number;
  sizeBytes: number;
}

const NOTHING = { files: 0, folders: 0, others: 0, sizeBytes: 0 };

class Comparison {
  readonly #walker: TreeWalker;
  readonly #signal: AbortSignal | undefined;
  readonly #sides: BlobSides;
  readonly #counts: Readonly<Record<Side, MutableCounts>> = {
    before: { ...NOTHING },
    after: { ...NOTHING },
  };
  readonly #stack: Frame[] = [];
  /** Folders and shards that are the same blob on both sides. */
  readonly #same = new Set<string>();
  #changedFiles = 0;

  constructor(reader: BlobReader, signal: AbortSignal | undefined) {
    this.#walker = new TreeWalker(reader);
    this.#sides = new BlobSides(reader.index);
    this.#signal = signal;
  }

  totals(): DiffTotals {
    return {
      changedFiles: this.#changedFiles,
      added: { ...this.#counts.after, ...this.#sides.only("after") },
      removed: { ...this.#counts.before, ...this.#sides.only("before") },
    };
  }

  async *roots(before: string, after: string): AsyncGenerator<DiffChange> {
    this.#sides.addTree("before", before);
    this.#sides.addTree("after", after);
    if (before === after) return;
    await this.#push([], before, after);
    yield* this.#walk();
  }

  async *below(before: string, after: string, path: readonly Bytes[]): AsyncGenerator<DiffChange> {
    const old = await this.#walker.find(before, path, this.#signal);
    const young = await this.#walker.find(after, path, this.#signal);
    if (old === undefined && young === undefined) {
      const shown = showPath(path);
      throw repositoryError("path_not_found", {
        message: `nothing under ${shown} in either snapshot`,
        subject: { path: shown },
      });
    }
    yield* this.#compare(path, old, young);
    yield* this.#walk();
  }

  async *#walk(): AsyncGenerator<DiffChange> {
    for (let top = this.#stack.at(-1); top !== undefined; top = this.#stack.at(-1)) {
      throwIfAborted(this.#signal);
      const [old, young] = [top.before?.head, top.after?.head];
      if (old === undefined && young === undefined) {
        this.#stack.pop();
      } else if (await this.#shards(top, old, young)) {
        // The heads are others now.
      } else {
        const order = orderOf(old, young);
        if (order <= 0) top.before?.advance();
        if (order >= 0) top.after?.advance();
        const node = order <= 0 ? old : young;
        if (node === undefined) continue;
        const path = [...top.path, trueName(node)];
        yield* this.#compare(path, order <= 0 ? old : undefined, order >= 0 ? young : undefined);
      }
    }
    await this.#noteSame();
  }

  /** Steps over or into a head that is a shard, and says whether it did: an entry before all of a shard goes first. */
  async #shards(
    { before, after }: Frame,
    old: TreeNode | undefined,
    young: TreeNode | undefined,
  ): Promise<boolean> {
    const oldShard = old !== undefined && isShard(old);
    const youngShard = young !== undefined && isShard(young);
    if (!oldShard && !youngShard) return false;
    if (oldShard && youngShard && old.subtree === young.subtree) {
      this.#noteSameTree(old);
      before?.advance();
      after?.advance();
      return true;
    }
    if (oldShard && (young === undefined || youngShard || reaches(old, young))) {
      this.#sides.add("before", old);
      await before?.enter();
      return true;
    }
    if (youngShard && (old === undefined || oldShard || reaches(young, old))) {
      this.#sides.add("after", young);
      await after?.enter();
      return true;
    }
    return false;
  }

  async *#compare(
    path: readonly Bytes[],
    old: TreeNode | undefined,
    young: TreeNode | undefined,
  ): AsyncGenerator<DiffChange> {
    if (old !== undefined) this.#sides.add("before", old);
    if (young !== undefined) this.#sides.add("after", young);
    const change = this.#changeOf(path, old, young);
    if (change !== undefined) yield change;
    const [from, to] = [old?.subtree, young?.subtree];
    if (from === undefined && to === undefined) return;
    if (old !== undefined && from === to) this.#noteSameTree(old);
    else await this.#push(path, from, to);
  }

  #changeOf(
    path: readonly Bytes[],
    old: TreeNode | undefined,
    young: TreeNode | undefined,
  ): DiffChange | undefined {
    const type = (young ?? old)?.type ?? "other";
    const sizes = {
      ...(old?.type === "file" ? { beforeBytes: old.sizeBytes } : {}),
      ...(young?.type === "file" ? { afterBytes: young.sizeBytes } : {}),
    };
    if (old === undefined || young === undefined) {
      if (old !== undefined) count(this.#counts.before, old);
      if (young !== undefined) count(this.#counts.after, young);
      return { modifier: old === undefined ? "+" : "-", path, type, ...sizes };
    }
    const modifier = modifierOf(old, young);
    if (modifier === undefined) return undefined;
    if (modifier === "M" && type === "file") this.#changedFiles += 1;
    return { modifier, path, type, ...sizes };
  }

  async #push(
    path: readonly Bytes[],
    before: string | undefined,
    after: string | undefined,
  ): Promise<void> {
    if (this.#stack.length >= MAX_DEPTH)
      throw damagedTree(after ?? before ?? "", "nested too deep");
    const open = (tree: string | undefined) =>
      tree === undefined ? undefined : FolderCursor.open(this.#walker, tree, this.#signal);
    this.#stack.push({ path, before: await open(before), after: await open(after) });
  }

  #noteSameTree(node: TreeNode): void {
    if (this.#sides.addCommon(node) && node.subtree !== undefined) this.#same.add(node.subtree);
  }

  /** What both have in common below the folders that were skipped, each tree once. */
  async #noteSame(): Promise<void> {
    for (const tree of this.#same) {
      throwIfAborted(this.#signal);
      this.#same.delete(tree);
      const nodes = await this.#walker.stored(tree, this.#signal);
      for (let next = nodes.next(); next.done !== true; next = nodes.next()) {
        this.#noteSameTree(next.value.node);
      }
    }
  }
}

/** Which side's entry goes first. A shard that is a head still begins after the other side's entry. */
function orderOf(old: TreeNode | undefined, young: TreeNode | undefined): number {
  if (old === undefined || isShard(old)) return 1;
  if (young === undefined || isShard(young)) return -1;
  return Buffer.compare(old.name, young.name);
}

/** Whether the shard may hold names at or before the entry's. */
function reaches(shard: TreeNode, entry: TreeNode): boolean {
  return Buffer.compare(lowestNameOf(shard), entry.name) <= 0;
}

function modifierOf(old: TreeNode, young: TreeNode): DiffModifier | undefined {
  if (old.type !== young.type) return "T";
  if (!sameContent(old, young)) return "M";
  return sameMetadata(old, young) ? undefined : "U";
}

function sameContent(old: TreeNode, young: TreeNode): boolean {
  if (old.type === "symlink") return sameBytes(old.linkTarget, young.linkTarget);
  if (old.type !== "file" || old.content.length !== young.content.length)
    return old.type !== "file";
  return old.content.every((blob, index) => blob === young.content[index]);
}

function sameMetadata(old: TreeNode, young: TreeNode): boolean {
  return (
    old.mode === young.mode &&
    old.modifiedAt.getTime() === young.modifiedAt.getTime() &&
    old.attributes.size === young.attributes.size &&
    [...old.attributes].every(([name, value]) => sameBytes(value, young.attributes.get(name)))
  );
}

function sameBytes(a: Bytes | undefined, b: Bytes | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}

function count(counts: MutableCounts, { type, sizeBytes }: TreeNode): void {
  if (type === "dir") counts.folders += 1;
  else if (type === "file") {
    counts.files += 1;
    counts.sizeBytes += sizeBytes;
  } else counts.others += 1;
}
