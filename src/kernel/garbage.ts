import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MIB } from "./units.ts";

/**
 * Collects the young generation of a thread whose heap is small. The bytes of buffers lie outside V8's heap: small handles
 * fill it slowly, and meanwhile 15 MiB of dead ciphertext gather in each thread. A collection after each batch costs 0.1
 * to 0.3 ms.
 *
 * The flag shows the function in contexts made after it only; nothing else of the process changes.
 */
export function youngCollector(): () => void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("globalThis.gc");
  return () => {
    // Without it memory is larger and nothing else: V8 collects by its own rule.
    if (typeof collect === "function") Reflect.apply(collect, undefined, [{ type: "minor" }]);
  };
}

/** Both halves of it together. */
const YOUNG_BYTES = 8 * MIB;

/**
 * Keeps V8's young generation small. V8 doubles it while objects survive, up to 64 MiB that it does not give back; what
 * we keep survives for good and gains nothing from a larger one. Node's `--max-semi-space-size` says the same, but only to
 * who starts the process. The rule by which V8 grows is read anew each time, so it is switched here after collections; one
 * doubling may come before that. For the whole process, as its flags are.
 */
export function boundYoungGeneration(): void {
  let factor = 2;
  const observer = new PerformanceObserver(() => {
    const wanted = youngBytes() * 2 > YOUNG_BYTES ? 1 : 2;
    if (wanted === factor) return;
    factor = wanted;
    setFlagsFromString(`--semi-space-growth-factor=${factor}`);
  });
  observer.observe({ entryTypes: ["gc"] });
}

function youngBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === "new_space");
  return space?.space_size ?? 0;
}
