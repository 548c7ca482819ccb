import { SEAL_WORKER, THREADS, ThreadStock, VERIFY_WORKER } from "./thread-stock.ts";
import type { NextWork } from "./types.ts";

/**
 * What an opened repository will be asked next, got ready while the password's key is derived: that takes a third of a
 * second of one core, and the other one is idle.
 */
export function getReady(next: NextWork): ThreadStock | undefined {
  load(next === "write" ? import("./write/writer.ts") : import("./check/check-some.ts"));
  if (next === "check") return undefined;
  return new ThreadStock(next === "write" ? SEAL_WORKER : VERIFY_WORKER, THREADS);
}

/** Whoever needs the module imports it again, and hears what is wrong with it. */
function load(module: Promise<unknown>): void {
  module.catch(() => undefined);
}
