import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatBytes, formatDuration } from "../../kernel/index.ts";
import { drillDump, loadPolicy, localDumpPolicy } from "../../operation/index.ts";
import type { DrillResult } from "../../operation/index.ts";
import type { Policy } from "../../policy/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { cliError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";

interface DrillFlags extends OutputFlags {
  readonly policy?: string;
  readonly destination?: string;
  readonly keyHolder?: boolean;
  readonly gnupgHome?: string;
  readonly passphraseFile?: string;
}

/** KIND_RULES["objective-missed"]: a drill that failed. */
const EXIT_FAILED = 21;

const EXITS: Readonly<Record<DrillResult["outcome"], number>> = {
  restored: 0,
  "restored-partly": EXIT_INCOMPLETE,
  failed: EXIT_FAILED,
};

export const drillVerb: Verb = {
  examples: [
    ["sparekeep drill --key-holder weekly-dump", "the newest dump of a plan, where its key lives"],
    [
      "sparekeep drill --key-holder ./shop_20260117.dump.gpg",
      "a file with its manifest beside it, on a machine without a policy",
    ],
  ],
  register: (program: Command, run, runtime) =>
    addOutputOptions(addPolicyOption(program.command("drill")))
      .description(
        "decrypt a portable dump, restore it into a throwaway PostgreSQL, count it, and leave nothing behind",
      )
      .argument("<dump>", "a plan, whose newest dump is taken; a file; or a name that dumps prints")
      .option("--key-holder", "decrypt with the private key on this machine")
      .option("-d, --destination <name>", "destination that keeps the named dump")
      .option("--gnupg-home <folder>", "keyring of the private key (default: GNUPGHOME, ~/.gnupg)")
      .option("--passphrase-file <file>", "opens the key; else gpg's agent asks")
      .action((what: string, flags: DrillFlags) =>
        run(flags, async ({ context, output, json, document, progress }) => {
          demandKeyHolder(flags);
          const result = await drillDump(context, {
            policy: await policyFor(what, flags),
            what,
            ...given("destination", flags.destination),
            ...given("gnupgHome", flags.gnupgHome),
            ...given("passphraseFile", flags.passphraseFile),
            ownUid: runtime.ownUid,
            onProgress: (step) => progress.update(step),
          });
          progress.finish();
          if (json) await document(result);
          else for (const line of describe(result)) await output.line(line);
          return EXITS[result.outcome];
        }),
      ),
};

function demandKeyHolder({ keyHolder }: DrillFlags): void {
  if (keyHolder === true) return;
  throw cliError("usage", {
    message: "drill without --key-holder",
    hint: "Add --key-holder, on the machine that has the private key; other drills are not there yet.",
  });
}

/** A file at hand needs no policy, and one that is named is used. */
async function policyFor(what: string, { policy }: DrillFlags): Promise<Policy> {
  const local = policy === undefined ? await localDumpPolicy(what) : undefined;
  return local ?? loadPolicy(policy ?? DEFAULT_POLICY_FILE);
}

function describe(result: DrillResult): string[] {
  const { tables, refused, manifest } = result;
  const wrong = tables.filter(({ rows, expectedRows }) => rows !== expectedRows);
  const rows = tables.reduce((sum, table) => sum + (table.rows ?? 0n), 0n);
  return [
    ...wrong.map(({ schema, name, rows: found, expectedRows }) =>
      printable(
        `differs: ${schema}.${name}: ${found === undefined ? "not there" : counted(found, "row")} where the source had ${expectedRows}`,
      ),
    ),
    ...refused.map((text) => printable(`not restored: ${text}`)),
    printable(
      `${result.outcome}: ${result.file} of ${manifest.snapshot.takenAt}, ${counted(tables.length, "table")}, ${counted(rows, "row")} in ${formatDuration(result.durationMs)}`,
    ),
    printable(
      `  ${formatBytes(manifest.ciphertext.sizeBytes)} from ${result.location}, the bytes that its manifest names; decrypted with ${result.gnupgHome}`,
    ),
    printable(`  restored by an ordinary role into ${result.serverVersion.split(" on ")[0] ?? ""}`),
    "  cluster and everything decrypted are gone",
  ];
}
