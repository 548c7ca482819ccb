import type { Bytes } from "../../kernel/index.ts";
import { restoreError } from "../errors.ts";

/**
 * The table of contents of a `pg_dump --format=custom` archive, read by its structure. Layout (PostgreSQL's
 * pg_backup_archiver.c, versions 1.12 to 1.16): head, then a count, then entries of integers (a sign byte and
 * `intSize` little-endian bytes) and strings (an integer length, negative for none, then bytes).
 */

export type Section = "none" | "pre-data" | "data" | "post-data";

export interface TocEntry {
  readonly dumpId: number;
  /** `TABLE`, `INDEX`, `FK CONSTRAINT`, …; a closed list of `pg_dump`, but not of ours. */
  readonly kind: string;
  /** Name of the object; of comments and grants `TABLE parts`. */
  readonly tag: string;
  readonly schema: string | undefined;
  readonly section: Section;
  /** SQL text of the source: runs as the builder only. */
  readonly definition: string;
  readonly owner: string;
  readonly tablespace: string | undefined;
  readonly accessMethod: string | undefined;
  readonly catalogOid: number;
  readonly oid: number;
  readonly dependencies: readonly number[];
}

export interface ArchiveToc {
  readonly formatVersion: string;
  readonly databaseName: string;
  readonly serverVersion: string;
  readonly dumpVersion: string;
  readonly entries: readonly TocEntry[];
}

const SECTIONS: readonly (Section | undefined)[] = [
  undefined,
  "none",
  "pre-data",
  "data",
  "post-data",
];
const OLDEST = 12;
const NEWEST = 16;
const FORMAT_CUSTOM = 1;
/** More than any real archive; a damaged count must not make us loop or allocate. */
const MAX_ENTRIES = 10_000_000;

export function parseArchiveToc(archive: Bytes): ArchiveToc {
  const cursor = new Cursor(archive);
  const head = readHead(cursor);
  const count = cursor.integer();
  if (count < 0 || count > MAX_ENTRIES) throw damaged(`${count} entries`);
  const entries: TocEntry[] = [];
  for (let index = 0; index < count; index += 1) entries.push(readEntry(cursor, head.minor));
  const { minor, ...named } = head;
  return { formatVersion: `1.${minor}`, ...named, entries };
}

function readHead(cursor: Cursor): Omit<ArchiveToc, "entries" | "formatVersion"> & {
  minor: number;
} {
  if (cursor.ascii(5) !== "PGDMP") throw damaged("no PGDMP at its start");
  const major = cursor.byte();
  const minor = cursor.byte();
  cursor.byte();
  if (major !== 1 || minor < OLDEST || minor > NEWEST) {
    throw restoreError("archive_unsupported", {
      message: `schema archive of format ${major}.${minor}`,
      subject: { oldest: `1.${OLDEST}`, newest: `1.${NEWEST}` },
    });
  }
  cursor.setSizes(cursor.byte(), cursor.byte());
  if (cursor.byte() !== FORMAT_CUSTOM) throw damaged("another archive format than custom");
  // 1.15 names the algorithm in a byte, before that a level stands here as an integer.
  if (minor >= 15) cursor.byte();
  else cursor.integer();
  // Seconds, minutes, hours, day, month, year, daylight saving.
  for (let field = 0; field < 7; field += 1) cursor.integer();
  return {
    minor,
    databaseName: cursor.text() ?? "",
    serverVersion: cursor.text() ?? "",
    dumpVersion: cursor.text() ?? "",
  };
}

function readEntry(cursor: Cursor, minor: number): TocEntry {
  const dumpId = cursor.integer();
  cursor.integer();
  const catalogOid = cursor.oid();
  const oid = cursor.oid();
  const tag = cursor.text() ?? "";
  const kind = cursor.text() ?? "";
  const section = SECTIONS[cursor.integer()];
  if (section === undefined) throw damaged(`entry ${dumpId} of an unknown section`);
  const definition = cursor.text() ?? "";
  cursor.text(); // What drops it.
  cursor.text(); // Its COPY statement.
  const schema = cursor.text();
  const tablespace = cursor.text();
  const accessMethod = minor >= 14 ? cursor.text() : undefined;
  if (minor >= 16) cursor.integer(); // relkind
  const owner = cursor.text() ?? "";
  cursor.text(); // "true" for tables WITH OIDS, before version 12.
  const dependencies = readDependencies(cursor);
  cursor.offset();
  return {
    dumpId,
    kind,
    tag,
    schema: emptyToNone(schema),
    section,
    definition,
    owner,
    tablespace: emptyToNone(tablespace),
    accessMethod: emptyToNone(accessMethod),
    catalogOid,
    oid,
    dependencies,
  };
}

function readDependencies(cursor: Cursor): readonly number[] {
  const dependencies: number[] = [];
  for (;;) {
    const text = cursor.text();
    if (text === undefined) return dependencies;
    dependencies.push(asNumber(text));
  }
}

function emptyToNone(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

function asNumber(text: string): number {
  if (!/^[0-9]{1,10}$/.test(text)) throw damaged("a number that is none");
  return Number(text);
}

function damaged(what: string): Error {
  return restoreError("archive_damaged", { message: `schema archive with ${what}` });
}

class Cursor {
  readonly #bytes: Buffer;
  #at = 0;
  #intSize = 4;
  #offsetSize = 8;

  constructor(bytes: Bytes) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  setSizes(intSize: number, offsetSize: number): void {
    if (intSize < 1 || intSize > 6) throw damaged(`integers of ${intSize} bytes`);
    this.#intSize = intSize;
    this.#offsetSize = offsetSize;
  }

  byte(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw damaged("an early end");
    this.#at += 1;
    return value;
  }

  ascii(size: number): string {
    return this.#take(size).toString("latin1");
  }

  integer(): number {
    const negative = this.byte() !== 0;
    const value = this.#take(this.#intSize).readUIntLE(0, this.#intSize);
    return negative ? -value : value;
  }

  text(): string | undefined {
    const size = this.integer();
    return size < 0 ? undefined : decode(this.#take(size));
  }

  oid(): number {
    return asNumber(this.text() ?? "");
  }

  offset(): void {
    this.#take(1 + this.#offsetSize);
  }

  #take(size: number): Buffer {
    const end = this.#at + size;
    if (end > this.#bytes.length) throw damaged("an early end");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw restoreError("archive_damaged", {
      message: "schema archive with a text that is not UTF-8",
      cause,
    });
  }
}
