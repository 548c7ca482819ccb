import type { Command } from "commander";
import { EXIT_INCOMPLETE } from "../../kernel/index.ts";
import { planItemRelease, RELEASE_KINDS } from "../../operation/index.ts";
import type {
  ItemKind,
  ListedItem,
  PlannedRelease,
  ReleasedItems,
  ReleasePreview,
} from "../../operation/index.ts";
import { addOutputOptions, addReadingOptions, given, policyOf, viewOf } from "../common-options.ts";
import type { ReadingFlags } from "../common-options.ts";
import { confirmByTyping, requireAnswer } from "../confirm.ts";
import { targetUrl } from "../connection-flags.ts";
import type { TargetFlags } from "../connection-flags.ts";
import { connectionLines } from "../connection-lines.ts";
import { cliError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import type { CliRuntime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { timeText } from "../time-text.ts";

interface ReleaseFlags extends ReadingFlags, TargetFlags {
  readonly item?: readonly string[];
  readonly all?: readonly string[];
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export const releaseVerb: Verb = {
  examples: [
    [
      "sparekeep release 1a2b3c4d --target staging",
      "list what the restore of that snapshot left switched off",
    ],
    [
      'sparekeep release 1a2b3c4d --target staging --item "event trigger audit_ddl"',
      "turn on exactly that",
    ],
    ["sparekeep release 1a2b3c4d --to-env TARGET_URL --all publication", "all of one kind"],
  ],
  register: (program: Command, run, runtime) =>
    addOutputOptions(addReadingOptions(program.command("release")))
      .description("list what a restore left switched off, and turn it on item by item")
      .argument("<snapshot>", "the snapshot that was restored: id, its first digits, or latest")
      .option("--target <name>", "target of the policy")
      .option("--to-env <name>", "variable that holds the target's connection string")
      .option("--to-file <file>", "file of mode 0600 that holds the target's connection string")
      .option("--to <uri>", "the target's connection string, without a password")
      .option("--item <name>", "release this item, as it is listed; may be repeated", collect)
      .option("--all <kind>", `release all of a kind: ${RELEASE_KINDS.join(", ")}`, collect)
      .option("--dry-run", "show the plan and stop")
      .option("--yes", "carry the plan out without asking")
      .action((snapshot: string, flags: ReleaseFlags) =>
        run(flags, (session) => release(session, runtime, snapshot, flags)),
      ),
};

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function release(
  session: Session,
  runtime: CliRuntime,
  snapshot: string,
  flags: ReleaseFlags,
): Promise<number> {
  const { output, json, document, progress } = session;
  const lists = flags.item === undefined && flags.all === undefined;
  const ends = lists || flags.dryRun === true;
  requireAnswer("release --json with", json, { yes: flags.yes, dryRun: ends });
  const planned = await planOf(session, snapshot, flags);
  const { preview } = planned;
  progress.finish();
  const lines = lists ? describeItems(preview) : describePlan(preview);
  if (!json) for (const line of lines) await output.line(line);
  if (ends || preview.chosen.length === 0) {
    if (json) await document({ plan: preview });
    return ends || preview.refused.length === 0 ? 0 : EXIT_INCOMPLETE;
  }
  if (flags.yes !== true) {
    const question = `Type the name of the database to go on (${printable(preview.database)}):`;
    await confirmByTyping(runtime, question, preview.database);
  }
  const result = await planned.execute();
  progress.finish();
  if (json) await document({ plan: preview, ...result });
  else
    for (const line of [...describeResult(result), ...connectionLines(result, flags)])
      await output.line(line);
  return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
}

async function planOf(
  session: Session,
  snapshot: string,
  flags: ReleaseFlags,
): Promise<PlannedRelease> {
  const { context } = session;
  const policy = await policyOf(flags);
  const target = await targetUrl(context, policy, flags);
  return planItemRelease(context, {
    policy,
    ...given("destination", flags.destination),
    ...viewOf(flags, policy, context),
    snapshot,
    target,
    items: flags.item ?? [],
    kinds: (flags.all ?? []).map(kindNamed),
  });
}

function kindNamed(text: string): ItemKind {
  const kind = RELEASE_KINDS.find((one) => one === text);
  if (kind !== undefined) return kind;
  throw cliError("usage", {
    message: `--all ${JSON.stringify(text)}, which is no kind of item`,
    hint: `Name one of ${RELEASE_KINDS.join(", ")}.`,
  });
}

function describeItems(preview: ReleasePreview): readonly string[] {
  const { items, snapshot, target } = preview;
  const head = `${snapshotText(snapshot)}, restored into ${target}`;
  if (items.length === 0) return [head, "Nothing of it was left switched off."].map(printable);
  const count = (state: ListedItem["state"]): number =>
    items.filter((item) => item.state === state).length;
  return [
    head,
    ...items.flatMap(itemLines),
    `${count("withheld")} withheld, ${count("released")} released, ${count("refused")} not possible from here`,
  ].map(printable);
}

function itemLines(item: ListedItem): readonly string[] {
  return [
    `  ${item.state.padEnd(9)} ${item.id}`,
    ...(item.state === "released" ? [] : [`            ${item.reason}`]),
    ...(item.why === undefined ? [] : [`            not from here: ${item.why}`]),
    ...statementLines(item),
  ];
}

function statementLines({ statements, needs, warning }: ListedItem): readonly string[] {
  return [
    ...(needs.length === 0 ? [] : [`            needs: ${needs.join(", ")}`]),
    ...statements.map((sql) => `            runs: ${sql}`),
    ...(warning === undefined ? [] : [`            note: ${warning}`]),
  ];
}

function describePlan({ chosen, refused, snapshot, target }: ReleasePreview): readonly string[] {
  return [
    `Release in ${target} what the restore of ${snapshotText(snapshot)} left switched off`,
    ...chosen.flatMap((item, index) => [`  ${index + 1}. ${item.id}`, ...statementLines(item)]),
    ...refused.map((item) => `  not from here: ${item.id}: ${item.why ?? ""}`),
    ...(chosen.length === 0 ? ["Nothing is left to do."] : []),
  ].map(printable);
}

function snapshotText(snapshot: ReleasePreview["snapshot"]): string {
  return `snapshot ${snapshot.id.slice(0, 8)} (${snapshot.plan ?? "no plan"}, ${timeText(snapshot.time)})`;
}

function describeResult({ released, outcome, target }: ReleasedItems): readonly string[] {
  return [
    ...released.flatMap(({ id, outcome: ended, message, hint }) => [
      ended === "released" ? `released: ${id}` : `failed: ${id}: ${message ?? ""}`,
      ...(hint === undefined ? [] : [`  fix: ${hint}`]),
    ]),
    `${outcome}: ${target}`,
  ].map(printable);
}
