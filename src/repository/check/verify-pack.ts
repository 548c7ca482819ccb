import { hash } from "node:crypto";
import { equalBytes } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { SealKeys } from "../crypto/master-key.ts";
import { openBytes } from "../crypto/sealed.ts";
import { HEADER_LENGTH_BYTES } from "../pack/header.ts";
import { blobIdOf, MAX_PLAIN_BYTES } from "../seal.ts";
import type { BlobCodec } from "../seal.ts";

/**
 * A whole pack against what an index says of it: pure, on the main thread and in workers alike. What is told are facts;
 * whoever asked makes findings of them.
 */

/** What an index says of one pack's blobs, in flat arrays that travel to a thread without a copy. */
export interface BlobTable {
  /** 32 bytes each. */
  readonly ids: Bytes;
  /** Offset, sealed length and plain length (0: not compressed) of each. */
  readonly places: Uint32Array;
}

export interface PackVerdict {
  readonly nameFits: boolean;
  /** The opened header; absent where there is none that opens. */
  readonly header?: Bytes;
  /** 1 for each blob of the table that is not what its id says. */
  readonly damaged: Uint8Array;
}

/** A header longer than any pack of ours or restic's has is no header: it is not even tried. */
export const MAX_HEADER_BYTES = 64 * 1024 * 1024;

export interface VerifyWith {
  readonly keys: SealKeys;
  readonly codec: Pick<BlobCodec, "decompress">;
  /** Called now and then: what was opened since is dead. */
  readonly pause?: () => void;
}

const PAUSE_BYTES = 2 * 1024 * 1024;

export function verifyPack(
  pack: Bytes,
  name: string,
  table: BlobTable,
  tools: VerifyWith,
): PackVerdict {
  const header = openHeader(pack, tools.keys);
  return {
    nameFits: hash("sha256", pack, "hex") === name,
    damaged: damagedBlobs(pack, table, tools),
    ...(header === undefined ? {} : { header }),
  };
}

function openHeader(pack: Bytes, keys: SealKeys): Bytes | undefined {
  const range = headerRange(pack.byteLength, pack.subarray(-HEADER_LENGTH_BYTES));
  if (range === undefined) return undefined;
  return openBytes(pack.subarray(range.offset, range.offset + range.length), keys);
}

/** Where the sealed header of a pack lies whose last bytes are these, or `undefined` where none can. */
export function headerRange(
  sizeBytes: number,
  tail: Bytes,
): { readonly offset: number; readonly length: number } | undefined {
  if (sizeBytes < HEADER_LENGTH_BYTES || tail.byteLength < HEADER_LENGTH_BYTES) return undefined;
  const end = tail.byteLength - HEADER_LENGTH_BYTES;
  const length = Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength).readUInt32LE(end);
  const offset = sizeBytes - HEADER_LENGTH_BYTES - length;
  return offset < 0 || length > MAX_HEADER_BYTES ? undefined : { offset, length };
}

function damagedBlobs(
  pack: Bytes,
  { ids, places }: BlobTable,
  { keys, codec, pause }: VerifyWith,
): Uint8Array {
  const damaged = new Uint8Array(places.length / 3);
  let sincePause = 0;
  for (let i = 0; i < damaged.length; i += 1) {
    const [offset = 0, lengthBytes = 0, plainBytes = 0] = places.subarray(i * 3, i * 3 + 3);
    const sealed = pack.subarray(offset, offset + lengthBytes);
    const opened = sealed.byteLength === lengthBytes ? openBytes(sealed, keys) : undefined;
    const plain = opened === undefined ? undefined : plainOf(opened, plainBytes, codec);
    const id = ids.subarray(i * 32, i * 32 + 32);
    if (plain === undefined || !equalBytes(blobIdOf(plain), id)) damaged[i] = 1;
    sincePause += lengthBytes;
    if (sincePause < PAUSE_BYTES) continue;
    sincePause = 0;
    pause?.();
  }
  return damaged;
}

function plainOf(
  opened: Bytes,
  plainBytes: number,
  codec: Pick<BlobCodec, "decompress">,
): Bytes | undefined {
  if (plainBytes === 0) return opened;
  if (plainBytes > MAX_PLAIN_BYTES) return undefined;
  const plain = codec.decompress(opened, plainBytes);
  return plain?.byteLength === plainBytes ? plain : undefined;
}
