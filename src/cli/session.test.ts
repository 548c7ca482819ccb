import { expect, test } from "vitest";
import { kernelError, silentLog, systemClock } from "../kernel/index.ts";
import type { OperationContext } from "../operation/index.ts";
import { createOutput } from "./output.ts";
import { inSession } from "./session.ts";
import { testRuntime } from "./testing/runtime.ts";

let nowMs = 0;
const CONTEXT: OperationContext = {
  clock: { ...systemClock, monotonicMs: () => nowMs },
  random: (size) => Buffer.alloc(size, 1),
  log: silentLog,
  signal: new AbortController().signal,
  actor: "ann",
  hostname: "web1",
  pid: process.pid,
  env: () => undefined,
  toolDirectories: [],
  stateDirectory: "/nowhere",
  version: "1.2.3",
};

async function said(flags: { readonly quiet?: boolean; readonly json?: boolean }): Promise<string> {
  const runtime = testRuntime(CONTEXT);
  const output = createOutput(runtime.stdout, CONTEXT.signal);
  await inSession(runtime, output, flags, async ({ context }) => {
    const error = kernelError("cancelled", { message: "connect\u001B[2J refused" });
    for (const ms of [0, 1, 9_999, 10_000]) {
      nowMs = ms;
      context.onStoreRetry?.(error);
    }
    return Promise.resolve(0);
  });
  return runtime.stderr.text;
}

test("a store that is waited for is told, once in ten seconds however many requests wait", async () => {
  const lines = (await said({})).split("\n").filter((line) => line !== "");
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^trying again: connect.*refused$/);
  expect(lines[0]).not.toContain("\u001B");
  expect(await said({ quiet: true })).toBe("");
  expect(await said({ json: true })).toBe("");
});
