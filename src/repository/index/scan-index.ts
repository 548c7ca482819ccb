import { toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { PackEntry } from "../pack/header.ts";

/**
 * Reads an index as restic and we write it (no white space, fields in one order, no field besides) straight from its bytes.
 * `JSON.parse` makes an object and two strings of every blob: for a million blobs that is most of a cold start. Whatever
 * looks otherwise is left to `parseIndex`, which decides what it is. docs/spec/repository.md §index
 */
export interface IndexVisitor {
  pack(id: string): void;
  /** `entry` and its id are used again for the next one. */
  blob(entry: PackEntry): void;
}

const OPEN = text(`{"packs":[`);
const PACK = text(`{"id":"`);
const BLOBS = text(`","blobs":[`);
const BLOB = text(`{"id":"`);
const DATA = text(`","type":"data","offset":`);
const TREE = text(`","type":"tree","offset":`);
const LENGTH = text(`,"length":`);
const PLAIN = text(`,"uncompressed_length":`);
const COMMA = 0x2c;
const BRACKET = 0x5d;
const BRACE = 0x7d;
const MAX_U32 = 0xffff_ffff;

function text(literal: string): Bytes {
  return Buffer.from(literal, "latin1");
}

/** By byte: the digit's value, or 255. restic refuses capital letters in ids no less than we do. */
const HEX = new Uint8Array(256).fill(255);
for (let value = 0; value < 16; value += 1) HEX["0123456789abcdef".charCodeAt(value)] = value;

/** False: of another form; what was visited until then must be forgotten. */
export function scanIndex(json: Bytes, visitor: IndexVisitor): boolean {
  const cursor = new Cursor(json);
  if (!cursor.literal(OPEN)) return false;
  do {
    if (!scanPack(cursor, visitor)) return false;
  } while (cursor.byte(COMMA));
  return cursor.byte(BRACKET) && cursor.byte(BRACE) && cursor.atEnd;
}

function scanPack(cursor: Cursor, visitor: IndexVisitor): boolean {
  if (!cursor.literal(PACK) || !cursor.id()) return false;
  visitor.pack(toHex(cursor.idBytes));
  if (!cursor.literal(BLOBS)) return false;
  do {
    const entry = scanBlob(cursor);
    if (entry === undefined) return false;
    visitor.blob(entry);
  } while (cursor.byte(COMMA));
  return cursor.byte(BRACKET) && cursor.byte(BRACE);
}

function scanBlob(cursor: Cursor): PackEntry | undefined {
  if (!cursor.literal(BLOB) || !cursor.id()) return undefined;
  const type = cursor.literal(DATA) ? "data" : cursor.literal(TREE) ? "tree" : undefined;
  const offset = cursor.number();
  if (type === undefined || offset < 0 || !cursor.literal(LENGTH)) return undefined;
  const lengthBytes = cursor.number();
  const plainBytes = cursor.literal(PLAIN) ? cursor.number() : 0;
  if (lengthBytes < 0 || plainBytes < 0 || !cursor.byte(BRACE)) return undefined;
  const place = { id: cursor.idBytes, type, offset, lengthBytes } as const;
  return plainBytes === 0 ? place : { ...place, plainBytes };
}

class Cursor {
  /** Of the id that was read last. */
  readonly idBytes = new Uint8Array(32);
  readonly #json: Bytes;
  #at = 0;

  constructor(json: Bytes) {
    this.#json = json;
  }

  get atEnd(): boolean {
    return this.#at === this.#json.byteLength;
  }

  byte(wanted: number): boolean {
    if (this.#json[this.#at] !== wanted) return false;
    this.#at += 1;
    return true;
  }

  literal(wanted: Bytes): boolean {
    const json = this.#json;
    const at = this.#at;
    for (let i = 0; i < wanted.length; i += 1) if (json[at + i] !== wanted[i]) return false;
    this.#at = at + wanted.length;
    return true;
  }

  id(): boolean {
    const json = this.#json;
    const at = this.#at;
    if (at + 64 > json.length) return false;
    let bad = 0;
    for (let i = 0; i < 32; i += 1) {
      const high = HEX[json[at + 2 * i] ?? 0] ?? 255;
      const low = HEX[json[at + 2 * i + 1] ?? 0] ?? 255;
      bad |= high | low;
      this.idBytes[i] = (high << 4) | low;
    }
    if (bad > 15) return false;
    this.#at = at + 64;
    return true;
  }

  /** −1: no number of 32 bits as Go writes it. */
  number(): number {
    const json = this.#json;
    const from = this.#at;
    let at = from;
    let value = 0;
    for (let digit = json[at] ?? 0; digit >= 0x30 && digit <= 0x39; digit = json[at] ?? 0) {
      value = value * 10 + digit - 0x30;
      if (value > MAX_U32) return -1;
      at += 1;
    }
    if (at === from || (json[from] === 0x30 && at - from > 1)) return -1;
    this.#at = at;
    return value;
  }
}
