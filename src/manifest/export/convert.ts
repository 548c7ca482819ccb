import type { Bytes } from "../../kernel/index.ts";
import { createCopyTextReader } from "./copy-text.ts";
import type { RowSink } from "./copy-text.ts";
import { csvHead, csvSink } from "./csv.ts";
import { jsonLinesSink } from "./json-lines.ts";
import { OutputBuffer } from "./output-buffer.ts";
import { COPY_TAIL, copyHead, copySink, insertSink } from "./sql.ts";
import { createUtf8Guard } from "./utf8-guard.ts";

/**
 * A table's COPY text as something else, in bounded memory:
 *
 * 1. the stream is taken apart into values (`copy-text.ts`)
 * 2. columns that were not asked for are passed over
 * 3. the sink of the format writes each value as it comes
 */

export type TableFormat = "csv" | "jsonl" | "copy" | "insert";

export interface ConvertedTable {
  readonly schema: string;
  readonly name: string;
  /** All, in COPY order. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Names of those that are wanted; all where left out. They stand in the table's order. */
  readonly wanted?: ReadonlySet<string>;
}

export interface TableConverter {
  /** What comes before the first row. */
  head(): Bytes;
  /** Any cut of the COPY text, the parts one after the other. What is given back is the caller's. */
  push(chunk: Bytes): Bytes;
  /** What comes after the last row. A stream that ends inside a row throws `manifest.truncated_copy`. */
  finish(): Bytes;
  rows(): bigint;
}

/** Bounds the output of one step: JSON may take six bytes for one. */
const SLICE_BYTES = 256 * 1024;

export function createTableConverter(table: ConvertedTable, format: TableFormat): TableConverter {
  const output = new OutputBuffer();
  const { wanted } = table;
  const picked = table.columns.map(({ name }) => wanted === undefined || wanted.has(name));
  const columns = table.columns.filter((_, index) => picked[index]);
  const names = columns.map(({ name }) => name);
  const sink = sinkOf(format, output, table, columns);
  const reader = createCopyTextReader(
    table.columns.length,
    columns.length === table.columns.length ? sink : picking(sink, picked),
  );
  const guard = format === "jsonl" ? createUtf8Guard() : undefined;
  return {
    head() {
      if (format === "csv") csvHead(output, names);
      if (format === "copy") output.all(Buffer.from(copyHead(table, names)));
      return output.take();
    },
    push(chunk) {
      guard?.push(chunk);
      reader.push(chunk);
      return output.take();
    },
    finish() {
      guard?.finish();
      reader.finish();
      if (format === "copy") output.all(Buffer.from(COPY_TAIL));
      return output.take();
    },
    rows: () => reader.rows(),
  };
}

/** Cuts large chunks, so that what each becomes stays small. */
export function* slicesOf(chunk: Bytes): Generator<Bytes, void, undefined> {
  for (let at = 0; at < chunk.byteLength; at += SLICE_BYTES) {
    yield chunk.subarray(at, at + SLICE_BYTES);
  }
}

function sinkOf(
  format: TableFormat,
  output: OutputBuffer,
  table: ConvertedTable,
  columns: ConvertedTable["columns"],
): RowSink {
  const names = columns.map(({ name }) => name);
  const sinks: Readonly<Record<TableFormat, () => RowSink>> = {
    csv: () => csvSink(output, names),
    jsonl: () => jsonLinesSink(output, columns),
    copy: () => copySink(output),
    insert: () => insertSink(output, table, names),
  };
  return sinks[format]();
}

function picking(inner: RowSink, picked: readonly boolean[]): RowSink {
  let index = 0;
  return {
    value(bytes, start, end) {
      if (picked[index] === true) inner.value(bytes, start, end);
    },
    endValue(isNull) {
      if (picked[index] === true) inner.endValue(isNull);
      index += 1;
    },
    endRow() {
      inner.endRow();
      index = 0;
    },
  };
}
