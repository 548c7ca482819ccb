import type { Command } from "commander";
import {
  counted,
  EXIT_INCOMPLETE,
  formatBytes,
  formatCount,
  formatDuration,
} from "../../kernel/index.ts";
import { planRepositoryPrune } from "../../operation/index.ts";
import type { PlannedPrune, PruneResult } from "../../operation/index.ts";
import { addOutputOptions, addRepositoryOptions, given, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import { confirmByTyping, requireAnswer } from "../confirm.ts";
import { connectionLines } from "../connection-lines.ts";
import { parseSize, parseTimeLength, parseUnusedLimit } from "../parse-size.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import type { CliRuntime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { timeText } from "../time-text.ts";

interface PruneFlags extends RepositoryFlags {
  readonly maxUnused?: ReturnType<typeof parseUnusedLimit>;
  readonly maxRepack?: number;
  readonly repackSmallerThan?: number;
  readonly grace?: number;
  readonly lockWait?: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export const pruneVerb: Verb = {
  examples: [
    ["sparekeep prune --dry-run", "what nobody needs any more, and when its space is free"],
    ["sparekeep prune --yes", "mark it now, remove what was marked a day ago"],
    ["sparekeep prune --yes --grace 0 --max-unused 0", "everything at once, as restic does"],
  ],
  register: (program: Command, run, runtime) =>
    addOutputOptions(addRepositoryOptions(program.command("prune")))
      .description("free the space of forgotten snapshots, after the plan was shown and confirmed")
      .option(
        "--max-unused <limit>",
        "unneeded data that may stay: 5%, 10G or unlimited (default: 5%)",
        parseUnusedLimit,
      )
      .option("--max-repack <size>", "rewrite at most so much, and the rest next time", parseSize)
      .option("--repack-smaller-than <size>", "merge packs below this size", parseSize)
      .option(
        "--grace <time>",
        "how long packs stay after nobody needs them (default: 24h)",
        parseTimeLength,
      )
      .option("--lock-wait <time>", "wait for other programs that work there", parseTimeLength)
      .option("--dry-run", "show the plan and stop")
      .option("--yes", "carry the plan out without asking")
      .action((flags: PruneFlags) => run(flags, (session) => prune(session, runtime, flags))),
};

async function prune(session: Session, runtime: CliRuntime, flags: PruneFlags): Promise<number> {
  const { output, json, document, progress, context } = session;
  requireAnswer("prune --json with", json, flags);
  await using planned = await planRepositoryPrune(context, {
    policy: await policyOf(flags),
    ...given("destination", flags.destination),
    ...given("maxUnused", flags.maxUnused),
    ...given("maxRepackBytes", flags.maxRepack),
    ...given("repackSmallerThanBytes", flags.repackSmallerThan),
    ...given("graceMs", flags.grace),
    ...given("lockWaitMs", flags.lockWait),
    atOnce: flags.yes === true && flags.dryRun !== true,
    onProgress: (step) => progress.update(step),
  });
  const { destination, location, plan } = planned;
  progress.finish();
  if (!json) for (const line of describePlan(planned)) await output.line(line);
  const idle = isIdle(plan) && flags.yes !== true;
  if (idle && !json) await output.line("Nothing to do.");
  if (flags.dryRun === true || idle) {
    if (json) await document({ destination, location, plan });
    return 0;
  }
  if (flags.yes !== true) {
    const question = `Type the name of the destination to go on (${printable(destination)}):`;
    await confirmByTyping(runtime, question, destination);
  }
  const result = await planned.execute();
  progress.finish();
  if (json) await document({ destination, location, plan, ...result });
  else for (const line of describeResult(result, flags)) await output.line(line);
  return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
}

/** A check would find the same as before: nothing is written or removed. */
function isIdle({
  repack,
  mark,
  recover,
  remove,
  missing,
  indexes,
}: PlannedPrune["plan"]): boolean {
  const packs = repack.packs + mark.packs + recover.packs + remove.packs;
  return packs + missing.length + indexes.replaced === 0;
}

function describePlan({ destination, location, plan }: PlannedPrune): string[] {
  const { used, unused, stored, repack, mark, recover, remove, unreferenced } = plan;
  const packs = ({ packs: count, bytes }: { packs: number; bytes: number }): string =>
    `${counted(count, "pack")}, ${formatBytes(bytes)}`;
  const blobs = ({ blobs: count, bytes }: { blobs: number; bytes: number }): string =>
    `${counted(count, "blob")}, ${formatBytes(bytes)}`;
  const when = (present: number, line: string): string[] => (present === 0 ? [] : [line]);
  return [
    `Prune ${destination} (${location}): ${counted(plan.snapshots.length, "snapshot")}`,
    `  stored        ${packs(stored)}`,
    `  needed        ${blobs(used)}`,
    `  not needed    ${blobs(unused)}, ${formatBytes(plan.unusedAfterBytes)} of it stays in packs that are needed`,
    ...when(
      repack.packs,
      `  rewrite       ${packs(repack)}, of which ${blobs(repack.copied)} are copied`,
    ),
    ...when(mark.packs, `  mark          ${packs(mark)}, removed by a later prune`),
    ...when(recover.packs, `  take back     ${packs(recover)}, marked earlier and needed again`),
    ...when(remove.packs, `  remove        ${packs(remove)}`),
    ...when(unreferenced.packs, `  in no index   ${packs(unreferenced)}, too young to be removed`),
    ...when(
      plan.missing.length,
      `  missing       ${counted(plan.missing.length, "pack")} that an index lists and nobody needs`,
    ),
    ...plan.suspect.map(
      (id) => `  left alone    pack ${id.slice(0, 8)} of a wrong size that is needed: run a check`,
    ),
    `  index files   ${formatCount(plan.indexes.replaced)} of ${formatCount(plan.indexes.all)} are written anew`,
    `  free now      ${formatBytes(plan.freedNowBytes)}`,
    ...plan.freedLater.map(
      ({ until, because, bytes }) =>
        `  free later    ${formatBytes(bytes)} from ${timeText(until.toISOString())} on (${because === "lock" ? "held by the store" : "grace period"})`,
    ),
  ].map(printable);
}

function describeResult(result: PruneResult, flags: PruneFlags): string[] {
  const { copied, written, marked, removed, damaged, refused, keptAfterAll } = result;
  return [
    ...damaged.map(
      ({ blob, pack }) => `damaged: blob ${blob.slice(0, 8)} in pack ${pack}, which stays`,
    ),
    ...refused.map((pack) => `refused by the store: removal of pack ${pack}`),
    ...(keptAfterAll.length === 0
      ? []
      : [`${counted(keptAfterAll.length, "pack")} stay: what appeared meanwhile needs them`]),
    `${result.outcome}: ${formatBytes(removed.bytes)} freed (${counted(removed.packs, "pack")}), ${formatBytes(marked.bytes)} marked, ${formatBytes(copied.bytes)} copied into ${counted(written.packs, "pack")} in ${formatDuration(result.durationMs)}`,
    ...connectionLines(result, flags),
  ].map(printable);
}
