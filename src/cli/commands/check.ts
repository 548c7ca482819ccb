import type { Command } from "commander";
import {
  counted,
  EXIT_INCOMPLETE,
  formatBytes,
  formatDuration,
  KIND_RULES,
} from "../../kernel/index.ts";
import { checkRepository } from "../../operation/index.ts";
import type { CheckResult } from "../../operation/index.ts";
import { addOutputOptions, addReadingOptions, given, policyOf, viewOf } from "../common-options.ts";
import type { ReadingFlags } from "../common-options.ts";
import { connectionLines } from "../connection-lines.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";

interface CheckFlags extends ReadingFlags {
  readonly readData?: boolean;
  readonly readDataSubset?: string;
  readonly rolling?: boolean;
  readonly within?: string;
}

export const checkVerb: Verb = {
  examples: [
    ["sparekeep check", "structure: indexes, snapshots, trees, sizes of all packs"],
    ["sparekeep check --read-data", "every byte as well: reads the whole repository"],
    ["sparekeep check --rolling --within 30d", "each day a part, everything once in 30 days"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addReadingOptions(program.command("check")))
      .description("find damage in a repository (exit 20 where there is some)")
      .option("--read-data", "read every pack in full and compare every blob with its hash")
      .option("--read-data-subset <part>", "the same of a part: 2/5, 10% or 50G")
      .option("--rolling", "the same of what is due, so that everything is read once in a time")
      .option(
        "--within <time>",
        "that time (default: check.everything_every of the destination, or 30 days)",
      )
      .action((flags: CheckFlags) =>
        run(flags, async ({ context, output, json, document, progress }) => {
          const policy = await policyOf(flags);
          const result = await checkRepository(context, {
            policy,
            ...viewOf(flags, policy, context),
            ...given("destination", flags.destination),
            readData: flags.readData === true,
            ...given("subset", flags.readDataSubset),
            ...given("rolling", flags.rolling),
            ...given("within", flags.within),
            onProgress: (step) => progress.update(step),
          });
          progress.finish();
          if (json) await document(result);
          else for (const line of describe(result, flags)) await output.line(line);
          return EXIT_CODES[result.outcome];
        }),
      ),
};

const EXIT_CODES = {
  clean: 0,
  damaged: KIND_RULES.corrupt.exitCode,
  incomplete: EXIT_INCOMPLETE,
} as const;

function describe(result: CheckResult, flags: CheckFlags): string[] {
  const { outcome, snapshots, packs, blobs, readBytes, unread } = result;
  const counts = `${counted(snapshots, "snapshot")}, ${counted(packs, "pack")}, ${counted(blobs, "blob")}`;
  const took = `${result.readData ? `${formatBytes(readBytes)} in ` : ""}${formatDuration(result.durationMs)}`;
  return [
    ...result.findings.map(({ severity, code, message }) => `${severity}: ${message} (${code})`),
    ...(unread.packs === 0
      ? []
      : [`not read: ${counted(unread.packs, "pack")}: ${unread.message ?? "the store was away"}`]),
    `${outcome}: ${counts}; ${readText(result)} (${took})`,
    ...coverageLines(result),
    ...connectionLines(result, flags),
    ...(result.verified.length === 0
      ? []
      : [`  ${counted(result.verified.length, "point")} that were stored are verified now`]),
    ...(result.doubted.length === 0
      ? []
      : [
          `  suspect from now on, as the damage takes something of theirs: ${counted(result.doubted.length, "point")}`,
        ]),
    ...(result.unjudged === undefined
      ? []
      : [`  which points the damage takes was not recorded: ${result.unjudged.message}`]),
    ...(outcome === "damaged" ? [NEXT_STEPS] : []),
  ].map(printable);
}

/** A new backup first: what it stores again heals the damage of older snapshots. */
const NEXT_STEPS =
  "  next: run a backup, then `sparekeep repair index --dry-run`, `repair packs` and `repair snapshots`";

function readText({ readData, readPacks, packs }: CheckResult): string {
  if (!readData) return "structure only, data not read";
  if (readPacks === packs) return "all data read and compared";
  return `data of ${counted(readPacks, "pack")} read and compared, of the others not`;
}

function coverageLines({ readData, coverage, remembered }: CheckResult): string[] {
  if (!readData && coverage.readBytes === 0) return [];
  const { withinMs, readBytes, totalBytes, oldest } = coverage;
  const share = totalBytes === 0 ? 100 : Math.floor((100 * readBytes) / totalBytes);
  const days = (ms: number): string => `${(ms / 86_400_000).toFixed(1)} days`;
  const age =
    oldest === undefined
      ? ""
      : oldest.everRead
        ? `; longest unread: ${days(oldest.ageMs)}`
        : `; stored ${days(oldest.ageMs)} ago and never read: pack ${oldest.pack.slice(0, 8)}`;
  return [
    `  ${share} % of ${formatBytes(totalBytes)} read within ${days(withinMs)}${age}`,
    ...(readData && !remembered ? ["  this check is not remembered: no record was written"] : []),
  ];
}
