import type { Bytes } from "../../kernel/index.ts";
import { Bitset } from "../bitset.ts";
import { objectKey } from "../core.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import type { BlobType } from "../seal.ts";

/**
 * What a snapshot that is being written needs of what was there before: the packs that hold its known blobs and the index
 * files that list them. One bit a pack.
 */
export class NeededPacks {
  readonly #index: BlobIndex;
  readonly #packs: Bitset;

  constructor(index: BlobIndex) {
    this.#index = index;
    this.#packs = new Bitset(index.packIds.length);
  }

  /** Every place that is believed: a reader takes the first, and falls back on the others. */
  add(id: Bytes, type: BlobType): void {
    for (const position of this.#index.positions(id, type)) {
      const pack = this.#index.packNumberAt(position);
      // A blob of this very writer has no pack number: its pack is new.
      if (pack < this.#index.packIds.length && this.#index.believesPack(pack))
        this.#packs.add(pack);
    }
  }

  /** Keys of the packs, then of the index files that list one of them. */
  *keys(): Generator<string> {
    yield* packKeys(this.#index, this.#packs);
    yield* indexKeys(this.#index, this.#packs);
  }
}

export function* packKeys(index: BlobIndex, packs: Bitset): Generator<string> {
  for (const [number, id] of index.packIds.entries()) {
    if (packs.has(number)) yield objectKey.pack(id);
  }
}

export function* indexKeys(index: BlobIndex, packs: Bitset): Generator<string> {
  for (const file of index.files) {
    if (file.packs.some((number) => packs.has(number))) yield objectKey.index(file.id);
  }
}
