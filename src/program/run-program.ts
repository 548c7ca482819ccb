/** One outside program, run safely: no shell, only the environment that is given, an end that is judged. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { Writable } from "node:stream";
import type { Readable } from "node:stream";
import { bug, throwIfAborted } from "../kernel/index.ts";
import type { Bytes, Secret } from "../kernel/index.ts";

export interface ProgramRun {
  readonly program: string;
  /** Never a secret. */
  readonly args: readonly string[];
  /** All of it: nothing of ours is handed on. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly stdin?: AsyncIterable<Bytes> | undefined;
  /** Whom it runs as, where we are root. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Written to file descriptor 3, which then ends: a passphrase that stands in no argument and no environment. */
  readonly secret?: Secret | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told how it ended, unless it was stopped; throws where that is no good end. */
  readonly judge: (exit: ProgramExit, stderr: string) => void;
}

export interface ProgramExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** It could not be started. */
  readonly error?: Error;
}

const MAX_STDERR_BYTES = 16 * 1024;
const STOP_TIMEOUT_MS = 5_000;
const SECRET_FD = 3;

interface Streams {
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/**
 * What the program writes to stdout, with back-pressure. Ends only when `judge` lets it; a consumer that stops early, or an
 * abort, ends the program; it is gone when this returns. When our own process ends at once (a second Ctrl-C), so does it.
 * It leads a process group of its own: what it started ends with it, and a Ctrl-C reaches it by way of `signal` alone.
 */
export async function* runProgram(options: ProgramRun): AsyncGenerator<Bytes, void, undefined> {
  throwIfAborted(options.signal);
  const child = start(options);
  const onExit = (): void => killGroup(child, "SIGKILL");
  process.once("exit", onExit);
  try {
    const { stdin, stdout, stderr: errors } = streamsOf(child);
    const ended = exitOf(child);
    using _abort = killOnAbort(child, options.signal);
    const stderr = collectTail(errors);
    const fed = feed(child, stdin, options.stdin);
    let drainedToEnd = false;
    try {
      yield* stdout;
      drainedToEnd = true;
    } catch (error) {
      throwIfAborted(options.signal);
      throw error;
    } finally {
      // A program that has closed its stdout is about to end by itself: ending it now would make a failure of it.
      if (!drainedToEnd) await stop(child, ended);
    }
    const exit = await ended;
    throwIfAborted(options.signal);
    const failed = await fed;
    if (failed !== undefined) throw failed.thrown;
    options.judge(exit, await stderr);
  } finally {
    process.off("exit", onExit);
  }
}

function start({ program, args, cwd, env, stdin, secret, user }: ProgramRun): ChildProcess {
  const child = spawn(program, args, {
    cwd,
    env: { ...env },
    detached: true,
    stdio: [
      stdin === undefined ? "ignore" : "pipe",
      "pipe",
      "pipe",
      ...(secret === undefined ? [] : ["pipe" as const]),
    ],
    ...user,
  });
  const pipe = child.stdio[SECRET_FD];
  if (secret !== undefined && pipe instanceof Writable) {
    // A program that ended before it read it says why itself.
    pipe.on("error", () => undefined);
    pipe.end(`${secret.reveal()}\n`);
  }
  return child;
}

function streamsOf({ stdin, stdout, stderr }: ChildProcess): Streams {
  if (stdout === null || stderr === null) throw bug("a program without its pipes");
  return { stdin, stdout, stderr };
}

function exitOf(child: ChildProcess): Promise<ProgramExit> {
  const { promise, resolve } = Promise.withResolvers<ProgramExit>();
  child.once("error", (error) => resolve({ code: null, signal: null, error }));
  child.once("close", (code, signal) => resolve({ code, signal }));
  return promise;
}

function killOnAbort(child: ChildProcess, signal: AbortSignal | undefined): Disposable {
  const stops: (() => void)[] = [];
  const onAbort = (): void => {
    stops.push(terminate(child));
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  return {
    [Symbol.dispose]: () => {
      signal?.removeEventListener("abort", onAbort);
      for (const callOff of stops) callOff();
    },
  };
}

/** Told to end, and killed when it does not; the result calls the killing off. */
function terminate(child: ChildProcess): () => void {
  killGroup(child, "SIGTERM");
  const deadline = AbortSignal.timeout(STOP_TIMEOUT_MS);
  const kill = (): void => killGroup(child, "SIGKILL");
  deadline.addEventListener("abort", kill);
  return () => deadline.removeEventListener("abort", kill);
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone already: that is what was wanted.
  }
}

async function stop(child: ChildProcess, ended: Promise<ProgramExit>): Promise<void> {
  const callOff = terminate(child);
  await ended;
  callOff();
}

async function collectTail(stderr: Readable): Promise<string> {
  let tail = Buffer.alloc(0);
  for await (const chunk of stderr) {
    tail = Buffer.concat([tail, Buffer.from(chunk)]).subarray(-MAX_STDERR_BYTES);
  }
  return tail.toString("utf8");
}

/**
 * Gives what the source of the content threw. The program is killed before its stdin closes: an end of file would tell
 * it that half of the content is all of it. A closed pipe is no error here; the program's own exit tells.
 */
async function feed(
  child: ChildProcess,
  stdin: Writable | null,
  content: AsyncIterable<Bytes> | undefined,
): Promise<{ readonly thrown: unknown } | undefined> {
  if (stdin === null || content === undefined) return undefined;
  stdin.on("error", () => undefined);
  try {
    for await (const chunk of content) {
      if (!stdin.writable) return undefined;
      if (!stdin.write(chunk)) await drained(stdin);
    }
  } catch (thrown) {
    killGroup(child, "SIGKILL");
    return { thrown };
  }
  stdin.end();
  return undefined;
}

function drained(stdin: Writable): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => {
    stdin.off("drain", done);
    stdin.off("close", done);
    resolve();
  };
  stdin.on("drain", done);
  stdin.on("close", done);
  return promise;
}
