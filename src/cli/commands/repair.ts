import { Argument } from "commander";
import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatBytes, formatCount } from "../../kernel/index.ts";
import { planRepair } from "../../operation/index.ts";
import type { RepairOptions, RepairPlan, RepairResult } from "../../operation/index.ts";
import { addOutputOptions, addRepositoryOptions, given, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import { confirmByTyping, requireAnswer } from "../confirm.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import type { CliRuntime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { timeText } from "../time-text.ts";

interface RepairFlags extends RepositoryFlags {
  readonly readAllPacks?: boolean;
  readonly forget?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

const WHAT = ["index", "packs", "snapshots"] as const;

export const repairVerb: Verb = {
  examples: [
    ["sparekeep repair index --dry-run", "what the index would become, from the packs themselves"],
    ["sparekeep repair packs", "read every pack; store again what is whole of damaged ones"],
    ["sparekeep repair snapshots", "snapshots without what is gone; the old ones stay"],
  ],
  register: (program: Command, run, runtime) =>
    addOutputOptions(addRepositoryOptions(program.command("repair")))
      .description(
        "repair what a check found, after its plan was shown and confirmed; in this order: index, packs, snapshots",
      )
      .addArgument(new Argument("<what>", "what to repair").choices(WHAT))
      .argument("[ids...]", "only these packs or snapshots")
      .option("--read-all-packs", "index: read the header of every pack, also where all agrees")
      .option("--forget", "snapshots: remove the damaged ones, and files that are none")
      .option("--dry-run", "show the plan and stop")
      .option("--yes", "carry the plan out without asking")
      .action((what: RepairOptions["what"], ids: readonly string[], flags: RepairFlags) =>
        run(flags, (session) => repair(session, runtime, { what, ids }, flags)),
      ),
};

async function repair(
  { context, output, json, document, progress }: Session,
  runtime: CliRuntime,
  wanted: Pick<RepairOptions, "what" | "ids">,
  flags: RepairFlags,
): Promise<number> {
  requireAnswer("repair --json with", json, flags);
  const planned = await planRepair(context, {
    policy: await policyOf(flags),
    ...given("destination", flags.destination),
    ...wanted,
    readAllPacks: flags.readAllPacks === true,
    forget: flags.forget === true,
    onProgress: (step) => progress.update(step),
  });
  progress.finish();
  const { plan, location } = planned;
  const lines = [`Repair ${wanted.what} of ${location}`, ...describe(plan)].map(printable);
  if (!json) for (const line of lines) await output.line(line);
  if (flags.dryRun === true || !plan.needed) {
    if (json) await document({ plan });
    return flags.dryRun === true || isWhole(plan, {}) ? 0 : EXIT_INCOMPLETE;
  }
  if (flags.yes !== true) {
    await confirmByTyping(runtime, "Type repair to carry this out:", "repair");
  }
  const result = await planned.execute();
  if (json) await document({ plan, result });
  else await output.line(`done: ${Object.entries(result).map(resultText).join(", ")}`);
  return isWhole(plan, result) ? 0 : EXIT_INCOMPLETE;
}

/** Not so where something that was to be removed is still there. */
function isWhole(plan: RepairPlan, { remaining = {} }: RepairResult): boolean {
  if (plan.kind !== "repair-snapshots") return true;
  return plan.kept.length === 0 && Object.keys(remaining).length === 0;
}

function resultText([name, value]: readonly [string, number | object]): string {
  const words = name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return `${words}: ${formatCount(typeof value === "number" ? value : Object.keys(value).length)}`;
}

function describe(plan: RepairPlan): string[] {
  const locks = plan.unreadableLocks.map(
    (id) => `  remove lock ${short(id)}, which cannot be read`,
  );
  const lines = [...describeKind(plan), ...locks];
  return plan.needed ? lines : [...lines, "Nothing to do."];
}

function describeKind(plan: RepairPlan): string[] {
  if (plan.kind === "repair-index") return describeIndex(plan);
  return plan.kind === "repair-packs" ? describePacks(plan) : describeSnapshots(plan);
}

function describeIndex(plan: Extract<RepairPlan, { kind: "repair-index" }>): string[] {
  return [
    ...plan.unreadableIndexes.map((id) => `  remove index ${short(id)}, which cannot be read`),
    ...plan.replacedIndexes.map((id) => `  rewrite index ${short(id)}`),
    ...plan.packs.map(({ pack, added, dropped }) => {
      const gone = plan.missingPacks.includes(pack) ? " (it is gone)" : "";
      return `  pack ${short(pack)}: ${counted(added, "blob")} listed anew, ${dropped} no longer${gone}`;
    }),
    ...plan.damagedPacks.map(
      (id) => `  pack ${short(id)} is damaged: run \`sparekeep repair packs\` next`,
    ),
    `  headers of ${counted(plan.headersRead, "pack")} read`,
  ];
}

function describePacks(plan: Extract<RepairPlan, { kind: "repair-packs" }>): string[] {
  return [
    ...plan.packs.flatMap(({ pack, sizeBytes, salvaged, damaged, lost }) => [
      `  remove pack ${short(pack)} (${formatBytes(sizeBytes)}): ${counted(salvaged, "blob")} stored again, ${damaged} do not open, ${lost.length} lost`,
      ...lost.slice(0, MAX_SHOWN).map((blob) => `    lost: blob ${short(blob)}`),
    ]),
    ...plan.unreadableIndexes.map(
      (id) => `  index ${short(id)} cannot be read: run \`sparekeep repair index\` first`,
    ),
    `  ${formatBytes(plan.readBytes)} read`,
  ];
}

type SnapshotsPlan = Extract<RepairPlan, { kind: "repair-snapshots" }>;

function describeSnapshots(plan: SnapshotsPlan): string[] {
  return [
    ...plan.repairs.flatMap(({ snapshot, time, changes, changed }) => [
      `  snapshot ${short(snapshot)} of ${timeText(time.toISOString())} once more, tagged repaired, with ${counted(changed, "change")}`,
      ...changes.slice(0, MAX_SHOWN).map(({ path, what }) => `    ${CHANGE[what]}: ${path}`),
    ]),
    ...plan.repairedBefore.map((id) => `  snapshot ${short(id)} was repaired before`),
    ...plan.beyondRepair.map((id) => `  snapshot ${short(id)}: nothing is left of it`),
    ...plan.unreadable.map((id) => `  snapshot file ${short(id)} cannot be read`),
    ...plan.removed.map((id) => `  remove snapshot ${short(id)}`),
    ...plan.kept.map((kept) => `  keep snapshot ${short(kept.snapshot)}: ${obstacleText(kept)}`),
  ];
}

function obstacleText({ why, by, reason, until }: SnapshotsPlan["kept"][number]): string {
  if (why === "held") return `held by ${by ?? ""}: ${reason ?? ""}`;
  return until === undefined ? why : `locked until ${until.toISOString()}`;
}

/** Of one list; --json has them all. */
const MAX_SHOWN = 20;

const CHANGE = {
  cut: "cut, parts are gone",
  size: "size put right",
  emptied: "folder emptied, its list is gone",
} as const;

function short(id: string): string {
  return id.slice(0, 8);
}
