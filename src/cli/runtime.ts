import type { Readable, Writable } from "node:stream";
import type { OperationContext } from "../operation/index.ts";
import type { LogLevel } from "../kernel/index.ts";

/** The process as the command line sees it; main.ts builds the real one, tests another. */
export interface CliRuntime {
  readonly stdin: Readable & {
    readonly isTTY?: boolean;
    /** Of a terminal: what is typed comes as it is typed, without an echo. */
    readonly setRawMode?: (raw: boolean) => unknown;
  };
  readonly stdout: Writable & { readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  /** False where NO_COLOR is set, or the terminal is dumb. */
  readonly color: boolean;
  readonly version: string;
  readonly nodeVersion: string;
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
  readonly env: (name: string) => string | undefined;
  /** Of our user, where the system has such numbers. */
  readonly ownUid?: number | undefined;
  context(logLevel: LogLevel): Promise<OperationContext>;
}
