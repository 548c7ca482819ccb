import type { Bytes } from "../../kernel/index.ts";
import { damagedTree, isShard, MAX_DEPTH } from "../read/walk.ts";
import type { TreeWalker } from "../read/walk.ts";
import { SHARD_PREFIX } from "../tree/shard.ts";
import type { TreeNode } from "../tree/node.ts";

/**
 * One folder in the order of stored names. Its shards stand in that order as heads of their own, so that two folders can
 * skip a range that is the same blob in both, and are entered only where they must be.
 */
export class FolderCursor {
  readonly #walker: TreeWalker;
  readonly #signal: AbortSignal | undefined;
  readonly #stack: {
    readonly tree: string;
    readonly nodes: Iterator<{ readonly node: TreeNode }>;
  }[] = [];
  #head: TreeNode | undefined;
  #last: Bytes | undefined;

  private constructor(walker: TreeWalker, signal: AbortSignal | undefined) {
    this.#walker = walker;
    this.#signal = signal;
  }

  static async open(
    walker: TreeWalker,
    tree: string,
    signal: AbortSignal | undefined,
  ): Promise<FolderCursor> {
    const cursor = new FolderCursor(walker, signal);
    await cursor.#push(tree);
    return cursor;
  }

  /** An entry or a shard; `undefined` at the end. */
  get head(): TreeNode | undefined {
    return this.#head;
  }

  /** Into the shard that is the head. */
  async enter(): Promise<void> {
    const { subtree } = this.#head ?? {};
    if (subtree !== undefined) await this.#push(subtree);
  }

  /** Past the head. */
  advance(): void {
    for (let top = this.#stack.at(-1); top !== undefined; top = this.#stack.at(-1)) {
      const next = top.nodes.next();
      if (next.done !== true) {
        this.#head = next.value.node;
        this.#requireOrder(top.tree, this.#head);
        return;
      }
      this.#stack.pop();
    }
    this.#head = undefined;
  }

  async #push(tree: string): Promise<void> {
    if (this.#stack.length >= MAX_DEPTH) throw damagedTree(tree, "nested too deep");
    this.#stack.push({ tree, nodes: await this.#walker.stored(tree, this.#signal) });
    this.advance();
  }

  /** Two folders can be compared in one pass only while names ascend; restic and we write them so. */
  #requireOrder(tree: string, node: TreeNode): void {
    if (isShard(node)) return;
    if (this.#last !== undefined && Buffer.compare(this.#last, node.name) >= 0) {
      throw damagedTree(tree, "whose names are out of order");
    }
    this.#last = node.name;
  }
}

/** No name in the shard sorts before this. */
export function lowestNameOf(shard: TreeNode): Bytes {
  return shard.name.subarray(SHARD_PREFIX.length);
}
