import { randomBytes } from "node:crypto";
import { silentLog, systemClock } from "../../kernel/index.ts";
import type { OperationContext } from "../context.ts";

/** A context for tests: the real clock and randomness, nothing of this machine's user. */
export function testContext(
  changes: Partial<OperationContext> & Pick<OperationContext, "stateDirectory">,
): OperationContext {
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
    version: "0.0.0-test",
    keyCost: { N: 1024, r: 8, p: 1 },
    ...changes,
  };
}
