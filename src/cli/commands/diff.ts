import type { Command } from "commander";
import { counted, formatBytes } from "../../kernel/index.ts";
import { diffPoints } from "../../operation/index.ts";
import type { DiffResult } from "../../operation/index.ts";
import { addOutputOptions, addRepositoryOptions, given, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import { toJson } from "../json.ts";
import type { Output } from "../output.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import { timeText } from "../time-text.ts";

interface DiffFlags extends RepositoryFlags {
  readonly metadata?: boolean;
}

export const diffVerb: Verb = {
  examples: [
    ["sparekeep diff 1a2b3c4d latest", "+ added, - removed, M other content, T another type"],
    ["sparekeep diff 1a2b3c4d latest database/tables --metadata", "one folder; U other metadata"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addRepositoryOptions(program.command("diff")))
      .description("show what changed from one snapshot to another")
      .argument("<before>", "id, its first digits, or latest")
      .argument("<after>", "id, its first digits, or latest")
      .argument("[path]", "a folder or file in them")
      .option("--metadata", "also entries of which only mode, time or attributes differ (U)")
      .action((before: string, after: string, path: string | undefined, flags: DiffFlags) =>
        run(flags, async ({ context, output, json }) => {
          const result = await diffPoints(context, {
            policy: await policyOf(flags),
            ...given("destination", flags.destination),
            before,
            after,
            ...given("path", path),
            metadata: flags.metadata === true,
          });
          await (json ? printJson(output, result) : printLines(output, result));
          return 0;
        }),
      ),
};

async function printLines(output: Output, result: DiffResult): Promise<void> {
  const { before, after } = result;
  await output.line(
    `from ${before.id.slice(0, 8)} (${timeText(before.time)}) to ${after.id.slice(0, 8)} (${timeText(after.time)})`,
  );
  for await (const { modifier, path, type } of result.changes) {
    await output.line(`${modifier}  ${printable(path)}${type === "dir" ? "/" : ""}`);
  }
  const { added, removed, changedFiles } = result.totals();
  for (const [what, side] of [
    ["added", added],
    ["removed", removed],
  ] as const) {
    await output.line(
      `${what}: ${counted(side.files, "file")}, ${counted(side.folders, "folder")}, ${formatBytes(side.sizeBytes)}; ${formatBytes(side.blobBytes)} in ${counted(side.dataBlobs + side.treeBlobs, "blob")}`,
    );
  }
  await output.line(`changed: ${counted(changedFiles, "file")}`);
}

/** One document, written while the trees are compared. */
async function printJson(output: Output, result: DiffResult): Promise<void> {
  const { before, after } = result;
  const [head = ""] = toJson({ before, after }).split(/\n\}$/, 1);
  await output.write(`${head},\n  "changes": [`);
  let separator = "";
  for await (const change of result.changes) {
    await output.write(`${separator}\n    ${toJson(change, 0)}`);
    separator = ",";
  }
  const [, totals = ""] = toJson({ totals: result.totals() }).split(/^\{/, 2);
  await output.write(`${separator === "" ? "" : "\n  "}],${totals}\n`);
}
