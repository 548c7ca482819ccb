import { hkdfSync } from "node:crypto";
import type { Bytes } from "../../kernel/index.ts";
import type { EntryKind } from "../types.ts";

/**
 * 256 words of 64 bits, little-endian: HKDF-SHA256 of the repository's chunker secret, no salt, 2048 bytes. Cut points
 * follow from the secret, so the lengths of chunks do not tell which known file they are.
 */
export function gearTable(secret: Bytes, kind: EntryKind): Bytes {
  return new Uint8Array(hkdfSync("sha256", secret, "", `sparekeep chunker gear64/1 ${kind}`, 2048));
}
