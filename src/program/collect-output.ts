import { basename } from "node:path";
import { throwIfAborted } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { programError } from "./errors.ts";
import { runProgram } from "./run-program.ts";
import type { ProgramExit, ProgramRun } from "./run-program.ts";

const MAX_BYTES = 4 * 1024 * 1024;

/** For programs that end in moments and say little: at most 4 MiB within `timeoutMs`. */
export async function collectOutput(
  run: Omit<ProgramRun, "judge"> & Partial<Pick<ProgramRun, "judge">>,
  timeoutMs: number,
): Promise<string> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const signals = [deadline, ...(run.signal === undefined ? [] : [run.signal])];
  const parts: Bytes[] = [];
  let sizeBytes = 0;
  try {
    const judge = run.judge ?? demandSuccess(run.program);
    for await (const chunk of runProgram({ ...run, judge, signal: AbortSignal.any(signals) })) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > MAX_BYTES) throw tooMuch(run.program);
      parts.push(chunk);
    }
  } catch (thrown) {
    throwIfAborted(run.signal);
    if (!deadline.aborted) throw thrown;
    throw programError("too_slow", {
      message: `${basename(run.program)} without an end after ${timeoutMs / 1000} s`,
      cause: thrown,
    });
  }
  return Buffer.concat(parts).toString("utf8");
}

function tooMuch(program: string): Error {
  return programError("failed", {
    message: `${basename(program)} wrote more than ${MAX_BYTES} bytes`,
  });
}

export function demandSuccess(program: string): ProgramRun["judge"] {
  return (exit, stderr) => {
    if (exit.code !== 0) throw failure(program, exit, stderr);
  };
}

/** Its last words are foreign text: one line, no control characters. */
export function failure(program: string, exit: ProgramExit, stderr: string): Error {
  const end = exit.signal ?? exit.error?.message ?? `exit code ${exit.code}`;
  return programError("failed", {
    message: `${basename(program)} ended with ${end}: ${lastWords(stderr)}`,
    subject: { program: basename(program), ...(exit.code === null ? {} : { exitCode: exit.code }) },
    ...(exit.error === undefined ? {} : { cause: exit.error }),
  });
}

const MAX_WORDS = 600;

export function lastWords(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  const text = lines
    .slice(-4)
    .join(" ")
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ")
    .trim();
  return text === "" ? "no reason given" : text.slice(-MAX_WORDS);
}
