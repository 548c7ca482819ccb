/*
 * effects
 *   reads         indexes, one snapshot, the blobs of its tables that were named
 *   writes        one audit record; the rows to the caller, or a new file for each table
 *   locks         none
 *   leaves behind nothing; killed: a file named .sparekeep-….partial
 *   exit codes    0; 1 no such snapshot or table; 2 a file that exists; 10 no repository; 12 wrong password; 20 the rows are damaged; 130
 */
import type { Bytes } from "../kernel/index.ts";
import { destinationNamed, tableNameText } from "../policy/index.ts";
import type { Named, RepositoryDestination, Policy } from "../policy/index.ts";
import { planOf } from "../repository/index.ts";
import type { Repository, Snapshot } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { chooseTables, readNames } from "./export/choose.ts";
import type { ChosenTable, ExportChoice, ExportFormat } from "./export/choose.ts";
import { tableContent } from "./export/content.ts";
import type { ExportSource } from "./export/content.ts";
import { exportPath, requireFree, saveWhole } from "./export/place.ts";
import { readManifest } from "./manifest-of.ts";
import { openDestination, recordedView } from "./open.ts";
import type { View } from "./open.ts";

export interface ExportOptions extends View, ExportChoice {
  readonly policy: Policy;
  readonly destination?: string;
  /** The newest one of `plan`, or of all, where left out. */
  readonly snapshot?: string;
  readonly plan?: string;
  readonly onProgress?: OnProgress;
}

export interface ExportedTable {
  readonly table: string;
  readonly rows: string;
  readonly content: AsyncIterable<Bytes>;
}

export interface SavedTable {
  readonly table: string;
  readonly rows: string;
  readonly file: string;
  readonly sizeBytes: number;
}

export interface SavedExport {
  readonly snapshot: string;
  readonly format: ExportFormat;
  readonly tables: readonly SavedTable[];
}

/** One table, to be read once and to its end: only then is it known to be what was saved. */
export async function exportTable(
  context: OperationContext,
  options: ExportOptions,
): Promise<ExportedTable> {
  if (options.tables.length > 1) {
    throw operationError("export_option", {
      message: `${options.tables.length} tables to one output`,
      hint: "Name a folder with --output; each table becomes a file of its own.",
    });
  }
  const { source, chosen } = await prepare(context, options);
  const [table] = chosen;
  if (table === undefined) throw operationError("export_option", { message: "no table" });
  return { ...namesOf(table), content: tableContent(source, table) };
}

/** A file for each table. Those before one that fails are whole, and stay. */
export async function saveExport(
  context: OperationContext,
  options: ExportOptions,
  folder: string,
): Promise<SavedExport> {
  const { source, chosen } = await prepare(context, options);
  const files = chosen.map((table) => ({
    table,
    file: exportPath(folder, table.manifest, table.format),
  }));
  for (const { file } of files) await requireFree(file);
  const tables: SavedTable[] = [];
  for (const { table, file } of files) {
    const sizeBytes = await saveWhole(file, tableContent(source, table), context.random);
    tables.push({ ...namesOf(table), file, sizeBytes });
  }
  return { snapshot: source.snapshot.id, format: options.format, tables };
}

function namesOf({ manifest }: ChosenTable): { readonly table: string; readonly rows: string } {
  return { table: tableNameText(manifest), rows: manifest.rows };
}

interface Prepared {
  readonly source: ExportSource;
  readonly chosen: readonly ChosenTable[];
}

async function prepare(context: OperationContext, options: ExportOptions): Promise<Prepared> {
  const { signal } = context;
  const names = readNames(options);
  const destination = destinationOf(options);
  await recordAccess(context, options.policy, "export", {
    destination: destination.name,
    snapshot: options.snapshot ?? "latest",
    ...(options.plan === undefined ? {} : { plan: options.plan }),
    tables: names.map(tableNameText).join(", "),
    ...(options.columns === undefined ? {} : { columns: options.columns.join(", ") }),
    format: options.format,
    ...recordedView(options),
  });
  const repository = await openDestination(context, destination, options);
  const snapshot = await snapshotOf(repository, options, signal);
  const reader = await repository.acquireReader({ signal });
  const manifest = await readManifest(reader, snapshot, signal);
  const chosen = chooseTables(manifest, names, options);
  const onBytes = progressOf(chosen, options.onProgress);
  return { source: { repository, snapshot, reader, manifest, signal, onBytes }, chosen };
}

function destinationOf({ policy, destination, plan }: ExportOptions): Named<RepositoryDestination> {
  const planned = plan === undefined ? undefined : policy.plans[plan]?.to;
  return destinationNamed(policy, destination ?? planned);
}

async function snapshotOf(
  repository: Repository,
  { snapshot, plan }: ExportOptions,
  signal: AbortSignal,
): Promise<Snapshot> {
  if (plan === undefined) return repository.resolveSnapshot(snapshot ?? "latest", { signal });
  const points = await repository.snapshots({ signal });
  const newest = points.findLast((point) => planOf(point) === plan);
  if (newest !== undefined) return newest;
  throw operationError("no_point_of_plan", {
    message: `no snapshot of plan ${JSON.stringify(plan)}`,
    subject: { plan },
  });
}

function progressOf(
  chosen: readonly ChosenTable[],
  onProgress: OnProgress | undefined,
): (sizeBytes: number) => void {
  const parts = chosen.flatMap(({ manifest }) => manifest.parts);
  const totalBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  let doneBytes = 0;
  return (sizeBytes) => {
    doneBytes += sizeBytes;
    onProgress?.({ step: "tables", doneBytes, totalBytes });
  };
}
