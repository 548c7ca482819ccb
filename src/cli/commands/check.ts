import type { Command } from "commander";
import { formatBytes, formatCount, formatDuration, KIND_RULES } from "../../kernel/index.ts";
import { checkRepository } from "../../operation/index.ts";
import type { CheckResult } from "../../operation/index.ts";
import { addOutputOptions, addReadingOptions, given, policyOf, viewOf } from "../common-options.ts";
import type { ReadingFlags } from "../common-options.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../program.ts";

interface CheckFlags extends ReadingFlags {
  readonly readData?: boolean;
}

export const checkVerb: Verb = {
  examples: [
    ["sparekeep check", "structure: indexes, snapshots, trees, sizes of all packs"],
    ["sparekeep check --read-data", "every byte as well: reads the whole repository"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addReadingOptions(program.command("check")))
      .description("find damage in a repository (exit 20 where there is some)")
      .option("--read-data", "read every pack in full and compare every blob with its hash")
      .action((flags: CheckFlags) =>
        run(flags, async ({ context, output, json, document, progress }) => {
          const policy = await policyOf(flags);
          const result = await checkRepository(context, {
            policy,
            ...viewOf(flags, policy, context),
            ...given("destination", flags.destination),
            readData: flags.readData === true,
            onProgress: (step) => progress.update(step),
          });
          progress.finish();
          if (json) await document(result);
          else for (const line of describe(result)) await output.line(line);
          return result.outcome === "clean" ? 0 : KIND_RULES.corrupt.exitCode;
        }),
      ),
};

function describe(result: CheckResult): string[] {
  const { snapshots, packs, blobs, readBytes } = result;
  const read = result.readData ? "all data read and compared" : "structure only, data not read";
  return [
    ...result.findings.map(({ severity, code, message }) =>
      printable(`${severity}: ${message} (${code})`),
    ),
    `${result.outcome}: ${formatCount(snapshots)} snapshots, ${formatCount(packs)} packs, ${formatCount(blobs)} blobs; ${read} (${formatBytes(readBytes)} in ${formatDuration(result.durationMs)})`,
  ];
}
