import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { basename } from "node:path";
import { throwIfAborted } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { programError } from "./errors.ts";

export interface ProgramCall {
  /** A name is looked up in the PATH of `env`. */
  readonly program: string;
  /** Never a secret: every user of the machine reads them. */
  readonly args: readonly string[];
  /** All of it: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly stdin?: Bytes;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

const MAX_STDERR_BYTES = 4_096;
const STOP_TIMEOUT_MS = 5_000;

/**
 * What the program wrote to stdout. Anything but an end with 0 is an error, with the end of its stderr. It runs in a process
 * group of its own: what it started ends with it, and a Ctrl-C reaches it by way of `signal` alone.
 */
export async function runProgram(call: ProgramCall): Promise<string> {
  throwIfAborted(call.signal);
  const { program, args, cwd, env } = call;
  const child = spawn(program, args, { cwd, env, detached: true, stdio: ["pipe", "pipe", "pipe"] });
  const name = basename(program);
  const ended = endOf(child, name);
  ended.catch(() => undefined);
  let why: "cancelled" | "timeout" | "output" | undefined;
  const end = (reason: typeof why) => (): void => {
    why ??= reason;
    endGroup(child);
  };
  const deadline = AbortSignal.timeout(call.timeoutMs);
  const onDeadline = end("timeout");
  deadline.addEventListener("abort", onDeadline, { once: true });
  const onAbort = end("cancelled");
  const onExit = (): void => killGroup(child, "SIGKILL");
  call.signal.addEventListener("abort", onAbort, { once: true });
  process.once("exit", onExit);
  // A program that ends without reading all of it says so by its exit code.
  child.stdin.on("error", () => undefined);
  child.stdin.end(call.stdin ?? "");
  const stdout = collect(child.stdout, call.maxBytes, end("output"));
  const stderr = collectTail(child.stderr);
  try {
    const exit = await ended;
    throwIfAborted(call.signal);
    if (why === "timeout") {
      const seconds = Math.round(call.timeoutMs / 1000);
      throw programError("timeout", { message: `${name} that did not end within ${seconds} s` });
    }
    if (why === "output") {
      throw programError("failed", {
        message: `${name} that wrote more than ${call.maxBytes} bytes`,
      });
    }
    if (exit !== "0") {
      throw programError("failed", {
        message: `${name} ${args[0] ?? ""} ended with ${exit}: ${redacted(stderr().trim())}`,
        subject: { program: name, exit },
      });
    }
    return stdout();
  } finally {
    deadline.removeEventListener("abort", onDeadline);
    call.signal.removeEventListener("abort", onAbort);
    process.off("exit", onExit);
  }
}

async function endOf(child: ChildProcess, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once("error", (cause: NodeJS.ErrnoException) => {
      const missing = cause.code === "ENOENT";
      reject(
        programError(missing ? "missing" : "failed", {
          message: missing
            ? `program ${name} that is not there`
            : `program ${name}: ${cause.message}`,
          subject: { program: name },
          cause,
        }),
      );
    });
    child.once("close", (code, signal) => resolve(signal ?? String(code)));
  });
}

function endGroup(child: ChildProcess): void {
  killGroup(child, "SIGTERM");
  const deadline = AbortSignal.timeout(STOP_TIMEOUT_MS);
  const kill = (): void => killGroup(child, "SIGKILL");
  deadline.addEventListener("abort", kill);
  child.once("close", () => deadline.removeEventListener("abort", kill));
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone already: that is what was wanted.
  }
}

function collect(
  stream: NodeJS.ReadableStream,
  maxBytes: number,
  tooMuch: () => void,
): () => string {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  stream.on("data", (chunk: Buffer) => {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > maxBytes) tooMuch();
    else parts.push(chunk);
  });
  return () => Buffer.concat(parts).toString("utf8");
}

function collectTail(stream: NodeJS.ReadableStream): () => string {
  let tail = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-MAX_STDERR_BYTES);
  });
  return () => tail.toString("utf8");
}

/** Programs repeat addresses; one may hold what a credential helper put in. */
function redacted(text: string): string {
  return text.replaceAll(/(:\/\/)[^/@\s]*@/g, "$1[redacted]@");
}
