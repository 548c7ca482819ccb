import { hash } from "node:crypto";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { equalBytes, MIB } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import type { SealKeys } from "./crypto/master-key.ts";
import { openBytes, sealBytes } from "./crypto/sealed.ts";
import { repositoryError } from "./errors.ts";

/** Pure functions over one blob: compress, seal, open. They run on the main thread and in workers alike. */

export type BlobType = "data" | "tree";

export interface SealedBlob {
  readonly bytes: Bytes;
  readonly plainBytes: number;
  /** Whether what was sealed is zstd; the pack header and the index then state `plainBytes`. */
  readonly compressed: boolean;
}

/**
 * What a compressed blob may become: an index may claim 4 GiB of a few bytes. The largest tree seen of a real folder was
 * 153 MB; restic cuts data at 8 MiB.
 */
export const MAX_PLAIN_BYTES = 256 * 1024 * 1024;

export function blobIdOf(plain: Bytes): Bytes {
  return hash("sha256", plain, "buffer");
}

/** How blobs are compressed; what either gives may be valid only until the next call. */
export interface BlobCodec {
  compress(plain: Bytes): Bytes;
  /** `undefined` when it is no zstd, or not of `plainBytes`. */
  decompress(packed: Bytes, plainBytes: number): Bytes | undefined;
}

export function sealBlob(
  plain: Bytes,
  type: BlobType,
  keys: SealKeys,
  level: number,
  iv: Bytes,
): SealedBlob {
  return sealWith(
    { compress: (bytes) => compress(bytes, level), decompress },
    plain,
    type,
    keys,
    iv,
  );
}

/**
 * Sealed and opened again before it is returned: decrypted, decompressed and compared byte by byte, which finds what a
 * faulty processor or memory did for less than a second SHA-256 costs. Trees are always compressed, as restic does;
 * data only where that makes it smaller.
 */
export function sealWith(
  codec: BlobCodec,
  plain: Bytes,
  type: BlobType,
  keys: SealKeys,
  iv: Bytes,
): SealedBlob {
  const packed = codec.compress(plain);
  const compressed = type === "tree" || packed.byteLength < plain.byteLength;
  const bytes = sealBytes(compressed ? packed : plain, keys, iv);
  const opened = openBytes(bytes, keys);
  const reopened =
    opened !== undefined && compressed ? codec.decompress(opened, plain.byteLength) : opened;
  if (reopened === undefined || !equalBytes(reopened, plain)) {
    throw repositoryError("seal_mismatch", {
      message: `sealed ${type} blob of ${plain.byteLength} bytes that opens to something else`,
    });
  }
  return { bytes, plainBytes: plain.byteLength, compressed };
}

/** `plainBytes` of a compressed blob; `undefined` for one stored as it is. `undefined` back: MAC or zstd do not fit. */
export function openBlob(
  sealed: Bytes,
  plainBytes: number | undefined,
  keys: SealKeys,
  codec: Pick<BlobCodec, "decompress"> = { decompress },
): Bytes | undefined {
  const opened = openBytes(sealed, keys);
  if (opened === undefined || plainBytes === undefined) return opened;
  if (plainBytes > MAX_PLAIN_BYTES) return undefined;
  const plain = codec.decompress(opened, plainBytes);
  return plain?.byteLength === plainBytes ? plain : undefined;
}

export function compress(plain: Bytes, level: number): Bytes {
  return zstdCompressSync(plain, {
    chunkSize: Math.max(1024, plain.byteLength + (plain.byteLength >> 7) + 512),
    // Stated in the frame, as restic does, and tables no larger than the content needs.
    pledgedSrcSize: plain.byteLength,
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
}

/** `undefined` when it is no zstd, or grows beyond `limitBytes`: a bomb is stopped where it starts to grow. */
export function decompress(packed: Bytes, limitBytes: number): Bytes | undefined {
  try {
    const limit = Math.max(1, limitBytes);
    const stated = statedBytes(packed) ?? 4 * packed.byteLength;
    // A frame may say anything: never more room at once than the input deserves.
    const expected = Math.min(limit, stated, 64 * packed.byteLength, LARGEST_ROOM);
    return zstdDecompressSync(packed, {
      // One byte more than is expected: a room that is filled to its end makes zlib take another one.
      chunkSize: Math.max(1024, expected + 1),
      maxOutputLength: limit,
    });
  } catch {
    // zlib throws only for input that is not what it should be; the caller names the damaged thing.
    return undefined;
  }
}

/** Taken at once, before anything is known of what really comes. */
const LARGEST_ROOM = 64 * MIB;
const ZSTD_MAGIC = 0xfd2f_b528;

/** What the first frame says of its content's size, if it does: RFC 8878 §3.1.1. Not to be trusted. */
function statedBytes(packed: Bytes): number | undefined {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (view.byteLength < 18 || view.getUint32(0, true) !== ZSTD_MAGIC) return undefined;
  const descriptor = view.getUint8(4);
  const single = (descriptor >> 5) & 1;
  const at = 5 + (1 - single) + ([0, 1, 2, 4][descriptor & 3] ?? 0);
  switch (descriptor >> 6) {
    case 0:
      return single === 1 ? view.getUint8(at) : undefined;
    case 1:
      return view.getUint16(at, true) + 256;
    case 2:
      return view.getUint32(at, true);
    default:
      return Number(view.getBigUint64(at, true));
  }
}
