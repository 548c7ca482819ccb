import { fromHex } from "../../kernel/index.ts";
import type { AppError, Bytes } from "../../kernel/index.ts";
import {
  addHashes,
  createRowHasher,
  createTableConverter,
  partPath,
  slicesOf,
  SQL_TAIL,
  sqlHead,
} from "../../manifest/index.ts";
import type { Manifest, TableConverter, TablePart } from "../../manifest/index.ts";
import { tableNameText } from "../../policy/index.ts";
import type { Repository, Snapshot, SnapshotReader } from "../../repository/index.ts";
import { orErased } from "../erased.ts";
import { operationError } from "../errors.ts";
import type { ChosenTable } from "./choose.ts";

/** Where the rows come from. */
export interface ExportSource {
  readonly repository: Repository;
  readonly snapshot: Snapshot;
  readonly reader: SnapshotReader;
  readonly manifest: Manifest;
  readonly signal: AbortSignal;
  readonly onBytes: (sizeBytes: number) => void;
}

/**
 * One table, converted while it is read. Every blob is compared with its hash, every part and the whole with the
 * manifest's sizes, counts and row hashes; a difference throws before the end of the output: SQL has no COMMIT then.
 */
export async function* tableContent(
  source: ExportSource,
  { manifest: table, converted, format }: ChosenTable,
): AsyncGenerator<Bytes, void, undefined> {
  const isSql = format === "copy" || format === "insert";
  const converter = createTableConverter(converted, format);
  if (isSql) yield Buffer.from(sqlHead(format));
  yield converter.head();
  const name = tableNameText(table);
  for (const part of table.parts)
    yield* partContent(source, converter, part, partPath(table, part));
  const end = converter.finish();
  compare(name, "rows", table.rows, String(converter.rows()));
  compare(name, "row hash", table.rowHash, addHashes(table.parts.map((part) => part.rowHash)));
  yield end;
  if (isSql) yield Buffer.from(SQL_TAIL);
}

async function* partContent(
  source: ExportSource,
  converter: TableConverter,
  part: TablePart,
  path: readonly string[],
): AsyncGenerator<Bytes, void, undefined> {
  const { repository, snapshot, reader, manifest, signal } = source;
  const hasher = createRowHasher(fromHex(manifest.rowHashKey), "text");
  const entry = await orErased(repository, snapshot, part.path, signal, () =>
    reader.find(snapshot, path, { signal }),
  );
  let sizeBytes = 0;
  for await (const chunk of reader.read(entry, { signal })) {
    sizeBytes += chunk.byteLength;
    hasher.update(chunk);
    for (const slice of slicesOf(chunk)) yield converter.push(slice);
    source.onBytes(chunk.byteLength);
  }
  const sum = hasher.finish();
  compare(part.path, "bytes", String(part.sizeBytes), String(sizeBytes));
  compare(part.path, "rows", part.rows, String(sum.rows));
  compare(part.path, "row hash", part.rowHash, sum.hash);
}

function compare(what: string, unit: string, expected: string, found: string): void {
  if (expected !== found) throw differs(`${what}: ${unit} ${found}, the manifest says ${expected}`);
}

function differs(message: string): AppError {
  return operationError("export_differs", { message });
}
