import { Option } from "commander";
import type { Command } from "commander";
import { counted, formatBytes } from "../../kernel/index.ts";
import { exportTable, saveExport } from "../../operation/index.ts";
import type { ExportFormat, ExportOptions, SavedExport } from "../../operation/index.ts";
import { addOutputOptions, addReadingOptions, given, policyOf, viewOf } from "../common-options.ts";
import type { ReadingFlags } from "../common-options.ts";
import { cliError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { Session } from "../session.ts";
import type { Verb } from "../verb.ts";

interface ExportFlags extends ReadingFlags {
  readonly table?: readonly string[];
  readonly columns?: readonly string[];
  readonly format: ExportFormat;
  readonly inserts?: boolean;
  readonly plan?: string;
  readonly output?: string;
}

/** The option again: one more. */
function collect(name: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), name];
}

const FORMATS: readonly ExportFormat[] = ["csv", "jsonl", "sql"];

export const exportVerb: Verb = {
  examples: [
    ["sparekeep export --table orders > orders.csv", "one table of the newest snapshot as CSV"],
    [
      "sparekeep export 1a2b3c4d --table sales.orders --format sql | psql DATABASE",
      "its rows into a table that exists, all or none",
    ],
    [
      "sparekeep export --plan nightly --table orders --table offers --format jsonl --output rows",
      "a file for each table in a folder",
    ],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addReadingOptions(program.command("export")))
      .description("write tables of a snapshot as CSV, JSON lines or SQL; no server is needed")
      .argument("[snapshot]", "id, its first digits, or latest (default: latest)")
      .option(
        "-t, --table <name>",
        "TABLE or SCHEMA.TABLE, as it is spelt in the database; repeatable; a part with a dot in double quotes: '\"a.b\".c'",
        collect,
      )
      .option(
        "-c, --columns <name>",
        "only this column; repeatable; they stand in the table's order",
        collect,
      )
      .addOption(
        new Option("-f, --format <format>", "what is written").choices(FORMATS).default("csv"),
      )
      .option("--inserts", "with sql: INSERT statements in place of COPY blocks for psql")
      .option("--plan <name>", "the newest snapshot of this plan")
      .option("-o, --output <folder>", "write SCHEMA/TABLE.csv there, never over an existing file")
      .action((snapshot: string | undefined, flags: ExportFlags) =>
        run(flags, (session) => exportTables(session, snapshot, flags)),
      ),
};

async function exportTables(
  session: Session,
  snapshot: string | undefined,
  flags: ExportFlags,
): Promise<number> {
  const { context, output, json, document, progress } = session;
  const options = await optionsOf(session, snapshot, flags);
  if (flags.output === undefined) {
    if (json) {
      throw cliError("usage", {
        message: "export --json without --output",
        hint: "Add --output FOLDER; the rows and the document cannot share standard output.",
      });
    }
    const { content } = await exportTable(context, options);
    for await (const chunk of content) if (chunk.byteLength > 0) await output.write(chunk);
    return 0;
  }
  const saved = await saveExport(
    context,
    { ...options, onProgress: (step) => progress.update(step) },
    flags.output,
  );
  progress.finish();
  if (json) await document(saved);
  else for (const line of describe(saved)) await output.line(line);
  return 0;
}

async function optionsOf(
  { context }: Session,
  snapshot: string | undefined,
  flags: ExportFlags,
): Promise<ExportOptions> {
  if (snapshot !== undefined && flags.plan !== undefined) {
    throw cliError("usage", {
      message: "export of a snapshot and of a plan",
      hint: "Name either the snapshot or, with --plan, the plan whose newest one it is.",
    });
  }
  const policy = await policyOf(flags);
  return {
    policy,
    ...given("destination", flags.destination),
    ...viewOf(flags, policy, context),
    ...given("snapshot", snapshot),
    ...given("plan", flags.plan),
    tables: flags.table ?? [],
    ...given("columns", flags.columns),
    format: flags.format,
    inserts: flags.inserts === true,
  };
}

function describe({ snapshot, tables }: SavedExport): string[] {
  return [
    ...tables.map(
      ({ table, rows, file, sizeBytes }) =>
        `${table}: ${counted(BigInt(rows), "row")}, ${formatBytes(sizeBytes)}, ${file}`,
    ),
    `complete: ${counted(tables.length, "table")} of snapshot ${snapshot.slice(0, 8)}, each compared with the manifest`,
  ].map(printable);
}
