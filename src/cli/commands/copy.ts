import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatBytes, formatCount } from "../../kernel/index.ts";
import { loadPolicy, planCopies } from "../../operation/index.ts";
import type {
  CopiesResult,
  CopyOutcome,
  CopyPreview,
  CopyTrouble,
  PlannedCopies,
} from "../../operation/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { connectionLines } from "../connection-lines.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import type { Session } from "../session.ts";
import { timeText } from "../time-text.ts";

interface CopyFlags extends OutputFlags {
  readonly policy?: string;
  readonly destination?: string;
  readonly to?: string;
  readonly plan?: string;
  readonly snapshots?: readonly string[];
  readonly dryRun?: boolean;
}

export const copyVerb: Verb = {
  examples: [
    ["sparekeep copy", "every good point to every copy that the policy names"],
    ["sparekeep copy --to offsite --dry-run", "what one of the copies lacks"],
    ["sparekeep copy --to offsite --snapshots 1a2b3c4d latest", "these points, good or not"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addPolicyOption(program.command("copy")))
      .description("copy recovery points to the other repositories that the policy names")
      .option("-d, --destination <name>", "only copies of this destination")
      .option("--to <name>", "only this copy")
      .option("--plan <name>", "only points of this plan")
      .option("--snapshots <ids...>", "these snapshots in place of every good point")
      .option("--dry-run", "show what would be copied and stop")
      .action((flags: CopyFlags) => run(flags, (session) => copy(session, flags))),
};

async function copy(session: Session, flags: CopyFlags): Promise<number> {
  const { context, output, json, document, progress } = session;
  const planned = await planCopies(context, {
    policy: await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE),
    ...given("destination", flags.destination),
    ...given("to", flags.to),
    ...given("plan", flags.plan),
    ...given("snapshots", flags.snapshots),
    onProgress: (step) => progress.update(step),
  });
  if (flags.dryRun === true) return await showPlan(session, planned);
  const result = await planned.execute();
  progress.finish();
  if (json) await document(result);
  else for (const line of describeResult(result, flags)) await output.line(line);
  return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
}

async function showPlan(
  { output, json, document }: Session,
  { previews, failed }: PlannedCopies,
): Promise<number> {
  if (json) await document({ plan: previews, failed });
  else {
    const lines = [...previews.flatMap(describePreview), ...failed.map(describeTrouble)];
    for (const line of lines) await output.line(printable(line));
  }
  return failed.length === 0 ? 0 : EXIT_INCOMPLETE;
}

function passwordText(from: string, to: string, same: boolean): string[] {
  return same ? [`  warning: ${to} has the password of ${from}; give the copy its own`] : [];
}

function describePreview({ from, to, plan, leftOut, samePassword }: CopyPreview): string[] {
  const { copy: lacking, present } = plan;
  const { incomplete, foreign } = leftOut;
  return [
    `${from} -> ${to}: ${counted(lacking.length, "snapshot")} to copy, ${formatCount(present.length)} there`,
    ...lacking.map(({ id, time }) => `  ${id.slice(0, 8)}  ${time.toISOString()}`),
    ...plan.unreadable.map(({ message }) => `  damaged: ${message}`),
    ...passwordText(from, to, samePassword),
    ...(incomplete + foreign === 0
      ? []
      : [`  left out: ${incomplete} incomplete, ${foreign} of other tools`]),
  ];
}

function describeResult({ outcome, copies, failed }: CopiesResult, flags: OutputFlags): string[] {
  return [
    ...copies.flatMap((copy) => describeCopy(copy, flags)),
    ...failed.map(describeTrouble),
    outcome,
  ].map(printable);
}

function describeCopy({ from, to, ...result }: CopyOutcome, flags: OutputFlags): string[] {
  const { copied, present, failed, sourceLock, writtenBytes, records } = result;
  const holds = records.find(({ kind }) => kind === "holds")?.carried ?? 0;
  return [
    ...failed.map(({ source, message }) => `missing: ${source.slice(0, 8)}: ${message}`),
    `${from} -> ${to}: ${formatCount(copied.length)} copied and read back, ${formatCount(present.length)} there already, ${formatBytes(writtenBytes)} written`,
    ...passwordText(from, to, result.samePassword),
    ...lockLine(result),
    ...connectionLines(result, flags, to),
    ...connectionLines(given("connection", result.sourceConnection), flags, from),
    ...(holds === 0 ? [] : [`  ${counted(holds, "hold")} went with them`]),
    ...(sourceLock === "held"
      ? []
      : [`  no lock in ${from}: its credentials only read, so nothing held a prune off`]),
  ];
}

/** Of what was locked in this run. */
export function lockLine({ lockedUntil }: { readonly lockedUntil?: string }): string[] {
  return lockedUntil === undefined
    ? []
    : [`  locked with all that they need until ${timeText(lockedUntil)}`];
}

function describeTrouble({ from, to, message }: CopyTrouble): string {
  return `missing: ${from} -> ${to}: ${message}`;
}
