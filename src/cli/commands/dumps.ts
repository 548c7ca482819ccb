import type { Command } from "commander";
import { EXIT_INCOMPLETE, formatBytes } from "../../kernel/index.ts";
import { listDumps, loadPolicy } from "../../operation/index.ts";
import type { DumpLine, DumpList } from "../../operation/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { printable } from "../printable.ts";
import { formatTable } from "../table.ts";
import { timeText } from "../time-text.ts";
import type { Verb } from "../verb.ts";

interface DumpsFlags extends OutputFlags {
  readonly policy?: string;
  readonly destination?: string;
  readonly verify?: boolean;
}

/** KIND_RULES.corrupt: a dump that is not what it says. */
const EXIT_DAMAGED = 20;

export const dumpsVerb: Verb = {
  examples: [
    ["sparekeep dumps", "the portable dumps of sparekeep.yaml, oldest first"],
    ["sparekeep dumps --verify", "read each of them and compare it with its manifest"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addPolicyOption(program.command("dumps")))
      .description(
        "list the portable dumps of a destination of plain files (exit 3 where one has no manifest)",
      )
      .option(
        "-d, --destination <name>",
        "destination of the policy; needed where several keep files",
      )
      .option(
        "--verify",
        "read every byte back, and the sealed records where the policy names them",
      )
      .action((flags: DumpsFlags) =>
        run(flags, async ({ context, output, json, document, progress }) => {
          const list = await listDumps(context, {
            policy: await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE),
            ...given("destination", flags.destination),
            verify: flags.verify === true,
            onProgress: (step) => progress.update(step),
          });
          progress.finish();
          if (json) await document(list);
          else for (const line of describe(list)) await output.line(line);
          return EXITS[list.outcome];
        }),
      ),
};

const EXITS: Readonly<Record<DumpList["outcome"], number>> = {
  ok: 0,
  incomplete: EXIT_INCOMPLETE,
  damaged: EXIT_DAMAGED,
};

function describe({ dumps, location }: DumpList): string[] {
  if (dumps.length === 0) return [printable(`no dumps at ${location} yet`)];
  const head = ["FILE", "TIME", "SIZE", "STATE", "SHA-256", "RECIPIENTS"];
  const rows = dumps.map((dump) => [
    dump.file,
    dump.manifest === undefined ? "-" : timeText(dump.manifest.completedAt),
    dump.sizeBytes === undefined ? "-" : formatBytes(dump.sizeBytes),
    dump.state,
    dump.manifest?.ciphertext.sha256.slice(0, 16) ?? "-",
    recipientsText(dump),
  ]);
  return [
    ...formatTable(head, rows, ["SIZE"]),
    ...dumps.flatMap(({ file, trouble }) =>
      trouble === undefined ? [] : [printable(`${file}: ${trouble}`)],
    ),
  ];
}

function recipientsText({ manifest }: DumpLine): string {
  if (manifest === undefined) return "-";
  const { recipients, passphrases } = manifest.encryption;
  const names = recipients.map(({ name, fingerprint }) =>
    fingerprint.endsWith(name.toUpperCase())
      ? fingerprint.slice(-16)
      : `${name} (${fingerprint.slice(-16)})`,
  );
  return [...names, ...(passphrases > 0 ? ["a passphrase"] : [])].join(", ");
}
