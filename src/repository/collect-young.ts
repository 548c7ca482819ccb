import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * The bytes of a buffer lie outside V8's heap. Many small handles to large buffers fill that heap slowly, so V8 begins to
 * collect only when 64 MiB of buffers may be garbage, in each thread. A collection of the young generation alone costs
 * about a millisecond, whatever else is in memory, and frees them as they die.
 */
export class YoungCollector {
  readonly #everyBytes: number;
  #left: number;

  constructor(everyBytes: number) {
    this.#everyBytes = everyBytes;
    this.#left = everyBytes;
  }

  /** Buffers of about this many bytes have been used and let go. */
  passed(sizeBytes: number): void {
    this.#left -= sizeBytes;
    if (this.#left > 0) return;
    this.#left = this.#everyBytes;
    collectYoung();
  }
}

let collect: ((options: { readonly type: "minor" }) => unknown) | undefined;

function collectYoung(): void {
  collect ??= exposedCollector();
  collect({ type: "minor" });
}

/** The flag shows the function in contexts made after it only; nothing else of the process changes. */
function exposedCollector(): (options: { readonly type: "minor" }) => unknown {
  setFlagsFromString("--expose-gc");
  const found: unknown = runInNewContext("gc");
  if (typeof found !== "function") return () => undefined;
  return (options): unknown => Reflect.apply(found, undefined, [options]);
}
