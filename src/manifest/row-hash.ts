import type { Bytes } from "../kernel/index.ts";

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
