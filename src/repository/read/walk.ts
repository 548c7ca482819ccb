import { fromHex, throwIfAborted } from "../../kernel/index.ts";
import type { AppError, Bytes } from "../../kernel/index.ts";
import { repositoryError } from "../errors.ts";
import { latin1, NAME_ATTRIBUTE, storedNameOf, trueNameOf } from "../tree/names.ts";
import type { TreeNode } from "../tree/node.ts";
import { parseTree } from "../tree/parse-tree.ts";
import { SHARD_ATTRIBUTE, SHARD_PREFIX } from "../tree/shard.ts";
import { Bitset } from "../bitset.ts";
import type { BlobReader } from "./blob-reader.ts";

/** Folders within folders, shards counted. Linux lets a path be longer than PATH_MAX, but not a true tree this deep. */
export const MAX_DEPTH = 4096;
const CACHE_BYTES = 8 * 1024 * 1024;

/**
 * Trees that refer twice to the next one, 40 deep, have 2^40 paths in 80 nodes. A walk ends when it has given this many
 * entries, and so many times more than there are nodes in the trees that it saw; no real folder is copied that often.
 */
const MAX_FREE_ENTRIES = 200_000;
const MAX_ENTRIES_PER_NODE = 2_000;

export interface WalkedNode {
  readonly path: readonly Bytes[];
  readonly node: TreeNode;
}

/** Reads trees, keeps a few small ones: `find` for thousands of files walks the same folders again and again. */
export class TreeWalker {
  readonly #reader: BlobReader;
  readonly #cache = new Map<string, Bytes>();
  #cachedBytes = 0;

  constructor(reader: BlobReader) {
    this.#reader = reader;
  }

  /** Depth first, parents before children, in the order of stored names; shards are seen through. */
  async *below(
    tree: string,
    at: readonly Bytes[],
    recursive: boolean,
    signal?: AbortSignal,
  ): AsyncGenerator<WalkedNode> {
    const growth = new Growth(this.#reader.index.size);
    const stack = [
      { nodes: await this.#nodes(tree, signal), path: at, isNew: this.#sees(growth, tree) },
    ];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      throwIfAborted(signal);
      const next = top.nodes.next();
      if (next.done === true) {
        stack.pop();
        continue;
      }
      const { node } = next.value;
      if (!growth.allows(top.isNew))
        throw damagedTree(tree, "that holds the same folders without end");
      const shard = isShard(node);
      const path = shard ? top.path : [...top.path, trueName(node)];
      if (!shard) yield { path, node };
      if (node.subtree === undefined || !(shard || recursive)) continue;
      if (stack.length >= MAX_DEPTH) throw damagedTree(node.subtree, "nested too deep");
      const isNew = this.#sees(growth, node.subtree);
      stack.push({ nodes: await this.#nodes(node.subtree, signal), path, isNew });
    }
  }

  #sees(growth: Growth, tree: string): boolean {
    return growth.sees(this.#reader.index.position(fromHex(tree), "tree"));
  }

  /** The node under this path, or `undefined`. */
  async find(
    tree: string,
    path: readonly Bytes[],
    signal?: AbortSignal,
  ): Promise<TreeNode | undefined> {
    let folder: string | undefined = tree;
    let found: TreeNode | undefined;
    for (const name of path) {
      if (folder === undefined) return undefined;
      found = await this.#child(folder, name, signal);
      if (found === undefined) return undefined;
      folder = found.subtree;
    }
    return found;
  }

  async #child(tree: string, name: Bytes, signal?: AbortSignal): Promise<TreeNode | undefined> {
    const wanted = latin1(name);
    const stored = storedNameOf(name);
    let folder: string | undefined = tree;
    for (let depth = 0; folder !== undefined && depth < MAX_DEPTH; depth += 1) {
      let shard: TreeNode | undefined;
      for (const { node } of await this.#nodes(folder, signal)) {
        if (isShard(node)) {
          const from = node.name.subarray(SHARD_PREFIX.length);
          if (Buffer.compare(from, stored) <= 0) shard = node;
        } else if (latin1(trueName(node)) === wanted) return node;
      }
      folder = shard?.subtree;
    }
    return undefined;
  }

  /** Of one tree blob as it is stored, shards and escapes not seen through. */
  async stored(tree: string, signal?: AbortSignal): Promise<Iterator<{ readonly node: TreeNode }>> {
    return await this.#nodes(tree, signal);
  }

  async #nodes(tree: string, signal?: AbortSignal): Promise<Generator<{ node: TreeNode }>> {
    return checkedNodes(tree, await this.#load(tree, signal));
  }

  async #load(tree: string, signal?: AbortSignal): Promise<Bytes> {
    const cached = this.#cache.get(tree);
    if (cached !== undefined) return cached;
    const json = await this.#reader.load(fromHex(tree), "tree", signal);
    if (json.byteLength > CACHE_BYTES / 8) return json;
    this.#cache.set(tree, json);
    this.#cachedBytes += json.byteLength;
    for (const [id, oldest] of this.#cache) {
      if (this.#cachedBytes <= CACHE_BYTES) break;
      this.#cache.delete(id);
      this.#cachedBytes -= oldest.byteLength;
    }
    return json;
  }
}

/** Entries given against nodes of different trees. */
class Growth {
  readonly #seen: Bitset;
  #entries = 0;
  #nodes = 0;

  constructor(trees: number) {
    this.#seen = new Bitset(trees);
  }

  /** Whether the tree at this position of the index is seen for the first time. */
  sees(position: number): boolean {
    return position >= 0 && this.#seen.add(position);
  }

  allows(isNew: boolean): boolean {
    this.#entries += 1;
    if (isNew) this.#nodes += 1;
    return this.#entries <= Math.max(MAX_FREE_ENTRIES, this.#nodes * MAX_ENTRIES_PER_NODE);
  }
}

function* checkedNodes(tree: string, json: Bytes): Generator<{ node: TreeNode }> {
  for (const node of parseTree(json)) {
    if (node === undefined) throw damagedTree(tree, "that is no tree");
    yield { node };
  }
}

export function isShard(node: TreeNode): boolean {
  return (
    node.type === "dir" &&
    latin1(node.name.subarray(0, SHARD_PREFIX.length)) === SHARD_PREFIX &&
    node.attributes.has(SHARD_ATTRIBUTE)
  );
}

export function trueName(node: TreeNode): Bytes {
  return trueNameOf(node.name, node.attributes.get(NAME_ATTRIBUTE));
}

export function damagedTree(tree: string, what: string): AppError {
  return repositoryError("tree_damaged", {
    message: `tree ${tree.slice(0, 8)} ${what}`,
    subject: { tree },
  });
}
