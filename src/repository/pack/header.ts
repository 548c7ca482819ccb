import type { Bytes } from "../../kernel/index.ts";
import { SEAL_OVERHEAD_BYTES } from "../crypto/sealed.ts";
import type { BlobType } from "../seal.ts";

/**
 * A pack is blob ‖ blob ‖ … ‖ sealed header ‖ u32le length of the sealed header. A header entry is
 * type u8 (0 data, 1 tree, 2 data in zstd, 3 tree in zstd) ‖ u32le sealed length ‖ [u32le plain length, for 2 and 3] ‖
 * SHA-256(32). Entries stand in the order of the blobs. docs/spec/repository.md §pack
 */
export const PACK_TARGET_BYTES = 16 * 1024 * 1024;
export const HEADER_LENGTH_BYTES = 4;
const PLAIN_ENTRY_BYTES = 37;
const COMPRESSED_ENTRY_BYTES = 41;

export interface PackEntry {
  readonly id: Bytes;
  readonly type: BlobType;
  readonly offset: number;
  /** Sealed. */
  readonly lengthBytes: number;
  /** Only of a compressed blob. */
  readonly plainBytes?: number;
}

export function headerEntryBytes(compressed: boolean): number {
  return compressed ? COMPRESSED_ENTRY_BYTES : PLAIN_ENTRY_BYTES;
}

/** What a pack of these entries weighs besides its blobs. */
export function packOverheadBytes(headerBytes: number): number {
  return headerBytes + SEAL_OVERHEAD_BYTES + HEADER_LENGTH_BYTES;
}

export function formatHeaderEntry(entry: Omit<PackEntry, "offset">): Bytes {
  const compressed = entry.plainBytes !== undefined;
  const out = Buffer.allocUnsafe(headerEntryBytes(compressed));
  out[0] = (entry.type === "tree" ? 1 : 0) + (compressed ? 2 : 0);
  out.writeUInt32LE(entry.lengthBytes, 1);
  if (entry.plainBytes !== undefined) out.writeUInt32LE(entry.plainBytes, 5);
  out.set(entry.id, out.byteLength - 32);
  return out;
}

/** `undefined` when the bytes are no header. */
export function parseHeader(header: Bytes): readonly PackEntry[] | undefined {
  const view = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
  const entries: PackEntry[] = [];
  let at = 0;
  let offset = 0;
  while (at < view.byteLength) {
    const kind = view[at] ?? 0;
    const compressed = kind >= 2;
    const size = headerEntryBytes(compressed);
    if (kind > 3 || at + size > view.byteLength) return undefined;
    const lengthBytes = view.readUInt32LE(at + 1);
    const type = kind % 2 === 1 ? "tree" : "data";
    const id = view.subarray(at + size - 32, at + size);
    const plain = compressed ? { plainBytes: view.readUInt32LE(at + 5) } : {};
    entries.push({ id, type, offset, lengthBytes, ...plain });
    offset += lengthBytes;
    at += size;
  }
  return entries;
}
