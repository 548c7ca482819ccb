import type { Bytes } from "../kernel/index.ts";
import { refuse } from "./answer.ts";
import type { Place } from "./answer.ts";
import type { SourceFile } from "./types.ts";

/**
 * The files of a `multipart/form-data` answer. A part called `metadata` is not a file; a part's path is its header
 * `Supabase-Path`, else its file name. Anything else is refused: a file that is passed over would be missing at a restore.
 */
const MAX_FILES = 10_000;
const BREAK = Buffer.from("\r\n");
const HEAD_END = Buffer.from("\r\n\r\n");

export function parseSourceFiles(
  body: Bytes,
  contentType: string,
  place: Place,
): readonly SourceFile[] {
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) throw refuse(place, "multipart/form-data with a boundary");
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const files: SourceFile[] = [];
  for (const part of partsOf(bytes, Buffer.from(`--${boundary}`), place)) {
    const file = fileOf(part, place);
    if (file === undefined) continue;
    if (files.some(({ path }) => path === file.path)) throw refuse(place, "a path only once");
    files.push(file);
    if (files.length > MAX_FILES) throw refuse(place, `at most ${MAX_FILES} files`);
  }
  if (files.length === 0) throw refuse(place, "at least one file");
  return files;
}

function boundaryOf(contentType: string): string | undefined {
  if (!/^multipart\/form-data\s*;/i.test(contentType)) return undefined;
  const [, quoted, plain] =
    /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType) ?? [];
  return quoted ?? plain;
}

function* partsOf(bytes: Buffer, delimiter: Buffer, place: Place): Iterable<Buffer> {
  let start = bytes.indexOf(delimiter);
  if (start !== 0 && !bytes.subarray(0, Math.max(0, start)).equals(BREAK))
    throw refuse(place, "a body that begins with its boundary");
  const separator = Buffer.concat([BREAK, delimiter]);
  start += delimiter.length;
  for (;;) {
    const mark = bytes.subarray(start, start + 2).toString("latin1");
    if (mark === "--") return;
    if (mark !== "\r\n") throw refuse(place, "a part after a boundary");
    const end = bytes.indexOf(separator, start);
    if (end < 0) throw refuse(place, "a body that ends with its boundary");
    yield bytes.subarray(start + 2, end);
    start = end + separator.length;
  }
}

function fileOf(part: Buffer, place: Place): SourceFile | undefined {
  const headEnd = part.indexOf(HEAD_END);
  if (headEnd < 0) throw refuse(place, "a part with headers");
  const headers = headersOf(part.subarray(0, headEnd).toString("utf8"));
  const disposition = headers.get("content-disposition") ?? "";
  const path = headers.get("supabase-path") ?? parameter(disposition, "filename");
  if (path === undefined || path === "") {
    if (parameter(disposition, "name") === "metadata") return undefined;
    throw refuse(place, "a part with a path");
  }
  return { path, bytes: part.subarray(headEnd + HEAD_END.length) };
}

function headersOf(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split("\r\n").flatMap((line) => {
      const [, name, value] = /^([A-Za-z-]+):\s*(.*)$/.exec(line) ?? [];
      return name === undefined || value === undefined
        ? []
        : [[name.toLowerCase(), value] as const];
    }),
  );
}

function parameter(disposition: string, name: string): string | undefined {
  const found = new RegExp(`;\\s*${name}="((?:[^"\\\\]|\\\\.)*)"`, "i").exec(disposition)?.[1];
  return found?.replaceAll(/\\(.)/g, "$1");
}
