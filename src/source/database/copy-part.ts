/**
 * One part of one table, in a transaction of its own under the snapshot:
 *
 * 1. LOCK … IN ACCESS SHARE MODE: from here to the end no DROP, TRUNCATE or rewriting ALTER can happen
 * 2. compare the table of now with the one of the snapshot; TRUNCATE and rewrites do not honour snapshots, so a
 *    difference means that rows are gone: the part is refused, never stored as empty
 * 3. COPY its columns, by number as the snapshot sees them, straight into the repository
 * 4. compare again before the stream ends, so that a refused part is not kept
 */
import { createRowHasher, storedExportPath } from "../../manifest/index.ts";
import type { TablePart } from "../../manifest/index.ts";
import { quoteIdentifier, quoteQualified, ROWS_AS_BYTES } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { EntryKind, EntryPath, SavedFile } from "../../repository/index.ts";
import { sourceError } from "../errors.ts";
import type { CaptureContext } from "./context.ts";
import { exportFormats, noRows, saveExports, saveWithExports } from "./exports.ts";
import type { ExportsOfPart } from "./exports.ts";
import { PartRefused, captureIssue, displayName } from "./issues.ts";
import { partName, rangeCondition } from "./parts.ts";
import type { PageRange } from "./parts.ts";
import { readCurrent } from "./relations.ts";
import type { CurrentRelation, Relation } from "./relations.ts";
import { underSnapshot } from "./snapshot.ts";

export interface PartRequest {
  readonly table: Relation;
  readonly index: number;
  readonly range?: PageRange;
  readonly format: "text" | "binary";
  readonly chunks: EntryKind;
}

export interface CopiedPart extends ExportsOfPart {
  /** `undefined`: the part holds no rows, and no file is kept. */
  readonly part: TablePart | undefined;
}

/** No file is kept of a part that fails, however late. */
export async function copyPart(
  context: CaptureContext,
  session: Connection,
  request: PartRequest,
): Promise<CopiedPart> {
  const stored: EntryPath[] = [];
  try {
    return await underSnapshot(session, context.snapshot.id, async () => {
      const current = await lockTable(context, session, request.table);
      await session.query(ROWS_AS_BYTES);
      const sql = copyStatement(request, current);
      return await storePart(context, session, request, sql, (path) => stored.push(path));
    });
  } catch (error) {
    // A session lost at its COMMIT: the part is read again, and its paths must be free.
    for (const path of stored) context.writer.discard(path);
    throw error;
  }
}

/** Takes a stored part out of the snapshot again. */
export function discardPart(
  context: CaptureContext,
  request: Pick<PartRequest, "table" | "index" | "format">,
  { part, exports }: CopiedPart,
): void {
  if (part !== undefined) context.writer.discard(pathOfPart(request));
  for (const { format } of exports) {
    context.writer.discard(storedExportPath(request.table, format));
  }
}

function pathOfPart({
  table,
  index,
  format,
}: Pick<PartRequest, "table" | "index" | "format">): readonly string[] {
  return ["database", "tables", table.schema, table.name, partName(index, format)];
}

/** The table may have another name by now; it is locked under the one it has, and looked at again once it is. */
async function lockTable(
  context: CaptureContext,
  session: Connection,
  table: Relation,
): Promise<CurrentRelation> {
  const before = await requireUnchanged(context, table);
  await session.query(
    `LOCK TABLE ONLY ${quoteQualified(before.schema, before.name)} IN ACCESS SHARE MODE`,
  );
  const locked = await requireUnchanged(context, table);
  if (locked.schema !== before.schema || locked.name !== before.name) {
    throw refused("table_changed", table, "was renamed while it was being locked");
  }
  return locked;
}

async function requireUnchanged(
  context: CaptureContext,
  table: Relation,
): Promise<CurrentRelation> {
  const current = await context.control.run((session) => readCurrent(session, table.oid));
  if (current === undefined)
    throw refused("table_dropped", table, "was dropped since the snapshot");
  if (current.fileNode !== table.fileNode) {
    throw refused("table_rewritten", table, "was rewritten or truncated since the snapshot");
  }
  for (const column of table.columns) {
    if (current.columns.get(column.number) !== column.name) {
      throw refused("table_changed", table, `changed its column ${column.name} since the snapshot`);
    }
  }
  return current;
}

function refused(
  code: "table_changed" | "table_dropped" | "table_rewritten",
  table: Relation,
  what: string,
): PartRefused {
  const name = displayName(table);
  return new PartRefused(captureIssue(code, name, `table ${name} ${what}`));
}

/** `COPY table` where the whole table is read, since the server is faster at it than at a SELECT. */
export function copyStatement(
  request: Pick<PartRequest, "table" | "range" | "format">,
  current: { readonly schema: string; readonly name: string },
): string {
  const { table, range, format } = request;
  const name = quoteQualified(current.schema, current.name);
  const columns = table.columns.map((column) => quoteIdentifier(column.name)).join(", ");
  const options = format === "binary" ? " (FORMAT binary)" : "";
  const condition =
    table.extensionCondition ?? (range === undefined ? "" : `WHERE ${rangeCondition(range)}`);
  const source =
    columns === "" || condition !== ""
      ? `(SELECT ${columns} FROM ONLY ${name} ${condition})`
      : `${name} (${columns})`;
  return `COPY ${source} TO STDOUT${options}`;
}

async function storePart(
  context: CaptureContext,
  session: Connection,
  request: PartRequest,
  sql: string,
  onStored: (path: EntryPath) => void,
): Promise<CopiedPart> {
  const { table, format } = request;
  const hasher = createRowHasher(context.options.rowHashKey, format);
  const sent: { rows?: bigint } = {};
  const rows = session.copyOut(sql, {
    signal: context.signal,
    reuse: true,
    onEnd: (count) => (sent.rows = count),
  });
  const copy = rows[Symbol.asyncIterator]();
  const formats = exportFormats(context.options, request);
  try {
    const first = await copy.next();
    if (first.done === true) {
      await requireUnchanged(context, table);
      const exported = await saveExports(context, request, formats, noRows(), onStored);
      return { part: undefined, ...exported };
    }
    const content = observed(context, table, copy, first.value, (chunk) => hasher.update(chunk));
    const path = pathOfPart(request);
    const save = async (chunks: AsyncIterable<Bytes>): Promise<SavedFile> => {
      const saved = await context.writer.saveFile(path, chunks, {
        kind: request.chunks,
        modifiedAt: context.takenAt,
      });
      onStored(path);
      return saved;
    };
    const { saved, ...exported } = await saveWithExports(
      context,
      request,
      formats,
      content,
      save,
      onStored,
    );
    const sum = hasher.finish();
    if (sum.rows !== sent.rows) throw countDiffers(table, sum.rows, sent.rows);
    for (const one of exported.exports) {
      if (one.rows !== sum.rows) throw countDiffers(table, one.rows, sum.rows);
    }
    const part = {
      path: path.join("/"),
      sizeBytes: saved.sizeBytes,
      sha256: saved.sha256,
      rows: String(sum.rows),
      rowHash: sum.hash,
    };
    return { part, ...exported };
  } finally {
    // Where the repository refused the stream, the COPY is still under way.
    await copy.return?.();
  }
}

async function* observed(
  context: CaptureContext,
  table: Relation,
  copy: AsyncIterator<Bytes>,
  first: Bytes,
  onChunk: (chunk: Bytes) => void,
): AsyncGenerator<Bytes, void, undefined> {
  const name = displayName(table);
  for (let chunk: Bytes | undefined = first; chunk !== undefined;) {
    onChunk(chunk);
    context.meter.read(chunk.byteLength, name);
    await context.pace(chunk.byteLength, context.signal);
    yield chunk;
    const next: IteratorResult<Bytes> = await copy.next();
    chunk = next.done === true ? undefined : next.value;
  }
  await requireUnchanged(context, table);
}

function countDiffers(table: Relation, received: bigint, sent: bigint | undefined): Error {
  return sourceError("row_count_differs", {
    message: `${received} rows of table ${displayName(table)}, the server counted ${sent ?? "none"}`,
    subject: { table: displayName(table) },
  });
}
