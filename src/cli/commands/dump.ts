import type { Command } from "commander";
import { dumpFile, saveDump } from "../../operation/index.ts";
import type { DumpOptions } from "../../operation/index.ts";
import { addOutputOptions, addReadingOptions, given, policyOf, viewOf } from "../common-options.ts";
import type { ReadingFlags } from "../common-options.ts";
import { cliError } from "../errors.ts";
import type { Verb } from "../verb.ts";
import type { Session } from "../session.ts";

interface DumpFlags extends ReadingFlags {
  readonly output?: string;
}

export const dumpVerb: Verb = {
  examples: [
    ["sparekeep dump latest manifest.json", "one file to standard output"],
    [
      "sparekeep dump latest database/schema.dump | pg_restore --list",
      "straight into another program",
    ],
    ["sparekeep dump 1a2b3c4d RECOVERY.md --output RECOVERY.md", "into a new file"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addReadingOptions(program.command("dump")))
      .description("write one file of a snapshot to standard output")
      .argument("<snapshot>", "id, its first digits, or latest")
      .argument("<path>", "the file, as ls prints it")
      .option("-o, --output <file>", "write to this new file instead")
      .action((snapshot: string, path: string, flags: DumpFlags) =>
        run(flags, async (session) => {
          const policy = await policyOf(flags);
          const view = viewOf(flags, policy, session.context);
          const where = { policy, ...given("destination", flags.destination), ...view };
          const options = { ...where, snapshot, path };
          return dump(session, options, flags);
        }),
      ),
};

async function dump(session: Session, options: DumpOptions, flags: DumpFlags): Promise<number> {
  const { context, output, json, document } = session;
  if (flags.output === undefined) {
    if (json) {
      throw cliError("usage", {
        message: "dump --json without --output",
        hint: "Add --output FILE; the file and the document cannot share standard output.",
      });
    }
    const file = await dumpFile(context, options);
    for await (const chunk of file.content) await output.write(chunk);
    return 0;
  }
  const saved = await saveDump(context, options, flags.output);
  if (json) await document(saved);
  return 0;
}
