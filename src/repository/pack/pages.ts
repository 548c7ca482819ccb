import { MIB } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { SlabPool } from "../chunker/slabs.ts";

const PAGE_BYTES = MIB;

/** The body of a pack that is being filled, in pages that are used again for the next one. */
export class PackPages {
  readonly #pool: SlabPool;
  readonly #pages: Bytes[] = [];
  /** Bytes of the last page. */
  #filled = PAGE_BYTES;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  /** Copies. */
  append(bytes: Bytes): void {
    for (let rest = bytes; rest.byteLength > 0;) {
      if (this.#filled === PAGE_BYTES) {
        this.#pages.push(this.#pool.acquire(PAGE_BYTES));
        this.#filled = 0;
      }
      const part = rest.subarray(0, PAGE_BYTES - this.#filled);
      this.#pages.at(-1)?.set(part, this.#filled);
      this.#filled += part.byteLength;
      rest = rest.subarray(part.byteLength);
    }
  }

  /** In order; valid until `release`. */
  views(): readonly Bytes[] {
    return this.#pages.map((page, i) =>
      i === this.#pages.length - 1 ? page.subarray(0, this.#filled) : page,
    );
  }

  release(): void {
    for (const page of this.#pages.splice(0)) this.#pool.release(page.buffer);
    this.#filled = PAGE_BYTES;
  }
}
