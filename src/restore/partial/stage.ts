import { AppError, fromHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { addHashes, createRowHasher, partPath } from "../../manifest/index.ts";
import type { NamedTable, TableManifest, TablePart } from "../../manifest/index.ts";
import { quoteIdentifier, quoteQualified } from "../../postgres/index.ts";
import { equalText } from "../compare.ts";
import { restoreError } from "../errors.ts";
import { inTransaction } from "../ledger.ts";
import { countingFile } from "../snapshot-file.ts";
import { onRolesPath } from "./session.ts";
import type { PartialSession } from "./session.ts";
import type { TargetTable } from "./shape.ts";
import type { PartialOptions } from "./types.ts";

/**
 * A table of the snapshot in the target, as temporary tables of the session:
 * - `stage`: its rows, columns `c1`, `c2`, … in the manifest's order, and `n`, the row's number
 * - `picks`: numbers of the rows that are restored, and whether only another row's foreign key asked for one
 * - `lacking`: numbers of the rows whose parent is looked for just now
 *
 * Each is analysed when it was filled: nobody else does that for temporary tables, and without it the server would take
 * them for small.
 */
export interface Staged extends NamedTable {
  readonly manifest: TableManifest;
  /** Of a merge. */
  readonly target?: TargetTable;
  readonly stage: string;
  readonly picks: string;
  readonly lacking: string;
  /** Where what is to be done with a row is kept. */
  readonly actions: string;
  readonly because?: string;
}

export interface PartialWork {
  readonly options: PartialOptions;
  readonly session: PartialSession;
  readonly tables: Map<string, Staged>;
  /** Of staging; the total grows when a table turns out to be needed. */
  readonly progress: { doneBytes: number; totalBytes: number };
}

export function openWork(session: PartialSession, options: PartialOptions): PartialWork {
  return { options, session, tables: new Map(), progress: { doneBytes: 0, totalBytes: 0 } };
}

export function stagedBytes({ tables }: PartialWork): number {
  return [...tables.values()].reduce((sum, { manifest }) => sum + sizeOf(manifest), 0);
}

function sizeOf({ parts }: TableManifest): number {
  return parts.reduce((sum, part) => sum + part.sizeBytes, 0);
}

export function refKey({ schema, name }: NamedTable): string {
  return JSON.stringify([schema, name]);
}

/** As people read it. */
export function refText({ schema, name }: NamedTable): string {
  return `${schema}.${name}`;
}

export function quoted({ schema, name }: NamedTable): string {
  return quoteQualified(schema, name);
}

/** The staged name of a column of the snapshot. */
export function staged({ manifest }: Pick<Staged, "manifest">, column: string): string {
  const at = manifest.columns.findIndex(({ name }) => name === column);
  if (at >= 0) return `c${at + 1}`;
  throw restoreError("object_refused", {
    message: `column ${JSON.stringify(column)} that table ${refText(manifest)} has not in the snapshot`,
  });
}

export function hasColumns(
  { manifest }: Pick<Staged, "manifest">,
  columns: readonly string[],
): boolean {
  return columns.every((column) => manifest.columns.some(({ name }) => name === column));
}

/** Staged columns under their own names, behind `n`, for expressions that use those. */
export function underOwnNames(table: Staged): string {
  const columns = table.manifest.columns.map(
    ({ name }) => `${staged(table, name)} AS ${quoteIdentifier(name)}`,
  );
  return columns.join(", ");
}

export type StageDefinition =
  | { readonly like: TargetTable }
  /** One a column, each proven to be the name of a type by the target's own parser. */
  | { readonly types: readonly string[] };

/** Every part compared with the manifest's size, count and keyed row hash before a row of it is used. */
export async function stageTable(
  work: PartialWork,
  manifest: TableManifest,
  definition: StageDefinition,
  because?: string,
): Promise<Staged> {
  const { connection } = work.session;
  const at = work.tables.size + 1;
  const stage = `pg_temp.sparekeep_stage_${at}`;
  const picks = `pg_temp.sparekeep_picks_${at}`;
  const lacking = `pg_temp.sparekeep_lacking_${at}`;
  const actions = `pg_temp.sparekeep_actions_${at}`;
  await connection.query(createStage(stage, manifest, definition));
  await connection.query(
    `ALTER TABLE ${stage} ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY;
     CREATE TEMPORARY TABLE sparekeep_picks_${at} (n bigint PRIMARY KEY, added boolean NOT NULL);
     CREATE TEMPORARY TABLE sparekeep_lacking_${at} (n bigint NOT NULL);
     CREATE TEMPORARY TABLE sparekeep_actions_${at} (n bigint PRIMARY KEY, action "char" NOT NULL, standing bigint)`,
  );
  work.progress.totalBytes += sizeOf(manifest);
  for (const part of manifest.parts) {
    // Checks of domains are functions of the application.
    await inTransaction(connection, () =>
      onRolesPath(work.session, () => stagePart(work, manifest, part, stage)),
    );
  }
  const hash = addHashes(manifest.parts.map((part) => part.rowHash));
  equalText(refText(manifest), "row hash", manifest.rowHash, hash);
  await connection.query(`ANALYZE ${stage}`);
  const { schema, name } = manifest;
  const table: Staged = {
    schema,
    name,
    manifest,
    ...("like" in definition ? { target: definition.like } : {}),
    stage,
    picks,
    lacking,
    actions,
    ...(because === undefined ? {} : { because }),
  };
  work.tables.set(refKey(manifest), table);
  return table;
}

/** Types and collations are the target's own where there is a table to take them from. */
function createStage(stage: string, manifest: TableManifest, definition: StageDefinition): string {
  const name = stage.slice("pg_temp.".length);
  if ("like" in definition) {
    const columns = manifest.columns.map(
      (column, at) => `t.${quoteIdentifier(column.name)} AS c${at + 1}`,
    );
    return `CREATE TEMPORARY TABLE ${name} AS SELECT ${columns.join(", ")} FROM ONLY ${quoted(definition.like)} AS t WITH NO DATA`;
  }
  const columns = definition.types.map((type, at) => `c${at + 1} ${type}`);
  return `CREATE TEMPORARY TABLE ${name} (${columns.join(", ")})`;
}

async function stagePart(
  work: PartialWork,
  manifest: TableManifest,
  part: TablePart,
  stage: string,
): Promise<void> {
  const { session } = work;
  const columns = manifest.columns.map((_, at) => `c${at + 1}`).join(", ");
  const format = manifest.format === "binary" ? " WITH (FORMAT binary)" : "";
  const rows = await copyOrExplain(manifest, () =>
    session.connection.copyIn(
      `COPY ${stage} (${columns}) FROM STDIN${format}`,
      proven(work, manifest, part),
    ),
  );
  equalText(part.path, "rows", part.rows, String(rows));
}

/** Ends with an error where the rows are not those that the manifest counts; the COPY is undone then. */
async function* proven(
  { options, progress }: PartialWork,
  manifest: TableManifest,
  part: TablePart,
): AsyncGenerator<Bytes, void, undefined> {
  const { reader, snapshot, signal, onProgress } = options;
  const hasher = createRowHasher(fromHex(options.manifest.rowHashKey), manifest.format);
  const file = countingFile({ reader, snapshot }, part, signal, partPath(manifest, part));
  for await (const chunk of file) {
    hasher.update(chunk);
    yield chunk;
    progress.doneBytes += chunk.byteLength;
    onProgress?.({ step: "stage", ...progress, current: refText(manifest) });
  }
  const sum = hasher.finish();
  equalText(part.path, "rows", part.rows, String(sum.rows));
  equalText(part.path, "row hash", part.rowHash, sum.hash);
}

async function copyOrExplain(
  manifest: TableManifest,
  copy: () => Promise<bigint>,
): Promise<bigint> {
  try {
    return await copy();
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "postgres.statement_failed") throw thrown;
    throw restoreError("rows_refused", {
      message: `row of ${refText(manifest)} that the target's types do not take: ${thrown.message}`,
      cause: thrown,
    });
  }
}
