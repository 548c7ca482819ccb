import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatCount } from "../../kernel/index.ts";
import { planRekey } from "../../operation/index.ts";
import type { PlannedRekey, RekeyPreview, RekeyResult } from "../../operation/index.ts";
import { addOutputOptions, addRepositoryOptions, given, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import { cliError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import type { Session } from "../session.ts";
import { lockLine } from "./copy.ts";

interface RekeyFlags extends RepositoryFlags {
  readonly to?: string;
  readonly toRepository?: string;
  readonly toPasswordFile?: string;
  readonly readData?: boolean;
  readonly dryRun?: boolean;
}

export const rekeyVerb: Verb = {
  examples: [
    [
      "sparekeep rekey -d main --to fresh",
      "everything into a new repository under a new master key; go on after an interruption",
    ],
    [
      "sparekeep rekey --to-repository /mnt/new --to-password-file new.key --dry-run",
      "what would move",
    ],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addRepositoryOptions(program.command("rekey")))
      .description("move to a new master key by copying everything; the old repository stays")
      .option("--to <name>", "destination of the policy that becomes the new repository")
      .option("--to-repository <folder>", "place of the new repository, in place of --to")
      .option("--to-password-file <file>", "with --to-repository: file that holds its password")
      .option("--read-data", "also read every byte of the new repository")
      .option("--dry-run", "show the plan and stop")
      .action((flags: RekeyFlags) => run(flags, (session) => rekey(session, flags))),
};

async function rekey(session: Session, flags: RekeyFlags): Promise<number> {
  const { output, json, document, progress } = session;
  const planned = await planOf(session, flags);
  const { preview } = planned;
  if (!json) await output.line(printable(describePlan(preview)));
  if (flags.dryRun === true) {
    if (json) await document({ plan: preview });
    return 0;
  }
  const result = await executed(session, planned);
  progress.finish();
  if (json) await document({ plan: preview, ...result });
  else for (const line of describeResult(preview, result)) await output.line(printable(line));
  return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
}

async function planOf(session: Session, flags: RekeyFlags): Promise<PlannedRekey> {
  return await planRekey(session.context, {
    policy: await policyOf(flags),
    ...given("destination", flags.destination),
    to: placeOf(flags),
    readData: flags.readData === true,
    onProgress: (step) => session.progress.update(step),
  });
}

function placeOf({
  to,
  toRepository: url,
  toPasswordFile: file,
}: RekeyFlags): Parameters<typeof planRekey>[1]["to"] {
  if (to !== undefined && url === undefined && file === undefined) return to;
  if (to === undefined && url !== undefined && file !== undefined) {
    return { url, password: { file } };
  }
  throw cliError("usage", {
    message: "no one place for the new repository",
    hint: "Add --to NAME, or --to-repository FOLDER with --to-password-file FILE.",
  });
}

async function executed(session: Session, planned: PlannedRekey): Promise<RekeyResult> {
  try {
    return await planned.execute();
  } catch (thrown) {
    session.progress.note("The move is unfinished: the same command goes on where it ended.");
    throw thrown;
  }
}

function describePlan({ from, to, create, snapshots, present }: RekeyPreview): string {
  const how = create ? "a new repository" : "the repository that was begun";
  return `${from.location} -> ${how} at ${to}: ${counted(snapshots, "snapshot")} to copy, ${formatCount(present)} there`;
}

function describeResult({ from, to }: RekeyPreview, result: RekeyResult): string[] {
  const { outcome, copy, records, findings, missing } = result;
  const carried = records.reduce((sum, one) => sum + one.carried + one.present, 0);
  const head = [
    ...copy.failed.map(({ source, message }) => `missing: ${source.slice(0, 8)}: ${message}`),
    ...findings.map(({ severity, message }) => `${severity}: ${message}`),
    `${outcome}: ${counted(copy.copied.length, "snapshot")} copied, ${formatCount(copy.present.length)} were there, ${formatCount(missing.length)} missing, ${counted(carried, "record")}`,
    ...lockLine(result),
  ];
  if (outcome !== "complete") return [...head, "The old repository is what counts until it is."];
  return [
    ...head,
    "Next:",
    `  1. Point the policy to ${to}, and give the new password to its owners and the escrow.`,
    "  2. Run a backup, then `sparekeep check --read-data`.",
    `  3. Keep ${from.location} until the new repository has proven itself, then remove it by hand,`,
    "     with its copies: whoever has the old key reads what is left there.",
  ];
}
