import { expect, test } from "vitest";
import { Secret } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { codeOf } from "../objectstore/testing/index.ts";
import { collectOutput, lastWords } from "./collect-output.ts";
import { findProgram } from "./find-program.ts";
import { runProgram } from "./run-program.ts";

const shell = (
  script: string,
): { program: string; args: string[]; env: Record<string, string>; cwd: string } => ({
  program: "/bin/sh",
  args: ["-c", script],
  env: {},
  cwd: "/",
});
const MOMENT = 20_000;

test("nothing of our environment reaches it, and a secret comes by a pipe of its own", async () => {
  const run = { ...shell("cat <&3; /usr/bin/env"), secret: new Secret("hush") };
  const lines = (await collectOutput(run, MOMENT)).trim().split("\n");
  // The shell's own.
  const ours = lines.filter((line) => !/^(?:PWD|SHLVL|_|OLDPWD)=/.test(line));
  expect(ours).toEqual(["hush"]);
});

test("content that breaks off kills it: half of it never ends well", async () => {
  const content = async function* (): AsyncGenerator<Bytes, void, undefined> {
    yield Buffer.from("half");
    throw new Error("broke off");
  };
  const seen: string[] = [];
  const judge = (): void => void seen.push("judged");
  const work = async (): Promise<void> => {
    for await (const _piece of runProgram({ ...shell("cat"), stdin: content(), judge }));
  };
  await expect(work()).rejects.toThrow("broke off");
  expect(seen).toEqual([]);
});

test("its failure is told with its last words, on one line", async () => {
  const run = shell("echo one >&2; printf 'two\\033[2J\\n' >&2; exit 7");
  await expect(collectOutput(run, MOMENT)).rejects.toMatchObject({
    code: "program.failed",
    message: "sh ended with exit code 7: one two [2J",
    subject: { exitCode: 7 },
  });
  expect(lastWords("")).toBe("no reason given");
});

test("one that does not end in time is ended", async () => {
  expect(await codeOf(() => collectOutput(shell("exec sleep 60"), 50))).toBe("program.too_slow");
});

test("an abort ends it", async () => {
  const controller = new AbortController();
  const work = collectOutput({ ...shell("exec sleep 60"), signal: controller.signal }, MOMENT);
  controller.abort();
  expect(await codeOf(() => work)).toBe("kernel.cancelled");
});

test("what it started ends with it", async () => {
  const work = collectOutput(shell("sleep 600 & echo $!; wait"), 500);
  expect(await codeOf(() => work)).toBe("program.too_slow");
});

test("one that writes without end is ended", async () => {
  const work = collectOutput(shell("while :; do echo more; done"), MOMENT, 1_000);
  await expect(work).rejects.toMatchObject({
    code: "program.failed",
    message: "sh that wrote more than 1000 B",
  });
});

test("a password in an address is not told", async () => {
  const run = shell("echo from https://ann:hunter2@example.com >&2; exit 3");
  await expect(collectOutput(run, MOMENT)).rejects.toMatchObject({
    message: "sh ended with exit code 3: from https://[redacted]@example.com",
  });
});

test("one that is not there is missing", async () => {
  const run = { ...shell(""), program: "no-such-program", env: { PATH: "/bin" } };
  expect(await codeOf(() => collectOutput(run, MOMENT))).toBe("program.missing");
});

test("one that is nowhere is missing", async () => {
  const work = (): Promise<string> => findProgram("no-such-program", ["/bin"], "Install it.");
  expect(await codeOf(work)).toBe("program.missing");
  expect(await findProgram("sh", ["/nowhere", "/bin"], "")).toBe("/bin/sh");
});
