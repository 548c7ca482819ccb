import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import type { ZstdCompress, ZstdDecompress } from "node:zlib";
import { MIB } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { compress, decompress } from "./seal.ts";
import type { BlobCodec } from "./seal.ts";

/**
 * Compression of many blobs in one zstd context each way. `zstdCompressSync` makes and throws away a stream object, a
 * context and a buffer for every call: for a blob of 64 KiB that is a quarter of its time, and of decompression a half.
 *
 * Node keeps a context alive for its streams only, so this writes to a stream's own handle, which Node does not document.
 * Where the handle looks different the documented calls are used, and every result is decompressed and compared before
 * it leaves (sealWith), so that a handle that behaves differently is an error and never a damaged blob.
 */
const LARGEST_BYTES = 16 * MIB;

/** What it returns is valid until its next call. */
export function createZstdSession(level: number): BlobCodec {
  const packing = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level } });
  const packer = contextOf(packing);
  let packedRoom = Buffer.alloc(0);
  return {
    ...createZstdOpener(),
    compress(plain) {
      const roomBytes = plain.byteLength + (plain.byteLength >> 7) + 1024;
      if (packer === undefined || !fits(plain.byteLength)) return compress(plain, level);
      if (packedRoom.byteLength < roomBytes) packedRoom = Buffer.allocUnsafeSlow(roomBytes);
      return packer(constants.ZSTD_e_end, plain, packedRoom) ?? compress(plain, level);
    },
  };
}

/** Decompression alone, for who only reads. What it returns is valid until its next call. */
export function createZstdOpener(): Pick<BlobCodec, "decompress"> {
  let opener: Context | undefined;
  let begun = false;
  let plainRoom = Buffer.alloc(0);
  return {
    decompress(packed, plainBytes) {
      if (!fits(plainBytes)) return decompress(packed, plainBytes);
      if (!begun) opener = contextOf(createZstdDecompress());
      begun = true;
      if (opener === undefined) return decompress(packed, plainBytes);
      if (plainRoom.byteLength <= plainBytes) plainRoom = Buffer.allocUnsafeSlow(plainBytes + 1024);
      const plain = opener(constants.ZSTD_e_continue, packed, plainRoom);
      if (plain?.byteLength === plainBytes) return plain;
      // It may stand in the middle of a frame; and whether the frame or the handle is at fault, the other call tells.
      begun = false;
      return decompress(packed, plainBytes);
    },
  };
}

function fits(plainBytes: number): boolean {
  return plainBytes > 0 && plainBytes <= LARGEST_BYTES;
}

/** All of `input` in one step, what came of it in `room`; `undefined` where that went wrong. */
type Context = (mode: number, input: Bytes, room: Bytes) => Bytes | undefined;

function contextOf(stream: ZstdCompress | ZstdDecompress): Context | undefined {
  const handle: unknown = Reflect.get(stream, "_handle");
  const left: unknown = Reflect.get(stream, "_writeState");
  if (typeof handle !== "object" || handle === null || !(left instanceof Uint32Array)) {
    return undefined;
  }
  const write: unknown = Reflect.get(handle, "writeSync");
  if (typeof write !== "function" || left.length !== 2) return undefined;
  stream.on("error", () => {
    // Told by `destroyed` below, before this is called.
  });
  return (mode, input, room) => {
    if (stream.destroyed) return undefined;
    Reflect.apply(write, handle, [mode, input, 0, input.byteLength, room, 0, room.byteLength]);
    const [roomLeft = 0, inputLeft = 0] = left;
    if (stream.destroyed || inputLeft > 0 || roomLeft === 0) return undefined;
    return room.subarray(0, room.byteLength - roomLeft);
  };
}
