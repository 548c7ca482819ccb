import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatBytes, formatCount } from "../../kernel/index.ts";
import { planSnapshotRewrite } from "../../operation/index.ts";
import type {
  ErasureRemains,
  RewriteLine,
  RewritePreview,
  RewrittenPaths,
} from "../../operation/index.ts";
import { addOutputOptions, addRepositoryOptions, given, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import { confirmByTyping, requireAnswer } from "../confirm.ts";
import { cliError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import type { CliRuntime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { lockLine } from "./copy.ts";
import { timeText } from "../time-text.ts";

interface RewriteFlags extends RepositoryFlags {
  readonly without: readonly string[];
  readonly snapshot?: readonly string[];
  readonly all?: boolean;
  readonly reason: string;
  readonly forget?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export const rewriteVerb: Verb = {
  examples: [
    [
      'sparekeep rewrite --without buckets/avatars/77.png --all --forget --reason "request 17"',
      "take a file out of every snapshot, and forget the snapshots that held it",
    ],
    [
      'sparekeep rewrite --without letters --snapshot latest --reason "request 17" --dry-run',
      "what would be left out, and where else it is",
    ],
  ],
  register: (program: Command, run, runtime) =>
    addOutputOptions(addRepositoryOptions(program.command("rewrite")))
      .description("write snapshots again without some paths, with a record of why")
      .requiredOption("--without <paths...>", "files or folders, as `sparekeep ls` prints them")
      .option("--snapshot <ids...>", "these snapshots")
      .option("--all", "every snapshot that holds one of the paths")
      .requiredOption("--reason <text>", "for the record; a case number, no names")
      .option("--forget", "remove the old snapshots once the new ones are durable")
      .option("--dry-run", "show the plan and stop")
      .option("--yes", "carry the plan out without asking")
      .action((flags: RewriteFlags) => run(flags, (session) => rewrite(session, runtime, flags))),
};

async function rewrite(
  session: Session,
  runtime: CliRuntime,
  flags: RewriteFlags,
): Promise<number> {
  const { context, output, json, document } = session;
  const forget = flags.forget === true;
  if ((flags.snapshot === undefined) !== (flags.all === true)) {
    throw cliError("usage", {
      message: "a rewrite of no snapshot, or of some and all",
      hint: "Add either --snapshot ID or --all.",
    });
  }
  if (forget) requireAnswer("rewrite --forget --json with", json, flags);
  const planned = await planSnapshotRewrite(context, {
    policy: await policyOf(flags),
    ...given("destination", flags.destination),
    snapshots: flags.snapshot ?? "all",
    without: flags.without,
    reason: flags.reason,
    forget,
  });
  const { preview } = planned;
  if (!json) for (const line of describePlan(preview)) await output.line(printable(line));
  if (flags.dryRun === true) {
    if (json) await document({ plan: preview });
    return 0;
  }
  if (forget && flags.yes !== true) {
    const question = `Type the name of the destination to go on (${printable(preview.destination)}):`;
    await confirmByTyping(runtime, question, preview.destination);
  }
  const result = await planned.execute();
  if (json) await document({ plan: preview, ...result });
  else for (const line of describeResult(result)) await output.line(printable(line));
  return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
}

function describePlan({ destination, rewrite: lines, forget, remains }: RewritePreview): string[] {
  return [
    `Rewrite ${counted(lines.length, "snapshot")} of ${destination}, and ${forget ? "forget" : "keep"} the old ones:`,
    ...lines.flatMap(describeLine),
    ...describeRemains(remains),
  ];
}

function describeLine({ snapshot, paths }: RewriteLine): string[] {
  return [
    `  ${snapshot.id.slice(0, 8)}  ${timeText(snapshot.time)}  ${snapshot.plan ?? "no plan"}`,
    ...paths.map(
      ({ path, files, sizeBytes }) =>
        `    without ${path} (${counted(files, "file")}, ${formatBytes(sizeBytes)})`,
    ),
  ];
}

function describeRemains({ snapshots, copies, packs, lockedUntil }: ErasureRemains): string[] {
  return [
    ...(snapshots.length === 0
      ? []
      : ["Other snapshots hold it too, so it is not erased:", ...snapshots.flatMap(describeLine)]),
    ...(copies.length === 0 ? [] : [`Copies may hold it too: ${copies.join(", ")}`]),
    `Its data lies in ${counted(packs, "pack")} until a prune${lockedUntil === undefined ? "" : `, and the store holds some of them until ${timeText(lockedUntil)}`}.`,
  ];
}

function describeResult(result: RewrittenPaths): string[] {
  const { outcome, rewritten, forgotten, remaining } = result;
  return [
    ...rewritten.map(({ from, to }) => `${from.slice(0, 8)} -> ${to.slice(0, 8)}`),
    ...remaining.map(
      ({ snapshot, why, until }) =>
        `remains: ${snapshot.slice(0, 8)} is ${why}${until === undefined ? "" : ` until ${timeText(until.toISOString())}`}`,
    ),
    `${outcome}: ${counted(rewritten.length, "snapshot")} rewritten, ${formatCount(forgotten.length)} forgotten; \`sparekeep prune\` removes the data`,
    ...lockLine(result),
  ];
}
