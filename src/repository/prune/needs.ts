import type { BlobIndex } from "../index/blob-index.ts";

/**
 * Which places of the index are needed, and for how long: one byte a place, 0 for unneeded, else the lifetime's number
 * plus one. A blob is noted at one of its places.
 */
export class Needs {
  #bytes = new Uint8Array(0);

  get memoryBytes(): number {
    return this.#bytes.byteLength;
  }

  /** Makes room for every place that the index has now. */
  fit(index: BlobIndex): void {
    if (this.#bytes.byteLength >= index.size) return;
    const grown = new Uint8Array(index.size);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }

  /** The number of its lifetime, or −1 where it is not needed. */
  at(position: number): number {
    return (this.#bytes[position] ?? 0) - 1;
  }

  has(position: number): boolean {
    return this.at(position) >= 0;
  }

  set(position: number, lifetime: number): void {
    this.#bytes[position] = lifetime + 1;
  }

  move(from: number, to: number): void {
    if (from === to) return;
    this.#bytes[to] = this.#bytes[from] ?? 0;
    this.#bytes[from] = 0;
  }
}

/** More are not told apart: each is a pass over what is rewritten. */
const MAX_LIFETIMES = 8;

/** Snapshots by how long they are kept, the longest first: a blob belongs to the first that needs it. */
export function groupByLifetime<Item>(
  items: readonly Item[],
  lifetimeDays: (item: Item) => number,
): readonly (readonly Item[])[] {
  const groups = new Map<number, Item[]>();
  for (const item of items) {
    const days = lifetimeDays(item);
    const group = groups.get(days);
    if (group === undefined) groups.set(days, [item]);
    else group.push(item);
  }
  const sorted = [...groups].sort(([a], [b]) => (a === b ? 0 : b - a)).map(([, group]) => group);
  const rest = sorted.slice(MAX_LIFETIMES - 1).flat();
  return rest.length === 0 ? sorted : [...sorted.slice(0, MAX_LIFETIMES - 1), rest];
}
