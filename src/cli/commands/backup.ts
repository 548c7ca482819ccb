import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatBytes, formatDuration } from "../../kernel/index.ts";
import { backup, dumpDatabase, loadPolicy } from "../../operation/index.ts";
import type { BackupResult, DumpResult } from "../../operation/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { connectionLines } from "../connection-lines.ts";
import { parseCount } from "../parse-count.ts";
import { printable } from "../printable.ts";
import { planNamed } from "../../policy/index.ts";
import type { Policy } from "../../policy/index.ts";
import { cliError } from "../errors.ts";
import type { Session } from "../session.ts";
import type { Verb } from "../verb.ts";
import { timeText } from "../time-text.ts";

interface BackupFlags extends OutputFlags {
  readonly policy?: string;
  readonly connections?: number;
}

export const backupVerb: Verb = {
  examples: [
    ["sparekeep backup", "run the only plan of sparekeep.yaml"],
    ["sparekeep backup nightly --policy shop.yaml", "run one plan of another policy"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addPolicyOption(program.command("backup")))
      .description(
        "run a plan once: one new recovery point, or one portable dump (exit 3 where something is missing)",
      )
      .argument("[plan]", "plan of the policy; needed where it has several")
      .option("--connections <count>", "connections that read tables (default: 2)", parseCount)
      .action((plan: string | undefined, flags: BackupFlags) =>
        run(flags, async (session) => {
          const { context, output, json, document, progress } = session;
          const policy = await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE);
          if (planNamed(policy, plan).capture === "pg_dump") {
            return portableDump(session, policy, plan, flags);
          }
          const result = await backup(context, {
            policy,
            ...given("plan", plan),
            ...given("connections", flags.connections),
            onProgress: (step) => progress.update(step),
          });
          progress.finish();
          if (json) await document(result);
          else for (const line of describe(result, flags)) await output.line(line);
          return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
        }),
      ),
};

async function portableDump(
  { context, output, json, document, progress }: Session,
  policy: Policy,
  plan: string | undefined,
  flags: BackupFlags,
): Promise<number> {
  if (flags.connections !== undefined) {
    throw cliError("usage", {
      message: "--connections with a plan that captures pg_dump",
      hint: "Leave it out: pg_dump -Fc reads on one connection.",
    });
  }
  const result = await dumpDatabase(context, {
    policy,
    ...given("plan", plan),
    onProgress: (step) => progress.update(step),
  });
  progress.finish();
  if (json) await document(result);
  else for (const line of describeDump(result)) await output.line(line);
  return 0;
}

function describeDump({ manifest, location, durationMs, recordedIn }: DumpResult): string[] {
  const { tables, encryption, plaintext, ciphertext } = manifest;
  const rows = tables.reduce((sum, table) => sum + BigInt(table.rows), 0n);
  const names = encryption.recipients.map((one) => `${one.name} (${one.fingerprint})`);
  const recipients = names.length === 0 ? "whoever knows the passphrase" : names.join(", ");
  return [
    ...manifest.warnings.map((text) => printable(`pg_dump: ${text}`)),
    printable(
      `complete: ${manifest.file} of ${manifest.source}, ${counted(tables.length, "table")}, ${counted(rows, "row")} in ${formatDuration(durationMs)}`,
    ),
    printable(
      `  ${formatBytes(plaintext.sizeBytes)} of pg_dump -Fc, read to its end by pg_restore; ${formatBytes(ciphertext.sizeBytes)} encrypted at ${location}`,
    ),
    printable(
      `  for ${recipients}: ${encryption.cipher}, a changed byte is noticed (${encryption.integrity.toUpperCase()})`,
    ),
    `  read back: SHA-256 ${ciphertext.sha256}`,
    recordedIn === undefined
      ? "  state: verified, its manifest beside it"
      : printable(`  state: verified, its manifest beside it and sealed in ${recordedIn}`),
  ];
}

function describe(result: BackupResult, flags: OutputFlags): string[] {
  const { issues, leftOut, readBack, lockedUntil } = result;
  return [
    ...issues.flatMap(({ object, message, hint }) => [
      printable(`missing: ${object}: ${message}`),
      ...(hint === undefined ? [] : [printable(`  fix: ${hint}`)]),
    ]),
    ...leftOut.map(({ object, reason }) => printable(`left out: ${object}: ${reason}`)),
    `${result.outcome}: snapshot ${result.snapshot.slice(0, 8)} of ${result.source}, ${counted(result.tables, "table")}, ${counted(result.rows, "row")} in ${formatDuration(result.durationMs)}`,
    `  ${formatBytes(result.readBytes)} read, ${formatBytes(result.writtenBytes)} written to ${printable(result.location)}`,
    `  read back: ${counted(readBack.files, "file")}, ${formatBytes(readBack.sizeBytes)}, every blob in its place`,
    ...(lockedUntil === undefined
      ? []
      : [`  locked with all that it needs until ${timeText(lockedUntil)}`]),
    ...connectionLines(result, flags),
    `  state: ${result.state}${result.stateReason === undefined ? "" : ` (${result.stateReason})`}`,
  ];
}
