import { setImmediate } from "node:timers";
import type { Bytes } from "../../kernel/index.ts";
import { KIB, MIB } from "../../kernel/index.ts";
import { SlabPool } from "../chunker/slabs.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import type { Packer } from "../pack/packer.ts";
import type { BlobType } from "../seal.ts";
import type { Sealer, SealOutcome } from "../sealer.ts";
import { Gate, Tasks } from "../gates.ts";

/** Plain bytes that are being sealed or wait for a place in a pack; with the packs this bounds the writer's memory. */
const IN_FLIGHT_BYTES = 8 * MIB;

/**
 * A batch costs a thread two messages: what is no larger shares one, up to the size of a group or until nobody adds more.
 * It is copied on the way, and may lie in memory that is not to be given away.
 */
export const SMALL_BYTES = 64 * KIB;
const GROUP_BYTES = 256 * KIB;

export interface BlobCounts {
  blobsNew: number;
  blobsKnown: number;
}

export interface PipelineOptions {
  readonly index: BlobIndex;
  readonly sealer: Sealer;
  readonly packer: Packer;
  readonly signal: AbortSignal;
  /** Sealing or packing went wrong: others may count on blobs that never arrived, so the whole snapshot is lost. */
  readonly onFailure: (thrown: unknown) => void;
  /** A blob of this snapshot that was stored before, or a moment ago. */
  readonly onKnown?: (id: Bytes, type: BlobType) => void;
}

/** What one caller submitted; several small ones are sealed together. */
interface Submission {
  readonly plains: readonly Bytes[];
  readonly sizeBytes: number;
  readonly done: (outcomes: readonly SealOutcome[]) => void;
  readonly settled: () => void;
}

/**
 * Chunks in, packed blobs out. A blob that is known, or claimed by someone a moment ago, is not sealed again. Batches
 * once admitted run to their end even when the file that they belong to fails: another file may already count on them.
 */
export class BlobPipeline {
  readonly counts: BlobCounts = { blobsNew: 0, blobsKnown: 0 };
  /** Where chunks are cut; a slab comes back when its batch has been sealed. */
  readonly slabs = new SlabPool();
  readonly #options: PipelineOptions;
  readonly #room = new Gate(IN_FLIGHT_BYTES);
  readonly #tasks = new Tasks();
  /** Admitted, and not yet handed to a thread. */
  #grouped: Submission[] = [];
  #groupBytes = 0;

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  /** Waits for room, then returns; `done` gets the outcome in the order of `plains` once the blobs are in packs. */
  async submit(
    type: BlobType,
    plains: readonly Bytes[],
    done: (outcomes: readonly SealOutcome[]) => void,
    settled: () => void,
  ): Promise<void> {
    const sizeBytes = plains.reduce((sum, plain) => sum + plain.byteLength, 0);
    await this.#room.enter(sizeBytes, this.#options.signal);
    const submission = { plains, sizeBytes, done, settled };
    if (type === "data" && sizeBytes <= SMALL_BYTES) this.#group(submission);
    else this.#start(type, plains, [submission]);
  }

  #group(submission: Submission): void {
    if (this.#groupBytes + submission.sizeBytes > GROUP_BYTES) this.#startGroup();
    // Those who add in this turn of the event loop share the batch; nobody waits for a file that may never come.
    if (this.#grouped.length === 0) setImmediate(() => this.#startGroup());
    this.#grouped.push(submission);
    this.#groupBytes += submission.sizeBytes;
  }

  #startGroup(): void {
    const group = this.#grouped;
    if (group.length === 0) return;
    this.#grouped = [];
    this.#groupBytes = 0;
    this.#start("data", this.#together(group), group);
  }

  /** Copied back to back into one slab, which may travel to a thread: what they lie in may be the caller's. */
  #together(group: readonly Submission[]): readonly Bytes[] {
    const slab = this.slabs.acquire(GROUP_BYTES);
    let at = 0;
    return group.flatMap(({ plains }) =>
      plains.map((plain) => {
        slab.set(plain, at);
        at += plain.byteLength;
        return new Uint8Array(slab.buffer, at - plain.byteLength, plain.byteLength);
      }),
    );
  }

  #start(type: BlobType, plains: readonly Bytes[], submissions: readonly Submission[]): void {
    this.#tasks.start(async () => {
      try {
        const outcomes = await this.#store(type, plains);
        let at = 0;
        for (const { plains: own, done } of submissions) {
          done(outcomes.slice(at, at + own.length));
          at += own.length;
        }
        this.#options.sealer.release?.(outcomes);
      } catch (thrown) {
        this.#options.onFailure(thrown);
        throw thrown;
      } finally {
        for (const { sizeBytes, settled } of submissions) {
          this.#room.leave(sizeBytes);
          settled();
        }
      }
    });
  }

  /** Every batch submitted before is in packs. */
  settled(): Promise<void> {
    this.#startGroup();
    return this.#tasks.settled();
  }

  async #store(type: BlobType, plains: readonly Bytes[]): Promise<readonly SealOutcome[]> {
    const { index, sealer, packer, signal, onKnown } = this.#options;
    const claim = (ids: readonly Bytes[]): readonly boolean[] =>
      ids.map((id) => index.claim(id, type));
    const outcomes = await sealer.seal({
      type,
      plains,
      claim,
      signal,
      ...(type === "data"
        ? { onReturned: (buffer: ArrayBufferLike) => this.slabs.release(buffer) }
        : {}),
    });
    for (const { id, sealed } of outcomes) {
      if (sealed === undefined) {
        this.counts.blobsKnown += 1;
        onKnown?.(id, type);
      } else {
        this.counts.blobsNew += 1;
        await packer.add(type, id, sealed);
      }
    }
    return outcomes;
  }
}
