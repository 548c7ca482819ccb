import type { Command } from "commander";
import { EXIT_INCOMPLETE, exitCodeOf } from "../../kernel/index.ts";
import { guardMigration, isKept, loadPolicy } from "../../operation/index.ts";
import type { GuardedMigration, GuardedSide } from "../../operation/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { cliError } from "../errors.ts";
import { errorDocument } from "../json.ts";
import { printable } from "../printable.ts";
import { schemaCommitLine } from "../schema-commit-line.ts";
import type { Verb } from "../verb.ts";

interface GuardFlags extends OutputFlags {
  readonly policy?: string;
  readonly plan?: string;
  readonly unguarded?: string;
}

export const guardVerb: Verb = {
  examples: [
    ["sparekeep guard -- npx supabase db push", "keep the schema as it is before and after"],
    [
      'sparekeep guard --unguarded "store is down, fix is urgent" -- ./migrate.sh',
      "run it although the schema before it could not be kept",
    ],
  ],
  register: (program: Command, run, runtime) =>
    addOutputOptions(addPolicyOption(program.command("guard")))
      .description(
        "keep the schema, run a migration, keep the schema again (exit code: the command's)",
      )
      .argument("<command...>", "the migration, after --")
      .option("--plan <name>", "plan of `capture: schema`; needed where there are several")
      .option(
        "--unguarded <reason>",
        "run the command even where the schema before it cannot be kept",
      )
      .action((command: string[], flags: GuardFlags) =>
        run(flags, async ({ context, say, json, document }) => {
          const [named, ...args] = command;
          if (named === undefined) throw cliError("usage", { message: "no command to guard" });
          const tell = (when: string, side: GuardedSide): void => {
            if (flags.quiet !== true || !isKept(side)) say(sideLine(when, side));
          };
          const guarded = await guardMigration(context, {
            policy: await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE),
            ...given("plan", flags.plan),
            ...given("unguarded", flags.unguarded),
            command: [named, ...args],
            terminal: runtime.stdin.isTTY === true,
            onBefore: (before) => tell("before", before),
          });
          const { after } = guarded;
          if (after !== undefined) tell("after", after);
          if (guarded.command === undefined) {
            say('the command was not run: mend what is said above, or give --unguarded "REASON"');
          }
          if (json) await document(shown(guarded));
          return exitCode(guarded);
        }),
      ),
};

function exitCode({ command, before, after }: GuardedMigration): number {
  if (command === undefined) return codeOf(before);
  if (command.exitCode !== 0 || after === undefined) return command.exitCode;
  return codeOf(after);
}

function codeOf(side: GuardedSide): number {
  if (side.kind === "error") return exitCodeOf(side.error);
  return isKept(side) ? 0 : EXIT_INCOMPLETE;
}

/** On standard error: standard output is the command's. */
function sideLine(when: string, side: GuardedSide): string {
  if (side.kind === "error") {
    const { message, hint } = side.error;
    const fix = hint === undefined ? "" : `\n  fix: ${printable(hint)}`;
    return `sparekeep: schema ${when} the migration: not kept: ${printable(message)}${fix}`;
  }
  const { result } = side;
  const missing = result.issues.map(({ object, message }) =>
    printable(`\n  missing: ${object}: ${message}`),
  );
  const git = result.git === undefined ? "" : `; ${schemaCommitLine(result.git)}`;
  return `sparekeep: schema ${when} the migration: ${result.outcome}, snapshot ${result.snapshot.slice(0, 8)}${git}${missing.join("")}`;
}

function shown(guarded: GuardedMigration): unknown {
  const one = (side: GuardedSide | undefined): unknown => {
    if (side === undefined) return null;
    return side.kind === "run" ? side.result : errorDocument(side.error);
  };
  const { before, after, command } = guarded;
  return { command: command ?? null, before: one(before), after: one(after) };
}
