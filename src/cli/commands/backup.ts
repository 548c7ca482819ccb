import type { Command } from "commander";
import {
  counted,
  EXIT_INCOMPLETE,
  EXIT_SUSPECT,
  formatBytes,
  formatDuration,
} from "../../kernel/index.ts";
import { backup, dumpDatabase, loadPolicy } from "../../operation/index.ts";
import type { BackupResult, DumpResult, GuardReport } from "../../operation/index.ts";
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
import { schemaCommitLine } from "../schema-commit-line.ts";
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
        "run a plan once: one new recovery point, or one portable dump (exit 3: something is missing, 21: suspect)",
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
          return EXIT_CODES[result.outcome];
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

function describeDump(result: DumpResult): string[] {
  const { manifest, location, durationMs, recordedIn, notices } = result;
  const { tables, encryption, plaintext, ciphertext } = manifest;
  const rows = tables.reduce((sum, table) => sum + BigInt(table.rows), 0n);
  const names = encryption.recipients.map((one) => `${one.name} (${one.fingerprint})`);
  const recipients = names.length === 0 ? "whoever knows the passphrase" : names.join(", ");
  return [
    ...notices.map((text) => printable(`notice: ${text}`)),
    ...(manifest.leftOut ?? []).map(({ object, reason }) =>
      printable(`left out: ${object} (${reason})`),
    ),
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

const EXIT_CODES = { complete: 0, incomplete: EXIT_INCOMPLETE, suspect: EXIT_SUSPECT } as const;
/** `--json` names every one. */
const SHOWN_FINDINGS = 50;

function describe(result: BackupResult, flags: OutputFlags): string[] {
  const { issues, leftOut, readBack, lockedUntil, project } = result;
  return [
    ...issues.flatMap(({ object, message, hint }) => [
      printable(`missing: ${object}: ${message}`),
      ...(hint === undefined ? [] : [printable(`  fix: ${hint}`)]),
    ]),
    ...result.notices.map((text) => printable(`notice: ${text}`)),
    ...leftOut.map(({ object, reason }) => printable(`left out: ${object}: ${reason}`)),
    ...(result.capture === "schema" ? [] : guardLines(result.guards)),
    ...(project?.findings ?? []).flatMap(({ object, message, hint }) => [
      printable(`finding: ${object}: ${message}`),
      printable(`  fix: ${hint}`),
    ]),
    `${result.outcome}: snapshot ${result.snapshot.slice(0, 8)} of ${result.source}, ${contents(result)} in ${formatDuration(result.durationMs)}`,
    ...(project === undefined
      ? []
      : [
          `  project: ${counted(project.documents, "document")}, ${counted(project.functions, "Edge Function")}, ${counted(project.findings.length, "secret")} without a place`,
        ]),
    `  ${formatBytes(result.readBytes)} read, ${formatBytes(result.writtenBytes)} written to ${printable(result.location)}`,
    `  read back: ${counted(readBack.files, "file")}, ${formatBytes(readBack.sizeBytes)}, every blob in its place`,
    ...(lockedUntil === undefined
      ? []
      : [`  locked with all that it needs until ${timeText(lockedUntil)}`]),
    ...(result.git === undefined ? [] : [`  git: ${schemaCommitLine(result.git)}`]),
    ...connectionLines(result, flags),
    `  state: ${result.state}${result.stateReason === undefined ? "" : ` (${result.stateReason})`}`,
    ...(result.outcome === "suspect" ? suspectLines(result) : []),
  ];
}

function contents({ capture, tables, rows }: BackupResult): string {
  if (capture === "schema") return "the schema alone, no rows,";
  return `${counted(tables, "table")}, ${counted(rows, "row")}`;
}

function guardLines({ findings, off, ...seen }: GuardReport): string[] {
  const shown = findings.slice(0, SHOWN_FINDINGS);
  const [more, gone] = [findings.length - shown.length, seen.partitionsGone.length];
  const exceptions = seen.unusedExceptions.map(
    (name) => `guards: except ${name}, which is no table`,
  );
  return [
    ...shown.map(({ message }) => `suspect: ${message}`),
    ...(more === 0 ? [] : [`suspect: ${counted(more, "more finding")}; --json names each`]),
    ...(gone === 0
      ? []
      : [
          `guards: ${counted(gone, "partition")} gone, as by rotation: ${someOf(seen.partitionsGone)}`,
        ]),
    ...exceptions,
    ...off.map(({ guard, because }) => `guards: ${guard} is off because ${because}`),
    ...(seen.nothingToCompare === undefined
      ? []
      : [`guards: nothing to compare with: ${seen.nothingToCompare}`]),
  ].map(printable);
}

const SHOWN_NAMES = 5;

function someOf(names: readonly string[]): string {
  const more = names.length - SHOWN_NAMES;
  return `${names.slice(0, SHOWN_NAMES).join(", ")}${more > 0 ? `, and ${more} more` : ""}`;
}

function suspectLines({ snapshot, guards, stateReason, plan }: BackupResult): string[] {
  const id = snapshot.slice(0, 8);
  const { comparedWith } = guards;
  const than =
    comparedWith === null
      ? ""
      : `  compared with snapshot ${comparedWith.snapshot.slice(0, 8)} of ${timeText(comparedWith.time)}, which stays what is compared with`;
  const accept =
    stateReason === undefined
      ? `  fix: if it was meant: sparekeep accept ${id} --reason "..."; else restore what was lost`
      : "  fix: name a folder with `beside:` at the destination, so that it can be accepted; or restore what was lost";
  return [
    ...(than === "" ? [] : [than]),
    `  it counts for nothing: forget removes nothing of plan ${plan} until it is accepted or a good one comes`,
    accept,
  ];
}
