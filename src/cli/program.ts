import { Command, CommanderError } from "commander";
import { exitCodeOf, throwIfAborted, toAppError } from "../kernel/index.ts";
import type { AppError } from "../kernel/index.ts";
import { nearest } from "../policy/index.ts";
import { examplesText } from "./examples.ts";
import { cliError, EXIT_OUTPUT_CLOSED } from "./errors.ts";
import { errorDocument, toJson } from "./json.ts";
import { renderError } from "./render-error.ts";
import type { CliRuntime } from "./runtime.ts";
import { createOutput } from "./output.ts";
import { inSession } from "./session.ts";
import type { RunVerb } from "./verb.ts";
import { FIRST_VERBS, VERB_GROUPS } from "./verbs.ts";

const EXIT_CODES = `Exit codes: 0 done; 2 usage or policy; 3 incomplete; 10 no repository; 11 locked; 12 wrong password;
20 damaged; 21 an objective is missed; 130 interrupted; 1 anything else.`;

/** Runs one command line (without the program's own name) and returns its exit code. Nothing is thrown. */
export async function runCli(argv: readonly string[], runtime: CliRuntime): Promise<number> {
  let exitCode = 0;
  const output = createOutput(runtime.stdout, runtime.signal);
  // Nobody reads progress and messages any more: no reason to give the work up.
  runtime.stderr.on("error", () => undefined);
  const run: RunVerb = async (flags, work) => {
    exitCode = await inSession(runtime, output, flags, work);
  };
  const program = createProgram(runtime, run);
  try {
    await parse(program, argv);
    await output.flush();
    return exitCode;
  } catch (thrown) {
    return report(thrown, argv, runtime, program);
  }
}

/** `--help` and `--version` are thrown by commander, and are no error. */
async function parse(program: Command, argv: readonly string[]): Promise<void> {
  if (argv.length === 0) {
    program.outputHelp();
    return;
  }
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError) || thrown.exitCode !== 0) throw thrown;
  }
}

function createProgram(runtime: CliRuntime, run: RunVerb): Command {
  const program = new Command("sparekeep")
    .description(
      "Backup and recovery of Postgres applications, proven by reading back and restoring.",
    )
    .version(runtime.version, "-V, --version")
    .addHelpText("before", examplesText(FIRST_VERBS.flatMap((verb) => verb.examples.slice(0, 1))))
    .addHelpText("after", `\n${EXIT_CODES}`)
    .helpCommand(false);
  for (const [purpose, verbs] of VERB_GROUPS) {
    program.commandsGroup(`${purpose}:`);
    for (const verb of verbs) {
      const command = verb.register(program, run, runtime);
      command.addHelpText("before", examplesText(verb.examples));
    }
  }
  for (const command of withCommandsBelow(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => runtime.stdout.write(text),
      writeErr: (text) => runtime.stderr.write(text),
      getOutHelpWidth: () => runtime.stdout.columns ?? 80,
      // What commander would print about a wrong command line is thrown as well, and rendered like any other error.
      outputError: () => undefined,
    });
  }
  return program;
}

function withCommandsBelow(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withCommandsBelow)];
}

function report(
  thrown: unknown,
  argv: readonly string[],
  runtime: CliRuntime,
  program: Command,
): number {
  const error =
    thrown instanceof CommanderError
      ? usageError(thrown, namesOf(program), verbOf(program, argv))
      : errorOf(thrown, runtime);
  if (error.code === "cli.output_closed") return EXIT_OUTPUT_CLOSED;
  // A document that standard output did not take is told on standard error.
  const end = argv.indexOf("--");
  const ours = end < 0 ? argv : argv.slice(0, end);
  const asDocument = ours.includes("--json") && error.code !== "cli.output_failed";
  if (asDocument) runtime.stdout.write(`${toJson(errorDocument(error))}\n`);
  else runtime.stderr.write(renderError(error, runtime.color && runtime.stderr.isTTY === true));
  return exitCodeOf(error);
}

/** Once Ctrl-C was pressed, whatever falls over on the way out is its consequence. */
function errorOf(thrown: unknown, runtime: CliRuntime): AppError {
  const error = toAppError(thrown);
  if (!runtime.signal.aborted || error.kind === "bug") return error;
  // One that says what goes on without us, and what to do about it.
  if (error.kind === "cancelled" && error.hint !== undefined) return error;
  try {
    throwIfAborted(runtime.signal);
  } catch (cancelled) {
    return toAppError(cancelled);
  }
  return error;
}

function usageError(error: CommanderError, verbs: readonly string[], verb: string): AppError {
  const message = error.message.replace(/^error: /, "").split("\n")[0] ?? "";
  const unknown = /unknown command '([^']*)'/.exec(message)?.[1];
  const meant = unknown === undefined ? undefined : nearest(unknown, verbs);
  const suggestion = /\(Did you mean (.+)\?\)/s.exec(error.message)?.[1];
  const better = meant ?? suggestion;
  return cliError("usage", {
    message: /^(\(outputHelp\))?$/.test(message)
      ? "an incomplete command line"
      : message.replace(/\.$/, ""),
    hint: better === undefined ? `Run \`${verb} --help\`.` : `Write ${better}.`,
  });
}

/** `sparekeep key add`, as far as the words name verbs. */
function verbOf(program: Command, argv: readonly string[]): string {
  let [command, name] = [program, program.name()];
  for (const word of argv) {
    const below = command.commands.find((part) => part.name() === word);
    if (below === undefined) break;
    [command, name] = [below, `${name} ${word}`];
  }
  return name;
}

function namesOf(program: Command): readonly string[] {
  return withCommandsBelow(program).flatMap(({ commands }) => commands.map((part) => part.name()));
}
