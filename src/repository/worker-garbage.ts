import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MIB } from "../kernel/index.ts";

/** Measured: at 4 MiB a tenth more processor time than at 8, at 16 no gain in memory. */
const EVERY_BYTES = 6 * MIB;

/**
 * For a thread with a small heap, not for one whose heap grows with the repository. Every call of zlib leaves an object
 * with a buffer of 64 KiB outside V8's heap, which only a full collection frees, and V8 begins one when 64 MiB of them
 * have gathered, in each thread. With a heap of 6 MiB a collection costs a few milliseconds.
 */
export class WorkerGarbage {
  readonly #collect = exposedCollector();
  #left = EVERY_BYTES;

  /** So many plain bytes were sealed. */
  sealed(sizeBytes: number): void {
    this.#left -= sizeBytes;
    if (this.#left > 0) return;
    this.#left = EVERY_BYTES;
    this.#collect();
  }
}

/** The flag shows the function in contexts made after it only; nothing else of the process changes. */
function exposedCollector(): () => unknown {
  setFlagsFromString("--expose-gc");
  const found: unknown = runInNewContext("globalThis.gc");
  // Without it memory is larger and nothing else: V8 collects by its own rule.
  if (typeof found !== "function") return () => undefined;
  return (): unknown => Reflect.apply(found, undefined, []);
}
