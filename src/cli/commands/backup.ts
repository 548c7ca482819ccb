import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatBytes, formatDuration } from "../../kernel/index.ts";
import { backup, loadPolicy } from "../../operation/index.ts";
import type { BackupResult } from "../../operation/index.ts";
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
      .description("run a plan once: one new recovery point (exit 3 where something is missing)")
      .argument("[plan]", "plan of the policy; needed where it has several")
      .option("--connections <count>", "connections that read tables (default: 2)", parseCount)
      .action((plan: string | undefined, flags: BackupFlags) =>
        run(flags, async ({ context, output, json, document, progress }) => {
          const result = await backup(context, {
            policy: await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE),
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

function describe(result: BackupResult, flags: OutputFlags): string[] {
  const { issues, leftOut, readBack, lockedUntil, project } = result;
  return [
    ...issues.flatMap(({ object, message, hint }) => [
      printable(`missing: ${object}: ${message}`),
      ...(hint === undefined ? [] : [printable(`  fix: ${hint}`)]),
    ]),
    ...leftOut.map(({ object, reason }) => printable(`left out: ${object}: ${reason}`)),
    ...(project?.findings ?? []).flatMap(({ object, message, hint }) => [
      printable(`finding: ${object}: ${message}`),
      printable(`  fix: ${hint}`),
    ]),
    `${result.outcome}: snapshot ${result.snapshot.slice(0, 8)} of ${result.source}, ${counted(result.tables, "table")}, ${counted(result.rows, "row")} in ${formatDuration(result.durationMs)}`,
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
    ...connectionLines(result, flags),
    `  state: ${result.state}${result.stateReason === undefined ? "" : ` (${result.stateReason})`}`,
  ];
}
