import type { KeyObject } from "node:crypto";
import type { Bytes } from "../../kernel/index.ts";
import type { BlobTable, PackVerdict } from "./verify-pack.ts";

/** What passes between `verify-pool.ts` and a thread that verifies packs: one question, one reply, in order. */
export interface VerifyStart {
  readonly encrypt: KeyObject;
  readonly macK: KeyObject;
  readonly macR: Bytes;
}

export interface VerifyRequest {
  readonly number: number;
  readonly name: string;
  /** The pack from its start on; transferred, and with it gone from the asking thread. */
  readonly pack: ArrayBufferLike;
  readonly sizeBytes: number;
  /** It comes back with the reply. */
  readonly lent: boolean;
  readonly table: BlobTable;
}

export interface VerifyReply {
  readonly number: number;
  readonly verdict: PackVerdict;
  readonly pack?: ArrayBuffer;
}

/* Both ends are ours and of one version. */
export function isVerifyStart(value: unknown): value is VerifyStart {
  return typeof value === "object" && value !== null && "encrypt" in value && "macK" in value;
}

export function isVerifyRequest(value: unknown): value is VerifyRequest {
  return typeof value === "object" && value !== null && "pack" in value && "table" in value;
}

export function isVerifyReply(value: unknown): value is VerifyReply {
  return typeof value === "object" && value !== null && "verdict" in value;
}
