import type { Command } from "commander";
import { EXIT_INCOMPLETE, formatBytes, formatCount } from "../../kernel/index.ts";
import { estimate, estimateSource, loadPolicy } from "../../operation/index.ts";
import type { DestinationEstimate, EstimateResult, PlanKeep } from "../../operation/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { cliError } from "../errors.ts";
import { describeSource, priceOf } from "../estimate-source-lines.ts";
import type { PriceFlags } from "../estimate-source-lines.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import { formatTable } from "../table.ts";
import { timeText } from "../time-text.ts";

interface EstimateFlags extends OutputFlags, PriceFlags {
  readonly source?: string;
  readonly policy?: string;
  readonly destination?: string;
}

export const estimateVerb: Verb = {
  examples: [
    ["sparekeep estimate", "what every destination holds, how it grows, and what its terms cost"],
    [
      "sparekeep estimate --source database",
      "what a first backup would read, send and store, from samples",
    ],
    ["sparekeep estimate --destination offsite --json", "the same of one, for programs"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addPolicyOption(program.command("estimate")))
      .description(
        "what destinations hold and how they grow, as read back; of a source what a first backup would cost",
      )
      .option("-d, --destination <name>", "only this destination")
      .option("-s, --source <name>", "only this source: what a first backup of it would cost")
      .option(
        "--price-per-gb <number>",
        "with --source: what the provider asks for 10^9 bytes sent",
      )
      .option("--included-gb <number>", "with --source: what a month includes")
      .option("--runs-per-month <number>", "with --source: how often it is backed up whole")
      .action((flags: EstimateFlags) =>
        run(flags, async ({ context, output, json, document }) => {
          const price = priceOf(flags);
          if (flags.source !== undefined) {
            const policy = await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE);
            const { source } = flags;
            const found = await estimateSource(context, {
              policy,
              source,
              ...given("price", price),
            });
            if (json) await document(found);
            else for (const line of describeSource(found)) await output.line(line);
            return found.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
          }
          if (price !== undefined)
            throw cliError("usage", { message: "a price of egress without --source" });
          const result = await estimate(context, {
            policy: await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE),
            ...given("destination", flags.destination),
          });
          if (json) await document(result);
          else for (const line of describe(result)) await output.line(line);
          return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
        }),
      ),
};

function describe({ destinations, failed }: EstimateResult): string[] {
  return [
    ...destinations.flatMap(describeOne),
    ...failed.map(({ destination, message }) => printable(`${destination}: not read: ${message}`)),
  ];
}

function describeOne(estimated: DestinationEstimate): string[] {
  const { destination, location, measured, hot, bulk } = estimated;
  const { count, oldest, newest } = measured.snapshots;
  const span =
    oldest === undefined || newest === undefined
      ? ""
      : `, ${timeText(oldest.toISOString())} to ${timeText(newest.toISOString())}`;
  const rows = [
    ["packs of data", measured.dataPacks],
    ["packs of trees", measured.treePacks],
    ["packs in no index", measured.unlistedPacks],
    ["index files", measured.indexes],
    ["snapshots, keys, records", measured.others],
    ["together, may be cheaper", bulk],
    ["together, stays hot", hot],
  ] as const;
  const table = formatTable(
    ["STORED", "OBJECTS", "SIZE"],
    rows.map(([what, { objects, bytes }]) => [what, formatCount(objects), formatBytes(bytes)]),
    ["OBJECTS", "SIZE"],
  );
  return [
    printable(`${destination} (${location}): ${formatCount(count)} snapshots${span}`),
    ...table.map((line) => `  ${line}`),
    ...[
      ...growthLines(estimated),
      ...classLines(estimated),
      lockLine(estimated),
      ...runLines(estimated),
    ].map(printable),
  ];
}

const SHOWN_RUNS = 5;

function growthLines({ measured: { growth, missingPacks } }: DestinationEstimate): string[] {
  const missing =
    missingPacks === 0
      ? []
      : [`  missing: ${formatCount(missingPacks)} packs that an index lists: run a check`];
  if (growth === undefined) return [...missing, "  growth: the store does not tell times"];
  const lines = growth
    .slice(-SHOWN_RUNS)
    .map(
      ({ snapshot, storedAt, packs }) =>
        `  grew by ${formatBytes(packs.bytes)} up to ${snapshot.slice(0, 8)} of ${timeText(storedAt.toISOString())}, as far as it is still there`,
    );
  return [...missing, ...lines];
}

function classLines({ storageClass, plans }: DestinationEstimate): string[] {
  const keeps = plans.map(keepLine);
  if (storageClass === undefined) return ["  storage class: none in the policy", ...keeps];
  const { name, minimumDays } = storageClass;
  const terms =
    minimumDays === undefined
      ? "the store's own, terms unknown"
      : minimumDays === 0
        ? "no minimum storage time"
        : `each object is paid for ${minimumDays} days at least`;
  return [`  storage class of data packs: ${name}: ${terms}`, ...keeps];
}

function keepLine({ plan, keptDays, unusedDays }: PlanKeep): string {
  if (keptDays === undefined) return `  plan ${plan} forgets nothing`;
  const { shortest, longest } = keptDays;
  const kept = `  plan ${plan} keeps points ${daysText(shortest)} to ${daysText(longest)}`;
  if (unusedDays === undefined || unusedDays.most === 0) return kept;
  const { least, most } = unusedDays;
  return `${kept}: ${least === most ? most : `${least} to ${most}`} days are paid and not used`;
}

function daysText(days: number): string {
  return `${Math.ceil(days)} days`;
}

function lockLine({ lock }: DestinationEstimate): string {
  if (typeof lock === "string") return `  Object Lock of the newest point: ${lock}`;
  return `  Object Lock of the newest point: ${lock.mode} until ${timeText(lock.until)}`;
}

function runLines({ nextRun }: DestinationEstimate): string[] {
  if (nextRun === undefined) return ["  requests of a backup: unknown"];
  const { writes, reads, lists, lockRequests, packs } = nextRun;
  const locks =
    lockRequests === undefined ? "" : `, at most ${formatCount(lockRequests)} for Object Lock`;
  return [
    `  a backup like the last: about ${formatCount(writes)} writes (${formatBytes(packs.bytes)} of packs), ${formatCount(reads)} reads, ${formatCount(lists)} listings${locks}`,
  ];
}
