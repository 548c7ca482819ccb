import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import { runProgram } from "./run.ts";
import type { ProgramCall } from "./run.ts";

function call(script: string, more: Partial<ProgramCall> = {}): Promise<string> {
  return runProgram({
    program: "sh",
    args: ["-c", script],
    env: { PATH: process.env["PATH"] ?? "" },
    cwd: tmpdir(),
    timeoutMs: 60_000,
    maxBytes: 1_000,
    signal: new AbortController().signal,
    ...more,
  });
}

test("what it wrote comes back; it sees the environment that was stated, and nothing else", async () => {
  expect(
    await call("cat; env | grep -vE '^(PATH|PWD|_|SHLVL)='; true", { stdin: Buffer.from("in\n") }),
  ).toBe("in\n");
});

describe("no success", () => {
  test("is an end with another code, told with the last of what it said and without a secret", async () => {
    await expect(
      call("echo from https://ann:hunter2@example.com >&2; exit 3"),
    ).rejects.toMatchObject({
      code: "program.failed",
      message: "sh -c ended with 3: from https://[redacted]@example.com",
    });
  });

  test("is a program that is not there", async () => {
    await expect(call("", { program: "no-such-program" })).rejects.toMatchObject({
      code: "program.missing",
    });
  });

  test("is one that does not end: it is ended, with what it started", async () => {
    await expect(call("sleep 600 & sleep 600", { timeoutMs: 50 })).rejects.toMatchObject({
      code: "program.timeout",
    });
  });

  test("is one that writes without end", async () => {
    await expect(call("while :; do echo more; done")).rejects.toMatchObject({
      code: "program.failed",
      message: "sh that wrote more than 1000 bytes",
    });
  });

  test("is one that was interrupted", async () => {
    const controller = new AbortController();
    const running = call("sleep 600", { signal: controller.signal });
    controller.abort();
    await expect(running).rejects.toMatchObject({ kind: "cancelled" });
  });
});
