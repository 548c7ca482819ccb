import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatDuration } from "../../kernel/index.ts";
import { planDatabaseRestore } from "../../operation/index.ts";
import type { PlannedRestore, RestoredDatabase, RestorePreview } from "../../operation/index.ts";
import { addOutputOptions, addReadingOptions, given, policyOf, viewOf } from "../common-options.ts";
import { catalogLines } from "../catalog-lines.ts";
import { confirmByTyping, requireAnswer } from "../confirm.ts";
import { targetUrl } from "../connection-flags.ts";
import { connectionLines } from "../connection-lines.ts";
import { parseCount } from "../parse-count.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import type { CliRuntime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { timeText } from "../time-text.ts";
import { addRowsOptions, isOfRows, restoreRows } from "./restore-rows.ts";
import type { RestoreRowsFlags } from "./restore-rows.ts";

type RestoreFlags = RestoreRowsFlags;

export const restoreVerb: Verb = {
  examples: [
    [
      "sparekeep restore latest --target staging",
      "into a target of the policy, which must be empty",
    ],
    ["sparekeep restore latest --to-env TARGET_URL --create", "into a database made for it"],
    ["sparekeep restore 1a2b3c4d --to-file target.url --dry-run", "only show what would be done"],
    [
      "sparekeep restore 1a2b3c4d --to-env DATABASE_URL --table orders --table items --merge",
      "rows of two tables, back into the database that lives",
    ],
    [
      "sparekeep restore 1a2b3c4d --to-env DATABASE_URL --table orders --into-schema recovered",
      "one table beside what stands, to look at",
    ],
  ],
  register: (program: Command, run, runtime) =>
    addRowsOptions(addOutputOptions(addReadingOptions(program.command("restore"))))
      .description(
        "rebuild a database from a snapshot, or bring rows of some tables back into one that lives, after its plan was shown and confirmed",
      )
      .argument("[snapshot]", "id, its first digits, or latest", "latest")
      .option("--target <name>", "target of the policy")
      .option("--to-env <name>", "variable that holds the target's connection string")
      .option("--to-file <file>", "file of mode 0600 that holds the target's connection string")
      .option("--to <uri>", "the target's connection string, without a password")
      .option("--create", "create the target database; it must not exist")
      .option("--connections <count>", "connections that load tables (default: 2)", parseCount)
      .option(
        "--trust-source",
        "let a superuser build what the source defines; only for a source you trust like yourself",
      )
      .option("--dry-run", "show the plan and stop")
      .option("--yes", "carry the plan out without asking")
      .action((snapshot: string, flags: RestoreFlags) =>
        run(flags, (session) =>
          isOfRows(flags)
            ? restoreRows(session, runtime, snapshot, flags)
            : restore(session, runtime, snapshot, flags),
        ),
      ),
};

async function restore(
  session: Session,
  runtime: CliRuntime,
  snapshot: string,
  flags: RestoreFlags,
): Promise<number> {
  const { output, json, document, progress } = session;
  requireAnswer("restore --json with", json, flags);
  const planned = await planOf(session, snapshot, flags);
  const { preview } = planned;
  progress.finish();
  if (!json) for (const line of describePlan(preview)) await output.line(line);
  if (flags.dryRun === true) {
    if (json) await document({ plan: preview });
    return 0;
  }
  if (flags.yes !== true) {
    const question = `Type the name of the database to go on (${printable(preview.database)}):`;
    await confirmByTyping(runtime, question, preview.database);
  }
  const result = await executed(session, planned);
  progress.finish();
  if (json) await document({ plan: preview, ...result });
  else
    for (const line of [...describeResult(result), ...connectionLines(result, flags)])
      await output.line(line);
  return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
}

async function executed(session: Session, planned: PlannedRestore): Promise<RestoredDatabase> {
  try {
    return await planned.execute();
  } catch (thrown) {
    session.progress.note("The restore is unfinished: the same command goes on where it ended.");
    throw thrown;
  }
}

async function planOf(
  session: Session,
  snapshot: string,
  flags: RestoreFlags,
): Promise<PlannedRestore> {
  const { context, progress } = session;
  const policy = await policyOf(flags);
  const target = await targetUrl(context, policy, flags);
  return planDatabaseRestore(context, {
    policy,
    ...given("destination", flags.destination),
    ...viewOf(flags, policy, context),
    snapshot,
    target,
    create: flags.create === true,
    trustSource: flags.trustSource === true,
    ...given("connections", flags.connections),
    onProgress: (step) => progress.update(step),
  });
}

function describePlan(preview: RestorePreview): string[] {
  const { snapshot, target, steps, withheld } = preview;
  return [
    `Restore snapshot ${snapshot.id.slice(0, 8)} (${snapshot.plan ?? "no plan"}, ${timeText(snapshot.time)}, ${snapshot.outcome}) into ${target}`,
    ...(preview.resumes ? ["It goes on where an interrupted restore of this snapshot ended."] : []),
    ...steps.map((step, index) => `  ${index + 1}. ${step}`),
    ...(withheld.length === 0 ? [] : ["Not restored, or left switched off:"]),
    ...withheld.map(({ object, reason }) => `  - ${object}: ${reason}`),
  ].map(printable);
}

function describeResult(result: RestoredDatabase): string[] {
  const { issues, verified } = result;
  return [
    ...issues.flatMap(({ object, message, hint }) => [
      `missing: ${object}: ${message}`,
      ...(hint === undefined ? [] : [`  fix: ${hint}`]),
    ]),
    `${result.outcome}: ${result.target}, ${counted(result.tables, "table")}, ${counted(result.rows, "row")} in ${formatDuration(result.durationMs)}`,
    ...result.newIds.map(({ object, from, to }) => `new id: ${object}: ${from} is now ${to}`),
    ...(result.withheld.length === 0
      ? []
      : [`  what was left switched off: sparekeep release ${result.snapshot.slice(0, 8)}`]),
    `  verified against the manifest: ${counted(verified.tables, "table")}, ${counted(verified.rows, "row")}`,
    ...catalogLines(result.catalog),
  ].map(printable);
}
