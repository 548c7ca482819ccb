import type { Bytes } from "../../kernel/index.ts";
import { MIB } from "../../kernel/index.ts";
import { SlabPool } from "../chunker/slabs.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import type { Packer } from "../pack/packer.ts";
import type { BlobType } from "../seal.ts";
import type { Sealer, SealOutcome } from "../sealer.ts";
import { Gate, Tasks } from "./gates.ts";

/** Plain bytes that are being sealed or wait for a place in a pack; with the packs this bounds the writer's memory. */
const IN_FLIGHT_BYTES = 5 * MIB;

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
    this.#tasks.start(async () => {
      try {
        const outcomes = await this.#store(type, plains);
        done(outcomes);
        this.#options.sealer.release?.(outcomes);
      } catch (thrown) {
        this.#options.onFailure(thrown);
        throw thrown;
      } finally {
        this.#room.leave(sizeBytes);
        settled();
      }
    });
  }

  /** Every batch submitted before is in packs. */
  settled(): Promise<void> {
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
