import { Option } from "commander";
import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatBytes } from "../../kernel/index.ts";
import { planRowsRestore } from "../../operation/index.ts";
import type {
  PlannedRowsRestore,
  RestoredRows,
  RestoreRowsOptions,
  RowsPreview,
} from "../../operation/index.ts";
import { given, policyOf, viewOf } from "../common-options.ts";
import type { ReadingFlags } from "../common-options.ts";
import { confirmByName } from "../confirm.ts";
import { targetUrl } from "../connection-flags.ts";
import type { TargetFlags } from "../connection-flags.ts";
import { connectionLines } from "../connection-lines.ts";
import { cliError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { CliRuntime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { timeText } from "../time-text.ts";

/** `restore` of less than everything, into a database that lives. */

export interface RestoreRowsFlags extends ReadingFlags, TargetFlags {
  readonly table?: readonly string[];
  readonly key?: readonly string[];
  readonly where?: readonly string[];
  readonly merge?: boolean;
  readonly intoSchema?: string;
  readonly withChildren?: boolean;
  readonly deleteExtra?: boolean;
  readonly confirm?: string;
  readonly create?: boolean;
  readonly connections?: number;
  readonly trustSource?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** The option again: one more. */
function collect(name: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), name];
}

export function addRowsOptions(command: Command): Command {
  return command
    .option(
      "-t, --table <name>",
      "less than everything: rows of this table, into a database that lives; repeatable",
      collect,
    )
    .option(
      "--key <table=values>",
      'rows of these keys: orders=17,18, or as JSON orders=["a","b"], items=[["a",1]]; repeatable',
      collect,
    )
    .option(
      "--where <table=condition>",
      "rows of the snapshot for which this SQL is true, run on a copy of them; times without a zone are UTC; repeatable",
      collect,
    )
    .option(
      "--merge",
      "with --table: into the same tables, by key; missing rows are inserted, changed ones updated",
    )
    .option("--into-schema <name>", "with --table: into tables of a new schema, beside what stands")
    .option("--with-children", "with --table: also rows of other tables that refer to these")
    .option("--delete-extra", "with --merge: delete rows that the snapshot's table does not hold")
    .addOption(new Option("--confirm <database>", "the database's name, in place of typing it"));
}

export function isOfRows(flags: RestoreRowsFlags): boolean {
  const { table, key, where, merge, intoSchema, withChildren, deleteExtra, confirm } = flags;
  return [table, key, where, merge, intoSchema, withChildren, deleteExtra, confirm].some(
    (flag) => flag !== undefined,
  );
}

export async function restoreRows(
  session: Session,
  runtime: CliRuntime,
  snapshot: string,
  flags: RestoreRowsFlags,
): Promise<number> {
  const { json, document, output, progress } = session;
  refuseMixtures(flags);
  await using planned = await planOf(session, snapshot, flags);
  const { preview } = planned;
  progress.finish();
  if (!json) for (const line of describePlan(preview)) await output.line(line);
  if (flags.dryRun === true) {
    if (json) await document({ plan: preview });
    return preview.conflicts.length === 0 ? 0 : EXIT_INCOMPLETE;
  }
  if (preview.conflicts.length === 0 && !isIdle(preview) && flags.yes !== true) {
    const { database: name } = preview;
    const question = `Type the name of the database (${printable(name)}) to go on:`;
    await confirmByName(runtime, { confirm: flags.confirm, json }, "database", { name, question });
  }
  const result = await executed(session, planned);
  if (json) await document({ plan: preview, ...result });
  else
    for (const line of [...describeResult(result), ...connectionLines(result, flags)])
      await output.line(line);
  return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
}

async function executed(session: Session, planned: PlannedRowsRestore): Promise<RestoredRows> {
  try {
    return await planned.execute();
  } finally {
    session.progress.finish();
  }
}

function usage(message: string, hint: string): Error {
  return cliError("usage", { message, hint });
}

function refuseMixtures(flags: RestoreRowsFlags): void {
  if ((flags.merge === true) === (flags.intoSchema !== undefined)) {
    throw usage(
      "restore of rows without one of --merge and --into-schema",
      "Add --merge to put them back where they were, or --into-schema NAME to have them beside it.",
    );
  }
  if (flags.create === true || flags.connections !== undefined) {
    throw usage(
      "restore of rows with --create or --connections",
      "Leave them out: rows go into a database that is there, over one connection.",
    );
  }
  if (flags.deleteExtra === true && flags.merge !== true) {
    throw usage("--delete-extra without --merge", "Leave it out: a new schema holds nothing else.");
  }
  const narrowed = flags.key !== undefined || flags.where !== undefined;
  if (flags.deleteExtra === true && narrowed) {
    throw usage(
      "--delete-extra together with --key or --where",
      "Leave it out, or restore whole tables.",
    );
  }
  if (flags.merge === true && flags.yes === true) {
    throw usage(
      "--yes for rows that go into a database that lives",
      "Look at the plan with --dry-run, then give the database's name with --confirm.",
    );
  }
}

async function planOf(
  session: Session,
  snapshot: string,
  flags: RestoreRowsFlags,
): Promise<PlannedRowsRestore> {
  const { context, progress } = session;
  const policy = await policyOf(flags);
  const target = await targetUrl(context, policy, flags);
  const { intoSchema } = flags;
  const form: RestoreRowsOptions["form"] =
    intoSchema === undefined
      ? { kind: "merge", deleteExtra: flags.deleteExtra === true }
      : { kind: "schema", schema: intoSchema };
  return await planRowsRestore(context, {
    policy,
    ...given("destination", flags.destination),
    ...viewOf(flags, policy, context),
    snapshot,
    target,
    tables: flags.table ?? [],
    keys: flags.key ?? [],
    conditions: flags.where ?? [],
    form,
    withChildren: flags.withChildren === true,
    trustSource: flags.trustSource === true,
    onProgress: (step) => progress.update(step),
  });
}

/** Everything stands as the snapshot holds it: nothing to consent to. */
function isIdle({ form, tables, conflicts }: RowsPreview): boolean {
  if (form.kind === "schema" || conflicts.length > 0) return false;
  return tables.every(({ inserts, updates, deletes }) => inserts + updates + deletes === 0n);
}

function describePlan(preview: RowsPreview): string[] {
  const { snapshot, target, targetIsSource, database, form, conflicts } = preview;
  const into = form.kind === "merge" ? "into the same tables of" : `into schema ${form.schema} of`;
  return [
    `Restore rows of snapshot ${snapshot.id.slice(0, 8)} (${snapshot.plan ?? "no plan"}, ${timeText(snapshot.time)}, ${snapshot.outcome}) ${into} ${target}`,
    `  database ${database}${targetIsSource ? ", the very one that the snapshot was taken of" : ""}`,
    `  staged in its temporary tables, until this command ends: ${formatBytes(preview.stagedBytes)} of rows`,
    ...preview.tables.flatMap((table) => describeTable(table, form)),
    ...(conflicts.length === 0 ? [] : ["Conflicts; nothing is written while there is one:"]),
    ...conflicts.flatMap(({ table, message, rows, samples }) => [
      `  ${table}: ${message}${rows === undefined ? "" : ` (${counted(rows, "row")})`}`,
      ...samples.map((key) => `    ${key}`),
    ]),
    ...(preview.notes.length === 0 ? [] : ["To know:"]),
    ...preview.notes.map((note) => `  ${note}`),
    ...(isIdle(preview)
      ? ["Nothing to do: every row stands as the snapshot holds it."]
      : ["Steps:", ...preview.steps.map((step, index) => `  ${index + 1}. ${step}`)]),
  ].map(printable);
}

function describeTable(
  table: RowsPreview["tables"][number],
  { kind }: RowsPreview["form"],
): string[] {
  const { inserts, updates, unchanged, deletes, rows } = table;
  const counts =
    kind === "schema"
      ? `${counted(rows, "row")}, as ${table.into}`
      : `${inserts} to insert, ${updates} to update, ${unchanged} as they are${deletes === 0n ? "" : `, ${deletes} TO DELETE`}`;
  return [
    `  ${table.table}: ${counts}`,
    ...(table.because === undefined ? [] : [`    added: ${table.because}`]),
    ...table.samples.map(
      ({ action, key, columns }) =>
        `    ${action} ${key}${columns === undefined ? "" : `: ${columns.join(", ")}`}`,
    ),
  ];
}

function describeResult(result: RestoredRows): string[] {
  return [
    ...result.tables.map(({ into, inserted, updated, deleted }) =>
      [
        `${into}: ${counted(inserted, "row")} inserted, ${updated} updated`,
        ...(deleted === 0n ? [] : [`${deleted} deleted`]),
      ].join(", "),
    ),
    ...result.orphans.flatMap(({ foreignKey, rows }) => [
      `missing: ${counted(rows, "row")} without a parent by foreign key ${foreignKey}, as before`,
    ]),
    `${result.outcome}: ${result.target}, snapshot ${result.snapshot.slice(0, 8)}, ${counted(result.foreignKeysProven, "foreign key")} proven`,
  ].map(printable);
}
