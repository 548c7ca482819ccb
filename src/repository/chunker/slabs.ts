import type { Bytes } from "../../kernel/index.ts";

/**
 * Buffers that chunks are cut in. They go to a worker by transfer, come back by transfer and are used again: a buffer
 * that is thrown away stays with the process until a collection that may be a hundred MiB later.
 */
export class SlabPool {
  readonly #idle: ArrayBuffer[] = [];
  readonly #sizes = new Set<number>();
  readonly #limit: number;

  constructor(limit = 8) {
    this.#limit = limit;
  }

  acquire(sizeBytes: number): Bytes {
    this.#sizes.add(sizeBytes);
    const at = this.#idle.findIndex((buffer) => buffer.byteLength === sizeBytes);
    const [found] = at < 0 ? [] : this.#idle.splice(at, 1);
    // Not zeroed, and with a buffer of its own, which alone can be transferred.
    return found === undefined ? Buffer.allocUnsafeSlow(sizeBytes) : new Uint8Array(found);
  }

  /** Nobody else holds it. One of a size that was never asked for is left to the garbage collector. */
  release(buffer: ArrayBufferLike): void {
    if (!(buffer instanceof ArrayBuffer) || !this.#sizes.has(buffer.byteLength)) return;
    if (this.#idle.length < this.#limit) this.#idle.push(buffer);
  }
}
