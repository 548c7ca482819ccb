/**
 * The command line: arguments in, an exit code out. Results go to standard output, everything else to standard error.
 *
 * 1. commander reads the arguments; what is wrong with them is an error like any other
 * 2. the verb's file turns flags into options of one operation, and its result into lines or one JSON document
 * 3. an error becomes message and fix, or the JSON document's `error`, and its kind the exit code
 */
export { runCli } from "./program.ts";
export type { CliRuntime } from "./runtime.ts";
export { createProgress, silentProgress } from "./progress.ts";
export type { ProgressDisplay, ProgressOptions, ProgressStream } from "./progress.ts";
export { printable } from "./printable.ts";
export { formatTable } from "./table.ts";
export { cliError } from "./errors.ts";
