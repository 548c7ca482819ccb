import type { Command } from "commander";
import type { OutputFlags } from "./common-options.ts";
import type { CliRuntime } from "./runtime.ts";
import type { Session } from "./session.ts";

/** Runs the work of a verb in a session; the exit code is what it returns. */
export type RunVerb = (
  flags: OutputFlags,
  work: (session: Session) => Promise<number>,
) => Promise<void>;

export interface Verb {
  readonly examples: readonly (readonly [command: string, what: string])[];
  register(program: Command, run: RunVerb, runtime: CliRuntime): Command;
}
