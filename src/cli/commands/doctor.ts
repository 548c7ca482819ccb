import type { Command } from "commander";
import { doctor } from "../../operation/index.ts";
import type { Finding } from "../../operation/index.ts";
import { addOutputOptions, addRepositoryOptions, given, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";

interface DoctorFlags extends RepositoryFlags {
  readonly probe?: boolean;
}

export const doctorVerb: Verb = {
  examples: [
    ["sparekeep doctor", "is everything in place for the next backup?"],
    ["sparekeep doctor --no-probe", "the same, and nothing is written into any bucket"],
    ["sparekeep doctor -d offsite", "sources, and this destination alone"],
  ],
  register: (program: Command, run, runtime) =>
    addOutputOptions(addRepositoryOptions(program.command("doctor")))
      .description(
        "examine programs, sources, rights, repositories and clocks (exit 1 on a failure)",
      )
      .option("--no-probe", "write no object of our own to try what a bucket does")
      .action((flags: DoctorFlags) =>
        run(flags, async ({ context, output, json, document }) => {
          const policy = await policyOf(flags);
          const result = await doctor(context, {
            policy,
            nodeVersion: runtime.nodeVersion,
            probe: flags.probe !== false,
            ...given("destination", flags.destination),
          });
          if (json) await document(result);
          else for (const line of result.findings.flatMap(describe)) await output.line(line);
          return result.outcome === "fail" ? 1 : 0;
        }),
      ),
};

function describe(finding: Finding): string[] {
  const line = `${finding.status.padEnd(4)}  ${finding.subject}: ${finding.message}`;
  return [line, ...(finding.fix === undefined ? [] : [`      fix: ${finding.fix}`])].map(printable);
}
