import type { KeyObject } from "node:crypto";
import type { Bytes } from "../kernel/index.ts";
import type { BlobType } from "./seal.ts";

/**
 * What passes between the pool and a worker. Buffers named `plain` and `sealed` are transferred.
 *
 *   pool                      worker
 *     start ────────────────▶  its keys, once
 *     hash  ────────────────▶  SHA-256 of each plain
 *     claim ◀──────────────── hashed
 *     seal  ────────────────▶  compress, encrypt, open again, compare
 *           ◀──────────────── sealed, or failed at any point
 */
export interface WorkerStart {
  readonly kind: "start";
  readonly encrypt: KeyObject;
  readonly macK: KeyObject;
  readonly macR: Bytes;
  readonly level: number;
}

export interface HashRequest {
  readonly kind: "hash";
  readonly batch: number;
  readonly type: BlobType;
  /** The plains, back to back. */
  readonly plain: ArrayBufferLike;
  readonly lengths: Uint32Array;
  /** An earlier `sealed`, to be used again. */
  readonly spare?: ArrayBuffer;
}

export interface SealRequest {
  readonly kind: "seal";
  readonly batch: number;
  /** 1 for each plain to be sealed. */
  readonly wanted: Uint8Array;
  /** One for each of them, none for the others. */
  readonly ivs: Bytes;
}

export type WorkerRequest = HashRequest | SealRequest;

export interface HashedReply {
  readonly kind: "hashed";
  readonly batch: number;
  /** 32 bytes each. */
  readonly ids: Bytes;
}

export interface SealedReply {
  readonly kind: "sealed";
  readonly batch: number;
  /** The sealed blobs, back to back from the start. */
  readonly sealed: ArrayBufferLike;
  /** 0 for a plain that was not wanted. */
  readonly lengths: Uint32Array;
  readonly compressed: Uint8Array;
  /** Of all plains. */
  readonly plainLengths: Uint32Array;
  /** The buffer of the request. */
  readonly plain: ArrayBufferLike;
}

export interface FailedReply {
  readonly kind: "failed";
  readonly batch: number;
  readonly code: string;
  readonly message: string;
  readonly stack: string;
}

export type WorkerReply = HashedReply | SealedReply | FailedReply;

/* Both ends are ours and of one version: the kind says the rest. */
export function isWorkerRequest(message: unknown): message is WorkerRequest {
  return hasKind(message, ["hash", "seal"]);
}

export function isWorkerReply(message: unknown): message is WorkerReply {
  return hasKind(message, ["hashed", "sealed", "failed"]);
}

export function isWorkerStart(start: unknown): start is WorkerStart {
  return hasKind(start, ["start"]);
}

function hasKind(message: unknown, kinds: readonly string[]): boolean {
  if (typeof message !== "object" || message === null || !("kind" in message)) return false;
  return typeof message.kind === "string" && kinds.includes(message.kind);
}

/** Views of `lengths[i]` bytes each, back to back from the start of `buffer`. */
export function viewsOf(buffer: ArrayBufferLike, lengths: Uint32Array): Bytes[] {
  let at = 0;
  return Array.from(lengths, (length) => {
    const view = new Uint8Array(buffer, at, length);
    at += length;
    return view;
  });
}
