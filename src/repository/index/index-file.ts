import { fromHex, toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { arrayOf, countOf, hexIdOf, objectOf, parseJson, stringOf, timeOf } from "../json.ts";
import type { PackEntry } from "../pack/header.ts";
import { goTime } from "../tree/go-json.ts";

/** An index file lists packs and their blobs, as pack headers do, in JSON. docs/spec/repository.md §index */

export interface IndexedPack {
  readonly id: string;
  readonly entries: readonly PackEntry[];
}

/** No longer needed when it was marked; removed after a grace period. rustic's `packs_to_delete`, which restic passes over. */
export interface MarkedPack extends IndexedPack {
  /** By the store's clock; `undefined` where the mark does not say, or says it in another way. */
  readonly markedAt?: Date;
}

export interface IndexFile {
  readonly packs: readonly IndexedPack[];
  readonly marked: readonly MarkedPack[];
}

const MAX_U32 = 0xffff_ffff;

/** Pack by pack, so that of the packs' entries one list at a time is in memory. */
export function formatIndex(
  packs: Iterable<IndexedPack>,
  marked: Iterable<MarkedPack> = [],
): Bytes {
  return joinIndex(Array.from(packs, formatPack), Array.from(marked, formatPack));
}

/** What `formatPack` gave, as one file. */
export function joinIndex(packs: readonly Bytes[], marked: readonly Bytes[]): Bytes {
  const comma = Buffer.from(",");
  const listed = (parts: readonly Bytes[]): Bytes[] =>
    parts.flatMap((part, i) => (i === 0 ? [part] : [comma, part]));
  const marks =
    marked.length === 0 ? [] : [Buffer.from(`],"packs_to_delete":[`), ...listed(marked)];
  return Buffer.concat([Buffer.from(`{"packs":[`), ...listed(packs), ...marks, Buffer.from("]}")]);
}

export function formatPack({ id, entries, markedAt }: MarkedPack): Bytes {
  const time = markedAt === undefined ? "" : `,"time":${goTime(markedAt)}`;
  return Buffer.from(`{"id":"${id}","blobs":[${entries.map(formatBlob).join(",")}]${time}}`);
}

function formatBlob({ id, type, offset, lengthBytes, plainBytes }: PackEntry): string {
  const place = `"offset":${offset},"length":${lengthBytes}`;
  const plain = plainBytes === undefined ? "" : `,"uncompressed_length":${plainBytes}`;
  return `{"id":"${toHex(id)}","type":"${type}",${place}${plain}}`;
}

/** The packs that count as stored, without those that are marked. `undefined` when it is no index. */
export function parseIndex(json: Bytes): readonly IndexedPack[] | undefined {
  return parseIndexFile(json)?.packs;
}

/** `undefined` when it is no index. `packs: null` is Go's empty list. */
export function parseIndexFile(json: Bytes): IndexFile | undefined {
  const fields = objectOf(parseJson(json));
  if (fields === undefined) return undefined;
  const packs = parsePacks(fields["packs"], parsePack);
  const marked = parsePacks(fields["packs_to_delete"] ?? null, parseMarked);
  return packs === undefined || marked === undefined ? undefined : { packs, marked };
}

function parsePacks<Pack>(
  value: unknown,
  parse: (item: unknown) => Pack | undefined,
): readonly Pack[] | undefined {
  if (value === null) return [];
  const list = arrayOf(value);
  if (list === undefined) return undefined;
  const packs: Pack[] = [];
  for (const item of list) {
    const pack = parse(item);
    if (pack === undefined) return undefined;
    packs.push(pack);
  }
  return packs;
}

/** A time zone's name in brackets after the time, as some writers add it, says nothing more. */
function parseMarked(value: unknown): MarkedPack | undefined {
  const pack = parsePack(value);
  if (pack === undefined) return undefined;
  const time = stringOf(objectOf(value)?.["time"]);
  const markedAt = timeOf(time?.replace(/\[[^\]]*\]$/, ""));
  return markedAt === undefined ? pack : { ...pack, markedAt };
}

function parsePack(value: unknown): IndexedPack | undefined {
  const fields = objectOf(value);
  const id = hexIdOf(fields?.["id"]);
  const blobs = arrayOf(fields?.["blobs"]);
  if (id === undefined || blobs === undefined) return undefined;
  const entries: PackEntry[] = [];
  for (const blob of blobs) {
    const entry = parseBlob(blob);
    if (entry === undefined) return undefined;
    entries.push(entry);
  }
  return { id, entries };
}

function parseBlob(value: unknown): PackEntry | undefined {
  const fields = objectOf(value);
  const id = hexIdOf(fields?.["id"]);
  const type = fields?.["type"];
  const offset = countOf(fields?.["offset"], MAX_U32);
  const lengthBytes = countOf(fields?.["length"], MAX_U32);
  const plain = fields?.["uncompressed_length"];
  const plainBytes = plain === undefined ? 0 : countOf(plain, MAX_U32);
  if (id === undefined || offset === undefined || lengthBytes === undefined) return undefined;
  if (plainBytes === undefined || (type !== "data" && type !== "tree")) return undefined;
  const place = { id: fromHex(id), type, offset, lengthBytes } as const;
  return plainBytes === 0 ? place : { ...place, plainBytes };
}
