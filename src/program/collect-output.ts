import { basename } from "node:path";
import { formatBytes, MIB, throwIfAborted } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { programError } from "./errors.ts";
import { runProgram } from "./run-program.ts";
import type { ProgramExit, ProgramRun } from "./run-program.ts";

const MAX_BYTES = 4 * MIB;

/** For programs that end in moments and say little: within `timeoutMs`, and no more than `maxBytes`. */
export async function collectOutput(
  run: Omit<ProgramRun, "judge"> & Partial<Pick<ProgramRun, "judge">>,
  timeoutMs: number,
  maxBytes = MAX_BYTES,
): Promise<string> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const signals = [deadline, ...(run.signal === undefined ? [] : [run.signal])];
  const parts: Bytes[] = [];
  let sizeBytes = 0;
  try {
    const judge = run.judge ?? demandSuccess(run.program);
    for await (const chunk of runProgram({ ...run, judge, signal: AbortSignal.any(signals) })) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) throw tooMuch(run.program, maxBytes);
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

function tooMuch(program: string, maxBytes: number): Error {
  return programError("failed", {
    message: `${basename(program)} that wrote more than ${formatBytes(maxBytes)}`,
  });
}

export function demandSuccess(program: string): ProgramRun["judge"] {
  return (exit, stderr) => {
    if (exit.code !== 0) throw failure(program, exit, stderr);
  };
}

/** Its last words are foreign text: one line, no control characters, no user of an address, who may be a password. */
export function failure(program: string, exit: ProgramExit, stderr: string): Error {
  if (exit.error !== undefined && "code" in exit.error && exit.error.code === "ENOENT") {
    return programError("missing", {
      message: `program ${basename(program)} that is not there`,
      subject: { program: basename(program) },
      cause: exit.error,
    });
  }
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
    .replaceAll(/(:\/\/)[^/@\s]*@/g, "$1[redacted]@")
    .trim();
  return text === "" ? "no reason given" : text.slice(-MAX_WORDS);
}
