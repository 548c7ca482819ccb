import type { Command } from "commander";
import { formatBytes } from "../../kernel/index.ts";
import { listEntries } from "../../operation/index.ts";
import type { LsLine, LsResult } from "../../operation/index.ts";
import { addOutputOptions, addReadingOptions, given, policyOf, viewOf } from "../common-options.ts";
import type { ReadingFlags } from "../common-options.ts";
import { toJson } from "../json.ts";
import type { Output } from "../output.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import { timeText } from "../time-text.ts";

interface LsFlags extends ReadingFlags {
  readonly recursive?: boolean;
}

export const lsVerb: Verb = {
  examples: [
    ["sparekeep ls", "top folder of the newest snapshot"],
    ["sparekeep ls latest database/tables", "one folder of it"],
    ["sparekeep ls 1a2b3c4d --recursive", "everything in the snapshot whose id begins so"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addReadingOptions(program.command("ls")))
      .description("list what a snapshot holds")
      .argument("[snapshot]", "id, its first digits, or latest", "latest")
      .argument("[path]", "a folder or file in it")
      .option("-r, --recursive", "folders with all that is below them")
      .action((snapshot: string, path: string | undefined, flags: LsFlags) =>
        run(flags, async ({ context, output, json }) => {
          const policy = await policyOf(flags);
          const result = await listEntries(context, {
            policy,
            ...viewOf(flags, policy, context),
            ...given("destination", flags.destination),
            snapshot,
            ...given("path", path),
            recursive: flags.recursive === true,
          });
          await (json ? printJson(output, result) : printLines(output, result));
          return 0;
        }),
      ),
};

async function printLines(output: Output, result: LsResult): Promise<void> {
  for await (const entry of result.entries) await output.line(lineOf(entry));
}

function lineOf(entry: LsLine): string {
  const isFolder = entry.type === "dir";
  const size = isFolder ? "-" : formatBytes(entry.sizeBytes);
  const path = printable(entry.path) + (isFolder ? "/" : "");
  return `${entry.mode}  ${timeText(entry.modifiedAt)}  ${size.padStart(10)}  ${path}`;
}

/** One document, written while the entries are read. */
async function printJson(output: Output, result: LsResult): Promise<void> {
  const [before = ""] = toJson({ snapshot: result.snapshot }).split(/\n\}$/, 1);
  await output.write(`${before},\n  "entries": [`);
  let separator = "";
  for await (const entry of result.entries) {
    await output.write(`${separator}\n    ${toJson(entry, 0)}`);
    separator = ",";
  }
  await output.write(separator === "" ? "]\n}\n" : "\n  ]\n}\n");
}
