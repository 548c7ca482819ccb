import { randomBytes } from "node:crypto";
import { silentLog, systemClock } from "../../src/kernel/index.ts";
import type { OperationContext } from "../../src/operation/index.ts";

/** The real clock and randomness, cheap keys, nothing of this machine's user. */
export function operationContext(stateDirectory: string): OperationContext {
  return {
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: () => undefined,
    toolDirectories: [],
    stateDirectory,
    version: "0.0.0-test",
    keyCost: { N: 1024, r: 8, p: 1 },
  };
}
