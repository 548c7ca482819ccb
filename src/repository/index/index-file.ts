import { fromHex, toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { arrayOf, countOf, hexIdOf, objectOf, parseJson } from "../json.ts";
import type { PackEntry } from "../pack/header.ts";

/** An index file lists packs and their blobs, as pack headers do, in JSON. docs/spec/repository.md §index */

export interface IndexedPack {
  readonly id: string;
  readonly entries: readonly PackEntry[];
}

const MAX_U32 = 0xffff_ffff;

/** Pack by pack, so that of the packs' entries one list at a time is in memory. */
export function formatIndex(packs: Iterable<IndexedPack>): Bytes {
  const parts: Bytes[] = [];
  for (const { id, entries } of packs) {
    const blobs = entries.map(formatBlob).join(",");
    parts.push(Buffer.from(`${parts.length === 0 ? "" : ","}{"id":"${id}","blobs":[${blobs}]}`));
  }
  return Buffer.concat([Buffer.from(`{"packs":[`), ...parts, Buffer.from("]}")]);
}

function formatBlob({ id, type, offset, lengthBytes, plainBytes }: PackEntry): string {
  const place = `"offset":${offset},"length":${lengthBytes}`;
  const plain = plainBytes === undefined ? "" : `,"uncompressed_length":${plainBytes}`;
  return `{"id":"${toHex(id)}","type":"${type}",${place}${plain}}`;
}

/** `undefined` when it is no index. `packs: null` is Go's empty list. */
export function parseIndex(json: Bytes): readonly IndexedPack[] | undefined {
  const fields = objectOf(parseJson(json));
  if (fields === undefined) return undefined;
  if (fields["packs"] === null) return [];
  const list = arrayOf(fields["packs"]);
  if (list === undefined) return undefined;
  const packs: IndexedPack[] = [];
  for (const item of list) {
    const pack = parsePack(item);
    if (pack === undefined) return undefined;
    packs.push(pack);
  }
  return packs;
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
