import type { Bytes, RandomBytes } from "../kernel/index.ts";
import { throwIfAborted } from "../kernel/index.ts";
import type { SealKeys } from "./crypto/master-key.ts";
import { IV_BYTES } from "./crypto/sealed.ts";
import { blobIdOf, sealBlob } from "./seal.ts";
import type { BlobType, SealedBlob } from "./seal.ts";

export interface SealOutcome {
  /** SHA-256 of the plaintext, 32 bytes. */
  readonly id: Bytes;
  readonly plainBytes: number;
  /** Absent when `claim` said that the blob is known. */
  readonly sealed?: SealedBlob;
}

export interface SealBatch {
  readonly type: BlobType;
  /** Not to be touched again by the caller. */
  readonly plains: readonly Bytes[];
  /**
   * Called exactly once, with the ids of all plains in order, on the caller's thread. True means: nobody has this blob
   * yet, seal it; the same id twice in one batch is claimed once.
   */
  readonly claim: (ids: readonly Bytes[]) => readonly boolean[];
  readonly signal?: AbortSignal;
  /**
   * Given where the plains lie back to back from the start of one buffer that nobody else uses: it may then travel to a
   * worker without a copy. Called at most once, with a buffer of the same size that the caller may use again.
   */
  readonly onReturned?: (buffer: ArrayBufferLike) => void;
}

/**
 * hash → known? → compress → seal → open again and compare. No shared state: what goes in and out are batches of
 * buffers. Batches may run concurrently; the outcome keeps the order of `plains`.
 */
export interface Sealer extends AsyncDisposable {
  /** How many batches are worth having under way. */
  readonly parallel: number;
  seal(batch: SealBatch): Promise<readonly SealOutcome[]>;
  /** What `seal` gave has been copied elsewhere: its buffers are used again and must not be read any more. */
  release?(outcomes: readonly SealOutcome[]): void;
}

export interface SealerOptions {
  readonly keys: SealKeys;
  readonly random: RandomBytes;
  /** zstd. */
  readonly level: number;
}

export type CreateSealer = (options: SealerOptions) => Sealer;

/** Seals on the caller's thread. */
export const createInlineSealer: CreateSealer = ({ keys, random, level }) => ({
  parallel: 1,
  seal(batch) {
    return new Promise((resolve) => {
      throwIfAborted(batch.signal);
      const ids = batch.plains.map(blobIdOf);
      const wanted = batch.claim(ids);
      const outcomes = batch.plains.map((plain, i) => {
        const id = ids[i] ?? blobIdOf(plain);
        if (wanted[i] !== true) return { id, plainBytes: plain.byteLength };
        const sealed = sealBlob(plain, batch.type, keys, level, random(IV_BYTES));
        return { id, plainBytes: plain.byteLength, sealed };
      });
      const [first] = batch.plains;
      if (first !== undefined) batch.onReturned?.(first.buffer);
      resolve(outcomes);
    });
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
});
