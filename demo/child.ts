import { spawn } from "node:child_process";
import { once } from "node:events";
import type { ServerUser } from "./server-user.ts";

export interface ChildOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly user?: ServerUser;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly onStart?: (pid: number | undefined) => void;
}

export interface ChildResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** English messages, no variables of the caller's. */
export const CHILD_ENV = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" } as const;

/** Runs a program to its end; an abort ends it and rejects. Output is small by nature: scripts and initdb. */
export async function runChild(options: ChildOptions): Promise<ChildResult> {
  options.signal?.throwIfAborted();
  const child = spawn(options.program, options.args, {
    cwd: options.cwd,
    env: { ...CHILD_ENV, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    ...options.user,
  });
  options.onStart?.(child.pid);
  const stop = (): void => {
    child.kill("SIGTERM");
  };
  options.signal?.addEventListener("abort", stop, { once: true });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  // EPIPE: the program ended before it read everything; its exit code tells.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.stdin ?? "");
  try {
    await once(child, "close");
  } finally {
    options.signal?.removeEventListener("abort", stop);
    options.onStart?.(undefined);
  }
  options.signal?.throwIfAborted();
  return { exitCode: child.exitCode, ...output };
}
