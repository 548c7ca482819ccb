/**
 * The rows of a table for other programs, in the same snapshot and from the very stream that is captured: it is read
 * once, chunk by chunk, by whoever stores the part and by whoever converts it.
 */
import { AppError } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { createTableConverter, slicesOf, storedExportPath } from "../../manifest/index.ts";
import type { TableConverter, TableExport } from "../../manifest/index.ts";
import type { EntryKind, EntryPath } from "../../repository/index.ts";
import type { CaptureContext } from "./context.ts";
import { fanOut } from "./fan-out.ts";
import { captureIssue, displayName } from "./issues.ts";
import type { Relation } from "./relations.ts";
import type { CaptureIssue, CaptureOptions } from "./types.ts";

type Format = TableExport["format"];

/** With the rows that were written into it. */
export interface SavedExport extends TableExport {
  readonly rows: bigint;
}

export interface ExportsOfPart {
  readonly exports: readonly SavedExport[];
  readonly exportIssues: readonly CaptureIssue[];
}

interface ExportRequest {
  readonly table: Relation;
  readonly chunks: EntryKind;
}

type OnStored = (path: EntryPath) => void;

/** Of a table that is stored as text; what text cannot carry is an issue of its own (`copy-tables.ts`). */
export function exportFormats(
  { only }: Pick<CaptureOptions, "only">,
  { format }: { readonly format: "text" | "binary" },
): readonly Format[] {
  return format === "text" ? (only?.formats ?? []) : [];
}

/** An empty COPY: a file all the same, for whoever expects one. */
export async function* noRows(): AsyncGenerator<Bytes, void, undefined> {}

export async function saveExports(
  context: CaptureContext,
  request: ExportRequest,
  formats: readonly Format[],
  content: AsyncIterator<Bytes, void, undefined>,
  onStored: OnStored,
): Promise<ExportsOfPart> {
  const read = async (chunks: AsyncIterable<Bytes>): Promise<void> => {
    for await (const _chunk of chunks) continue;
  };
  const { exports, exportIssues } = await saveWithExports(
    context,
    request,
    formats,
    content,
    read,
    onStored,
  );
  return { exports, exportIssues };
}

/** `save` and each export see every chunk. Where `save` fails its error counts: the exports fail of the same. */
export async function saveWithExports<Saved>(
  context: CaptureContext,
  request: ExportRequest,
  formats: readonly Format[],
  content: AsyncIterator<Bytes, void, undefined>,
  save: (chunks: AsyncIterable<Bytes>) => Promise<Saved>,
  onStored: OnStored,
): Promise<ExportsOfPart & { readonly saved: Saved }> {
  const [own, ...readers] = fanOut(content, 1 + formats.length);
  if (own === undefined) throw new TypeError("a stream without a reader");
  const exporting = readers.map(({ chunks, leave }, index) =>
    saveExport(context, request, formats[index] ?? "csv", chunks, onStored).finally(leave),
  );
  const [saved] = await Promise.allSettled([save(own.chunks).finally(own.leave)]);
  // Nothing of this table is under way when its owner hears of an error.
  const ended = await Promise.allSettled(exporting);
  if (saved.status === "rejected") throw saved.reason;
  const exports: SavedExport[] = [];
  const exportIssues: CaptureIssue[] = [];
  for (const one of ended) {
    if (one.status === "fulfilled") exports.push(one.value);
    else exportIssues.push(issueOf(one.reason, request.table));
  }
  return { saved: saved.value, exports, exportIssues };
}

async function saveExport(
  context: CaptureContext,
  { table, chunks: kind }: ExportRequest,
  format: Format,
  chunks: AsyncIterable<Bytes>,
  onStored: OnStored,
): Promise<SavedExport> {
  const path = storedExportPath(table, format);
  const converter = createTableConverter(table, format);
  const saved = await context.writer.saveFile(path, converted(converter, chunks), {
    kind,
    modifiedAt: context.takenAt,
  });
  onStored(path);
  const { sizeBytes, sha256 } = saved;
  return { format, path: path.join("/"), sizeBytes, sha256, rows: converter.rows() };
}

async function* converted(
  converter: TableConverter,
  chunks: AsyncIterable<Bytes>,
): AsyncGenerator<Bytes, void, undefined> {
  yield converter.head();
  for await (const chunk of chunks) {
    for (const slice of slicesOf(chunk)) yield converter.push(slice);
  }
  yield converter.finish();
}

/** Bytes that JSON cannot hold are the export's alone; anything else is the run's. */
function issueOf(reason: unknown, table: Relation): CaptureIssue {
  if (!(reason instanceof AppError) || reason.code !== "manifest.not_utf8") throw reason;
  return captureIssue(
    "export_failed",
    displayName(table),
    `table ${displayName(table)}: ${reason.message}`,
  );
}
