/** The thread that seals: started by seal-worker-pool.ts alone. Holds the batches between their two requests. */
import { parentPort } from "node:worker_threads";
import type { Transferable } from "node:worker_threads";
import { AppError, bug, concatBytes, KIB, youngCollector } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { IV_BYTES } from "./crypto/sealed.ts";
import { blobIdOf, sealWith } from "./seal.ts";
import type { BlobCodec, SealedBlob } from "./seal.ts";
import { isWorkerRequest, isWorkerStart, viewsOf } from "./seal-worker-messages.ts";
import type {
  FailedReply,
  HashedReply,
  HashRequest,
  SealedReply,
  SealRequest,
  WorkerStart,
} from "./seal-worker-messages.ts";

import { createZstdSession } from "./zstd-session.ts";

const held = new Map<number, HashRequest>();

function hashBatch(request: HashRequest): HashedReply {
  held.set(request.batch, request);
  const ids = viewsOf(request.plain, request.lengths).map(blobIdOf);
  return { kind: "hashed", batch: request.batch, ids: Uint8Array.from(concatBytes(ids)) };
}

function sealBatch(request: SealRequest, start: WorkerStart, codec: BlobCodec): SealedReply {
  const batch = held.get(request.batch);
  if (batch === undefined) throw bug("batch that was sealed before it was hashed");
  held.delete(request.batch);
  let ivs = request.ivs;
  const blobs = viewsOf(batch.plain, batch.lengths).map((plain, i) => {
    if (request.wanted[i] !== 1) return undefined;
    const iv = ivs.subarray(0, IV_BYTES);
    ivs = ivs.subarray(IV_BYTES);
    return sealWith(codec, plain, batch.type, start, iv);
  });
  return {
    kind: "sealed",
    batch: request.batch,
    sealed: joined(
      blobs.flatMap((blob) => (blob === undefined ? [] : [blob.bytes])),
      batch.spare,
    ),
    lengths: Uint32Array.from(blobs, (blob) => blob?.bytes.byteLength ?? 0),
    compressed: Uint8Array.from(blobs, isCompressed),
    plainLengths: batch.lengths,
    plain: batch.plain,
  };
}

function isCompressed(blob: SealedBlob | undefined): number {
  return blob?.compressed === true ? 1 : 0;
}

/** In steps, so that what came back from one batch fits the next one too. */
const ROOM_BYTES = 256 * KIB;

function joined(parts: readonly Bytes[], spare: ArrayBuffer | undefined): ArrayBuffer {
  const sizeBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const fits = spare !== undefined && spare.byteLength >= sizeBytes;
  const whole = fits ? spare : new ArrayBuffer(Math.ceil(sizeBytes / ROOM_BYTES) * ROOM_BYTES);
  const bytes = new Uint8Array(whole);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

function failed(batch: number, thrown: unknown): FailedReply {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const code = error instanceof AppError ? error.code : "";
  return { kind: "failed", batch, code, message: error.message, stack: error.stack ?? "" };
}

function transferable(...buffers: readonly ArrayBufferLike[]): Transferable[] {
  return buffers.filter((buffer) => buffer instanceof ArrayBuffer);
}

function main(): void {
  const port = parentPort;
  if (port === null) throw bug("sealing thread that no pool has started");
  const collectYoung = youngCollector();
  let started: { readonly start: WorkerStart; readonly codec: BlobCodec } | undefined;
  // One listener: a second one, added by the first, would be given the first message too where somebody else listens.
  port.on("message", (request: unknown) => {
    if (started === undefined) {
      if (!isWorkerStart(request)) throw bug("sealing thread that was not given its keys");
      started = { start: request, codec: createZstdSession(request.level) };
      return;
    }
    if (!isWorkerRequest(request)) throw bug("message that a sealing thread does not know");
    try {
      if (request.kind === "hash") {
        port.postMessage(hashBatch(request));
      } else {
        const reply = sealBatch(request, started.start, started.codec);
        port.postMessage(reply, transferable(reply.sealed, reply.plain));
        collectYoung();
      }
    } catch (thrown) {
      held.delete(request.batch);
      port.postMessage(failed(request.batch, thrown));
    }
  });
}

main();
