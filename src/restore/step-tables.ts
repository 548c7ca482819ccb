import type { Bytes } from "../kernel/index.ts";
import { equalText } from "./compare.ts";
import { partPath } from "../manifest/index.ts";
import type { TableManifest, TablePart } from "../manifest/index.ts";
import { quoteIdentifier, quoteQualified } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import { orIssue, rethrowFatal } from "./context.ts";
import type { Work } from "./context.ts";
import { inTransaction } from "./ledger.ts";
import { queueOf, runOnSessions } from "./pool.ts";
import { sourcePath } from "./step-schema.ts";
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
      const before = doneBytes;
      await orIssue(work, { code: "table_failed", object }, () =>
        copyPiece(work, connection, piece, {
          signal,
          onBytes: (size) => {
            doneBytes += size;
            report(object);
          },
        }),
      );
      if (doneBytes < before) doneBytes = before;
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

async function copyPiece(
  work: Work,
  connection: Connection,
  piece: Piece,
  options: CopyOptions,
): Promise<void> {
  try {
    await copyInTransaction(work, connection, piece, options, "");
  } catch (error) {
    rethrowFatal(error);
    // CHECK constraints and generated columns may call functions that count on the source's search path.
    const path = `SET LOCAL search_path = ${sourcePath(work)}`;
    await copyInTransaction(work, connection, piece, options, path).catch((second: unknown) => {
      rethrowFatal(second);
      throw error;
    });
  }
}

async function copyInTransaction(
  work: Work,
  connection: Connection,
  { table, part }: Piece,
  options: CopyOptions,
  prefix: string,
): Promise<void> {
  await inTransaction(connection, async () => {
    if (prefix !== "") await connection.query(prefix);
    const alone = table.parts.length === 1 && table.condition === undefined;
    // Truncated in the same transaction, a table may be filled with frozen rows: no vacuum has to freeze them later.
    if (alone) {
      await connection.query(`TRUNCATE ONLY ${quoteQualified(table.schema, table.name)}`);
    }
    const rows = await connection.copyIn(
      copyStatement(table, alone),
      watch(
        countingFile(work.options, part, options.signal, partPath(table, part)),
        options.onBytes,
      ),
      { signal: options.signal },
    );
    equalText(part.path, "rows", part.rows, String(rows));
    await work.ledger.record(connection, partItem(part));
  });
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
