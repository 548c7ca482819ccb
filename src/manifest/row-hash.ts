import { toHex } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { blake3Keyed } from "./blake3.ts";
import { createBinaryRows, createTextRows } from "./copy-rows.ts";

/**
 * Sum modulo 2^256 of BLAKE3 (keyed, 32-byte output) of each row: order does not matter, duplicates count, sums of
 * parts add up (engine-traps 7). A text row is its COPY line without the newline; a binary row is its tuple bytes
 * (field count included), the file header and trailer left out.
 */
export interface RowHasher {
  /** Any cut of the COPY stream; rows may span calls. */
  update(chunk: Bytes): void;
  /** Rows complete so far and their sum. A stream that ends inside a row throws `manifest.truncated_copy`. */
  finish(): RowSum;
}

export interface RowSum {
  readonly rows: bigint;
  /** 64 lower-case hex digits, big-endian. */
  readonly hash: string;
}

export type CreateRowHasher = (key: Bytes, format: "text" | "binary") => RowHasher;

const SUM_WORDS = 8;

export const createRowHasher: CreateRowHasher = (key, format) => {
  const copyRows = format === "text" ? createTextRows() : createBinaryRows();
  const sum = new Uint32Array(SUM_WORDS);
  let rows = 0n;
  const onRow = (row: Bytes): void => {
    addHash(sum, blake3Keyed(key, row));
    rows += 1n;
  };
  return {
    update: (chunk) => copyRows.push(chunk, onRow),
    finish: () => {
      copyRows.finish();
      return { rows, hash: sumHex(sum) };
    },
  };
};

/** The hash is read as a big-endian number; `sum` holds its words, least significant first. */
function addHash(sum: Uint32Array, hash: Bytes): void {
  const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength);
  let carry = 0;
  for (let i = 0; i < SUM_WORDS; i += 1) {
    const word = (sum[i] ?? 0) + view.getUint32(4 * (SUM_WORDS - 1 - i)) + carry;
    sum[i] = word;
    carry = word > 0xffffffff ? 1 : 0;
  }
}

function sumHex(sum: Uint32Array): string {
  const bytes = new Uint8Array(4 * SUM_WORDS);
  const view = new DataView(bytes.buffer);
  sum.forEach((word, i) => view.setUint32(4 * (SUM_WORDS - 1 - i), word));
  return toHex(bytes);
}
