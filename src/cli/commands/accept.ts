import type { Command } from "commander";
import { acceptPoint } from "../../operation/index.ts";
import { addOutputOptions, addRepositoryOptions, given, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import type { Verb } from "../verb.ts";

interface AcceptFlags extends RepositoryFlags {
  readonly reason: string;
}

export const acceptVerb: Verb = {
  examples: [
    [
      'sparekeep accept 1a2b3c4d --reason "half of the rows were test data"',
      "a suspect snapshot is believed again, in your name",
    ],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addRepositoryOptions(program.command("accept")))
      .description("accept, by name, what casts doubt on a snapshot, so that it counts again")
      .argument("<snapshot>", "id, or its first digits")
      .requiredOption("--reason <text>", "why, for whoever reads it later")
      .action((snapshot: string, flags: AcceptFlags) =>
        run(flags, async ({ context, output, json, document }) => {
          const accepted = await acceptPoint(context, {
            policy: await policyOf(flags),
            ...given("destination", flags.destination),
            snapshot,
            reason: flags.reason,
          });
          if (json) await document(accepted);
          else
            await output.line(`snapshot ${accepted.snapshot.slice(0, 8)} is ${accepted.state} now`);
          return 0;
        }),
      ),
};
