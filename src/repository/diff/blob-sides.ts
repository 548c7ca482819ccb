import { fromHex } from "../../kernel/index.ts";
import { Bitset } from "../bitset.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import type { TreeNode } from "../tree/node.ts";

export type Side = "before" | "after";

export interface BlobTotals {
  readonly dataBlobs: number;
  readonly treeBlobs: number;
  /** Of their plaintexts. */
  readonly blobBytes: number;
}

/** Which blobs each of two snapshots needs: three bits a blob of the index, however large the snapshots are. */
export class BlobSides {
  readonly #index: BlobIndex;
  readonly #before: Bitset;
  readonly #after: Bitset;
  readonly #common: Bitset;

  constructor(index: BlobIndex) {
    this.#index = index;
    this.#before = new Bitset(index.size);
    this.#after = new Bitset(index.size);
    this.#common = new Bitset(index.size);
  }

  add(side: Side, node: TreeNode): void {
    const set = side === "before" ? this.#before : this.#after;
    for (const position of this.#positionsOf(node)) set.add(position);
  }

  addTree(side: Side, tree: string): void {
    const position = this.#index.position(fromHex(tree), "tree");
    if (position >= 0) (side === "before" ? this.#before : this.#after).add(position);
  }

  /** What both need. False when its tree was noted before: then so was all below it. */
  addCommon(node: TreeNode): boolean {
    let isNew = node.subtree !== undefined;
    for (const position of this.#positionsOf(node)) isNew = this.#common.add(position) && isNew;
    return isNew;
  }

  /** What one side needs and the other does not. */
  only(side: Side): BlobTotals {
    const [mine, other] =
      side === "before" ? [this.#before, this.#after] : [this.#after, this.#before];
    let [dataBlobs, treeBlobs, blobBytes] = [0, 0, 0];
    for (let position = 0; position < this.#index.size; position += 1) {
      if (!mine.has(position) || other.has(position) || this.#common.has(position)) continue;
      if (this.#index.isTreeAt(position)) treeBlobs += 1;
      else dataBlobs += 1;
      blobBytes += this.#index.plainLengthAt(position);
    }
    return { dataBlobs, treeBlobs, blobBytes };
  }

  /** Those that an index places; one that is nowhere cannot be measured, and is for a check to find. */
  #positionsOf({ content, subtree, type }: TreeNode): readonly number[] {
    const data = type === "file" ? content : [];
    const positions = data.map((blob) => this.#index.position(fromHex(blob), "data"));
    if (subtree !== undefined) positions.push(this.#index.position(fromHex(subtree), "tree"));
    return positions.filter((position) => position >= 0);
  }
}
