import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
  /** Resolves once standard error holds `text`; rejects when the program ends before. */
  said(text: string): Promise<void>;
}

/** The program as a user runs it: a folder to stand in, a home of its own, nothing of this machine's environment. */
export interface CliBench extends AsyncDisposable {
  readonly folder: string;
  readonly stateFolder: string;
  path(name: string): string;
  run(arguments_: readonly string[], options?: CliOptions): Promise<CliResult>;
  start(arguments_: readonly string[], options?: CliOptions): RunningCli;
  /** With `--json`; the one document on standard output. */
  json(arguments_: readonly string[], options?: CliOptions): Promise<JsonResult>;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Standard output is this file instead of a pipe. */
  readonly stdoutFile?: string;
  /** The kernel refuses larger files: what a full disk is to a writer, without a small file system to mount. */
  readonly largestFileKib?: number;
}

export interface JsonResult extends CliResult {
  readonly document: Record<string, unknown>;
}

export async function createCliBench(
  env: Readonly<Record<string, string>> = {},
): Promise<CliBench> {
  const temporary = await createTemporaryFolder();
  const folder = join(temporary.path, "work");
  const home = join(temporary.path, "home");
  await mkdir(folder);
  await mkdir(home);
  const start = (arguments_: readonly string[], options: CliOptions = {}): RunningCli => {
    const line = [process.execPath, MAIN, ...arguments_];
    const [program = "", ...rest] =
      options.largestFileKib === undefined
        ? line
        : ["sh", "-c", 'ulimit -f "$0" && exec "$@"', String(options.largestFileKib * 2), ...line];
    const { stdoutFile } = options;
    const stdout = stdoutFile === undefined ? undefined : openSync(stdoutFile, "a");
    const child = spawn(program, rest, {
      cwd: folder,
      env: { HOME: home, PATH: process.env["PATH"] ?? "", ...env, ...options.env },
      stdio: ["pipe", stdout ?? "pipe", "pipe"],
    });
    if (stdout !== undefined) closeSync(stdout);
    child.stdin?.end(options.input ?? "");
    return watched(child);
  };
  const run = (arguments_: readonly string[], options?: CliOptions): Promise<CliResult> =>
    start(arguments_, options).ended;
  return {
    folder,
    stateFolder: join(home, ".local/state/sparekeep"),
    path: (name) => join(folder, name),
    run,
    start,
    json: async (arguments_, options) => {
      const result = await run([...arguments_, "--json"], options);
      const document: unknown = JSON.parse(result.stdout);
      if (typeof document !== "object" || document === null) throw new Error("no document");
      return { ...result, document: { ...document } };
    },
    [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose](),
  };
}

function watched(child: ChildProcess): RunningCli {
  let stdout = "";
  let stderr = "";
  const waiting = new Map<string, () => void>();
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    for (const [wanted, resolve] of waiting) if (stderr.includes(wanted)) resolve();
  });
  const ended = new Promise<CliResult>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
  return {
    child,
    ended,
    said: (text) => {
      const said = new Promise<void>((resolve) => {
        if (stderr.includes(text)) resolve();
        else waiting.set(text, resolve);
      });
      const tooEarly = ended.then((result) => {
        if (result.stderr.includes(text)) return;
        throw new Error(`ended with ${result.code} before it said ${text}: ${result.stderr}`);
      });
      return Promise.race([said, tooEarly]);
    },
  };
}
