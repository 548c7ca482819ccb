import type { Bytes } from "../../kernel/index.ts";

const FIRST_BYTES = 64 * 1024;
const NOTHING = Buffer.alloc(0);
/** Below it a loop is faster than a call that copies. */
const SMALL_BYTES = 24;

/** Bytes that grow until they are taken; what was taken is the taker's. */
export class OutputBuffer {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;

  byte(value: number): void {
    if (this.#length === this.#bytes.byteLength) this.#grow(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  copy(source: Bytes, start: number, end: number): void {
    const length = end - start;
    if (this.#length + length > this.#bytes.byteLength) this.#grow(length);
    if (length < SMALL_BYTES) {
      const { bytes, at } = { bytes: this.#bytes, at: this.#length };
      for (let i = 0; i < length; i += 1) bytes[at + i] = source[start + i] ?? 0;
    } else this.#bytes.set(source.subarray(start, end), this.#length);
    this.#length += length;
  }

  all(source: Bytes): void {
    this.copy(source, 0, source.byteLength);
  }

  take(): Bytes {
    if (this.#length === 0) return NOTHING;
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafe(FIRST_BYTES);
    this.#length = 0;
    return taken;
  }

  #grow(more: number): void {
    const next = Buffer.allocUnsafe(Math.max(2 * this.#bytes.byteLength, this.#length + more));
    next.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = next;
  }
}

/** A short value held back until it is known whole; `false`: it does not fit any more. */
export class Scratch {
  readonly bytes: Buffer;
  length = 0;

  constructor(sizeBytes: number) {
    this.bytes = Buffer.allocUnsafe(sizeBytes);
  }

  add(source: Bytes, start: number, end: number): boolean {
    const length = end - start;
    if (this.length + length > this.bytes.byteLength) return false;
    if (length < SMALL_BYTES) {
      for (let i = 0; i < length; i += 1) this.bytes[this.length + i] = source[start + i] ?? 0;
    } else this.bytes.set(source.subarray(start, end), this.length);
    this.length += length;
    return true;
  }

  text(): string {
    return this.bytes.toString("latin1", 0, this.length);
  }
}
