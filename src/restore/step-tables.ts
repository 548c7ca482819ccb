import type { Bytes } from "../kernel/index.ts";
import { equalText } from "./compare.ts";
import { partPath } from "../manifest/index.ts";
import type { TableManifest, TablePart } from "../manifest/index.ts";
import { quoteIdentifier, quoteQualified, UNENCODED } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import { isFurniture, orIssue } from "./context.ts";
import type { Work } from "./context.ts";
import { copyShared, sharedColumns } from "./older-table.ts";
import { queueOf, runOnSessions } from "./pool.ts";
import { onEitherPath } from "./search-path.ts";
import { countingFile } from "./snapshot-file.ts";

/** Table contents: parts by size, largest first, each in one transaction with its progress row. */

interface Piece {
  readonly table: TableManifest;
  readonly part: TablePart;
}

export async function restoreTables(work: Work, tables: readonly TableManifest[]): Promise<void> {
  const pieces = tables
    .flatMap((table) => table.parts.map((part) => ({ table, part })))
    .filter(({ part }) => !work.ledger.has(partItem(part)))
    .toSorted((a, b) => b.part.sizeBytes - a.part.sizeBytes);
  const totalBytes = tableBytes(tables);
  let doneBytes = totalBytes - pieces.reduce((sum, { part }) => sum + part.sizeBytes, 0);
  const report = (current: string): void =>
    work.report({ step: "tables", doneBytes, totalBytes, current });
  report("");
  await runOnSessions(
    work,
    queueOf(pieces),
    async (connection, piece, signal) => {
      const object = `TABLE ${piece.table.schema}.${piece.table.name}`;
      let pieceBytes = 0;
      await orIssue(work, { code: "table_failed", object }, () =>
        copyPiece(work, connection, piece, {
          signal,
          onBytes: (sizeBytes) => {
            pieceBytes += sizeBytes;
            doneBytes += sizeBytes;
            report(object);
          },
        }),
      );
      // A second attempt counted twice, a failed one too little: done is done.
      doneBytes += piece.part.sizeBytes - pieceBytes;
      report(object);
    },
    pieces.length,
  );
}

export function tableBytes(tables: readonly TableManifest[]): number {
  return tables.flatMap((table) => table.parts).reduce((sum, part) => sum + part.sizeBytes, 0);
}

interface CopyOptions {
  readonly signal: AbortSignal;
  readonly onBytes: (sizeBytes: number) => void;
}

/** CHECK constraints and generated columns may call functions of the source. */
async function copyPiece(
  work: Work,
  connection: Connection,
  { table, part }: Piece,
  options: CopyOptions,
): Promise<void> {
  await onEitherPath(work, connection, async () => {
    const furniture = isFurniture(work, table);
    const alone = table.parts.length === 1 && table.condition === undefined && !furniture;
    // Triggers and foreign keys of the platform are there already; what they do was done at the source.
    if (furniture) await connection.query("SET LOCAL session_replication_role = replica");
    // Truncated in the same transaction, a table may be filled with frozen rows: no vacuum has to freeze them later.
    if (alone) {
      await connection.query(`TRUNCATE ONLY ${quoteQualified(table.schema, table.name)}`);
    }
    if (isUnencoded(work)) await connection.query(`SET LOCAL client_encoding = '${UNENCODED}'`);
    const file = countingFile(work.options, part, options.signal, partPath(table, part));
    const source = watch(file, options.onBytes);
    const { signal } = options;
    const shared = furniture ? await sharedColumns(connection, table) : undefined;
    const rows =
      shared === undefined
        ? await connection.copyIn(copyStatement(table, alone), source, { signal })
        : await copyShared(work, connection, table, shared, { file: source, signal });
    equalText(part.path, "rows", part.rows, String(rows));
    await work.ledger.record(connection, partItem(part));
  });
}

/** Rows were saved as bytes; a target of another encoding checks them itself. */
export function isUnencoded({ options }: Work): boolean {
  return options.manifest.database.server.encoding === UNENCODED;
}

function copyStatement(table: TableManifest, freeze: boolean): string {
  const options = [
    ...(table.format === "binary" ? ["FORMAT binary"] : []),
    ...(freeze ? ["FREEZE"] : []),
  ];
  const suffix = options.length === 0 ? "" : ` WITH (${options.join(", ")})`;
  return `COPY ${quoteQualified(table.schema, table.name)}${columnList(table)} FROM STDIN${suffix}`;
}

/** A table without columns has rows all the same, and no list. */
export function columnList(table: TableManifest): string {
  if (table.columns.length === 0) return "";
  return ` (${table.columns.map((column) => quoteIdentifier(column.name)).join(", ")})`;
}

async function* watch(
  chunks: AsyncIterable<Bytes>,
  onBytes: (sizeBytes: number) => void,
): AsyncGenerator<Bytes> {
  for await (const chunk of chunks) {
    yield chunk;
    onBytes(chunk.byteLength);
  }
}

function partItem(part: TablePart): string {
  return `part:${part.path}`;
}
