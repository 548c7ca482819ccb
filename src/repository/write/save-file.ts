import { createHash, hash } from "node:crypto";
import type { Hash } from "node:crypto";
import { MIB, throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { createChunker } from "../chunker/chunker.ts";
import type { Chunker, ChunkBatch } from "../chunker/chunker.ts";
import { GEAR_LIMITS } from "../chunker/gear-limits.ts";
import type { SlabPool } from "../chunker/slabs.ts";
import type { Content, EntryKind, SavedFile } from "../types.ts";
import type { SealOutcome } from "../sealer.ts";
import { SMALL_BYTES } from "./blob-pipeline.ts";
import type { BlobPipeline } from "./blob-pipeline.ts";

/** More than the least chunk of any kind. */
const PIECE_BYTES = MIB;

export interface StoredContent extends SavedFile {
  /** Ids of the blobs, 32 Latin-1 characters each. */
  readonly content: string;
}

export interface ContentOptions {
  readonly kind: EntryKind;
  readonly chunkerSecret: Bytes;
  readonly signal: AbortSignal;
  readonly onRead: (sizeBytes: number) => void;
}

/** Cuts one stream, hands the chunks on in batches, and gathers the ids in order. All of it is in packs at the end. */
export async function storeContent(
  pipeline: BlobPipeline,
  content: Content,
  options: ContentOptions,
): Promise<StoredContent> {
  const batches = new BatchedContent(pipeline);
  const cutter = new Cutter(options, pipeline.slabs, content instanceof Uint8Array);
  let sizeBytes = 0;
  try {
    const take = async (bytes: Bytes): Promise<void> => {
      throwIfAborted(options.signal);
      sizeBytes += bytes.byteLength;
      options.onRead(bytes.byteLength);
      for (const batch of cutter.push(bytes)) await batches.submit(batch);
    };
    for await (const bytes of content instanceof Uint8Array ? piecesOf(content) : content) {
      await take(bytes);
    }
    const last = cutter.finish();
    if (last !== undefined) await batches.submit(last);
  } finally {
    // Also when the stream failed: nothing of this file is under way when its owner hears of it.
    await batches.settled();
  }
  // A batch that failed has aborted the writer's signal, and its ids are missing.
  throwIfAborted(options.signal);
  const stored = batches.result();
  return { sizeBytes, sha256: cutter.sha256(), ...stored };
}

/** A large file is cut piece by piece, and waits where there is no room for the next one. */
function* piecesOf(content: Bytes): Generator<Bytes> {
  for (let at = 0; at < content.byteLength; at += PIECE_BYTES) {
    yield content.subarray(at, at + PIECE_BYTES);
  }
}

const SHA256_OF_NOTHING = hash("sha256", "");

/** A stream shorter than the least chunk is one blob, and needs no chunker with its buffers. */
class Cutter {
  readonly #options: ContentOptions;
  readonly #slabs: SlabPool;
  readonly #leastBytes: number;
  /** Of memory that stays as it is; what is not larger than the least chunk comes in one push. */
  readonly #isWhole: boolean;
  #held: Bytes[] = [];
  #heldBytes = 0;
  #chunker: Chunker | undefined;
  /** Beside the blobs' own hashes, of the bytes as they came. In one step for a small file: an object for each costs more. */
  #digest: Hash | undefined;
  #sha256 = SHA256_OF_NOTHING;

  constructor(options: ContentOptions, slabs: SlabPool, isWhole: boolean) {
    this.#isWhole = isWhole;
    this.#options = options;
    this.#slabs = slabs;
    this.#leastBytes = GEAR_LIMITS[options.kind].minBytes;
  }

  push(bytes: Bytes): readonly ChunkBatch[] {
    this.#digest?.update(bytes);
    if (this.#chunker !== undefined) return this.#chunker.push(bytes);
    if (this.#heldBytes + bytes.byteLength <= this.#leastBytes) {
      // A stream may use its buffer again once we ask for more, and what is not small goes to a thread with its buffer.
      const stays = this.#isWhole && bytes.byteLength <= SMALL_BYTES;
      this.#held.push(stays ? bytes : Uint8Array.from(bytes));
      this.#heldBytes += bytes.byteLength;
      return [];
    }
    const chunker = createChunker(this.#options.chunkerSecret, this.#options.kind, this.#slabs);
    this.#chunker = chunker;
    const pieces = [...this.#held, bytes];
    this.#digest = createHash("sha256");
    for (const piece of pieces) this.#digest.update(piece);
    const batches = pieces.flatMap((piece) => chunker.push(piece));
    this.#held = [];
    return batches;
  }

  finish(): ChunkBatch | undefined {
    if (this.#chunker !== undefined) return this.#chunker.finish();
    if (this.#heldBytes === 0) return undefined;
    const [only, ...others] = this.#held;
    const chunk =
      only !== undefined && others.length === 0 ? only : new Uint8Array(Buffer.concat(this.#held));
    this.#sha256 = hash("sha256", chunk);
    return { chunks: [chunk] };
  }

  /** Of all that was pushed, after {@link finish}. */
  sha256(): string {
    return this.#digest?.digest("hex") ?? this.#sha256;
  }
}

/** Ids arrive out of order; each batch has its place. */
class BatchedContent {
  readonly #pipeline: BlobPipeline;
  #ids = new Uint8Array(32);
  #blobs = 0;
  #newBytes = 0;
  #running = 0;
  #wake: (() => void) | undefined;

  constructor(pipeline: BlobPipeline) {
    this.#pipeline = pipeline;
  }

  async submit({ chunks }: ChunkBatch): Promise<void> {
    const first = this.#reserve(chunks.length);
    this.#running += 1;
    try {
      const done = (outcomes: readonly SealOutcome[]): void => this.#take(first, outcomes);
      await this.#pipeline.submit("data", chunks, done, () => this.#ended());
    } catch (thrown) {
      this.#ended();
      throw thrown;
    }
  }

  /** Nothing runs any more, whether it went well or not. */
  async settled(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  result(): { content: string; blobs: number; newBytes: number } {
    const ids = Buffer.from(this.#ids.buffer, 0, this.#blobs * 32);
    return { content: ids.toString("latin1"), blobs: this.#blobs, newBytes: this.#newBytes };
  }

  #reserve(count: number): number {
    const first = this.#blobs;
    this.#blobs += count;
    if (this.#blobs * 32 > this.#ids.byteLength) {
      const grown = new Uint8Array(Math.max(this.#blobs * 32, this.#ids.byteLength * 2));
      grown.set(this.#ids);
      this.#ids = grown;
    }
    return first;
  }

  #take(first: number, outcomes: readonly SealOutcome[]): void {
    outcomes.forEach(({ id, sealed }, i) => {
      this.#ids.set(id, (first + i) * 32);
      this.#newBytes += sealed?.bytes.byteLength ?? 0;
    });
  }

  #ended(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#wake?.();
  }
}
