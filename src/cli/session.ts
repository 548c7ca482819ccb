import type { AppError } from "../kernel/index.ts";
import type { OperationContext } from "../operation/index.ts";
import { logLevelOf } from "./common-options.ts";
import type { OutputFlags } from "./common-options.ts";
import { toJson } from "./json.ts";
import type { Output } from "./output.ts";
import { printable } from "./printable.ts";
import { createProgress, silentProgress } from "./progress.ts";
import type { ProgressDisplay } from "./progress.ts";
import type { CliRuntime } from "./runtime.ts";

/** What one verb runs with: where results go, and how progress is shown. */
export interface Session {
  readonly context: OperationContext;
  readonly output: Output;
  readonly json: boolean;
  readonly progress: ProgressDisplay;
  /** A line for people on standard error; not with --json. */
  readonly say: (text: string) => void;
  /** The one document of a verb with --json. */
  readonly document: (value: unknown) => Promise<void>;
}

const WAIT_NOTE_MS = 10_000;

/** Says that a store is waited for, so that nobody takes it for a hang; not for each of many requests at once. */
function storeWaits(
  clock: OperationContext["clock"],
  progress: ProgressDisplay,
): (error: AppError) => void {
  let saidMs: number | undefined;
  return (error) => {
    const nowMs = clock.monotonicMs();
    if (saidMs !== undefined && nowMs - saidMs < WAIT_NOTE_MS) return;
    saidMs = nowMs;
    progress.note(printable(`trying again: ${error.message}`));
  };
}

/** Runs one verb; its exit code is what `work` returns. Progress is off the screen before anything else is printed. */
export async function inSession(
  runtime: CliRuntime,
  output: Output,
  flags: OutputFlags,
  work: (session: Session) => Promise<number>,
): Promise<number> {
  const context = await runtime.context(logLevelOf(flags));
  const json = flags.json === true;
  const { stderr: stream, color } = runtime;
  const quiet = json || flags.quiet === true;
  using progress = quiet ? silentProgress : createProgress({ stream, clock: context.clock, color });
  return await work({
    context: { ...context, onStoreRetry: storeWaits(context.clock, progress) },
    output,
    json,
    progress,
    say: (text) => {
      if (!json) runtime.stderr.write(`${text}\n`);
    },
    document: (value) => output.line(toJson(value)),
  });
}
