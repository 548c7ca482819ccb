import { isMap, isNode, isScalar } from "yaml";
import type { Document, LineCounter, Pair } from "yaml";

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Where in the file a key or a value stands. */
export class Places {
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(document: Document, lines: LineCounter) {
    this.#document = document;
    this.#lines = lines;
  }

  ofOffset(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** The value at `path`, or the nearest thing above it that stands in the file. */
  ofValue(path: readonly PropertyKey[]): Place {
    for (let length = path.length; length > 0; length -= 1) {
      const node: unknown = this.#document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return this.ofOffset(node.range[0]);
      const key = this.#keyOffset(path.slice(0, length));
      if (key !== undefined) return this.ofOffset(key);
    }
    return { line: 1, column: 1 };
  }

  ofKey(path: readonly PropertyKey[]): Place {
    const offset = this.#keyOffset(path);
    return offset === undefined ? this.ofValue(path) : this.ofOffset(offset);
  }

  #keyOffset(path: readonly PropertyKey[]): number | undefined {
    const parent: unknown =
      path.length === 1 ? this.#document.contents : this.#document.getIn(path.slice(0, -1), true);
    if (!isMap(parent)) return undefined;
    const name = path.at(-1);
    const pair = parent.items.find((item: Pair) => isScalar(item.key) && item.key.value === name);
    return isNode(pair?.key) ? pair.key.range?.[0] : undefined;
  }
}
