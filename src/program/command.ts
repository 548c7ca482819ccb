import { spawn } from "node:child_process";
import { constants } from "node:os";
import { programError } from "./errors.ts";

export interface CommandEnd {
  /** As a shell would say it: 128 and the number of the signal where one ended it. */
  readonly exitCode: number;
  readonly signal?: NodeJS.Signals;
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** An abort asks the command to end, by `passOn`, once; how and when it does is its own business. */
  readonly signal: AbortSignal;
  /** `undefined`: it was told already, as everything in the foreground of a terminal is. */
  readonly passOn: () => NodeJS.Signals | undefined;
}

/** A command of the user's, on our own terminal, for as long as it takes. */
export function runCommand({ program, args, env, signal, passOn }: Command): Promise<CommandEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: "inherit" });
    const onAbort = (): void => {
      const told = passOn();
      if (told !== undefined) child.kill(told);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    const over = (): void => signal.removeEventListener("abort", onAbort);
    child.once("error", (cause: NodeJS.ErrnoException) => {
      over();
      reject(
        programError(cause.code === "ENOENT" ? "missing" : "failed", {
          message: `command ${program} that cannot be run: ${cause.code ?? cause.message}`,
          subject: { program },
          cause,
        }),
      );
    });
    child.once("exit", (code, by) => {
      over();
      if (by === null) resolve({ exitCode: code ?? 1 });
      else resolve({ exitCode: 128 + constants.signals[by], signal: by });
    });
  });
}
