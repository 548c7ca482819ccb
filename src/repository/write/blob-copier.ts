import {
  asSnapshotId,
  bug,
  equalBytes,
  fromHex,
  throwIfAborted,
  toAppError,
  toHex,
} from "../../kernel/index.ts";
import type { Bytes, SnapshotId } from "../../kernel/index.ts";
import { requireStillThere } from "../config.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { IndexCollector } from "../index/index-collector.ts";
import { loadIndex } from "../index/load-index.ts";
import { disbelieveLostPacks } from "../index/lost-packs.ts";
import type { JsonObject } from "../json.ts";
import { acquireLock } from "../lock/lock.ts";
import type { Lock } from "../lock/lock.ts";
import { PACK_TARGET_BYTES } from "../pack/header.ts";
import { Packer } from "../pack/packer.ts";
import { createPoolSealer } from "../seal-worker-pool.ts";
import type { BlobType } from "../seal.ts";
import type { Sealer } from "../sealer.ts";
import { saveUnpacked } from "../unpacked.ts";
import { BlobPipeline } from "./blob-pipeline.ts";

/** zstd, as the writer's. */
const COMPRESSION_LEVEL = 3;
/** What is handed to a sealing thread at once; larger blobs go alone. */
const BATCH_BYTES = 1024 * 1024;
const BATCH_BLOBS = 256;
/** Packs that no index names are lost work when we are cut: so old may the oldest of them be. */
const INDEX_EVERY_MS = 5 * 60_000;

export interface CopierOwner {
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
}

export interface CopierOptions extends CopierOwner {
  readonly signal?: AbortSignal;
  /** Called with the bytes that the store acknowledged. */
  readonly onWritten?: (sizeBytes: number) => void;
}

/** A blob whose plaintext is known to have this id. */
export interface PlainBlob {
  /** 32 bytes. */
  readonly id: Bytes;
  readonly plain: Bytes;
}

/**
 * Takes blobs and snapshots as they are, where the writer cuts streams and makes trees: for copies and rewrites. The same
 * pipeline, packs and indexes; the same lock and order (I1): `saveSnapshot` refuses while anything is not yet flushed.
 */
export async function acquireBlobCopier(
  core: RepositoryCore,
  options: CopierOptions,
): Promise<BlobCopier> {
  const { hostname, username, pid, signal } = options;
  const waits = signal === undefined ? {} : { signal };
  await requireStillThere(core, signal);
  const lock = await acquireLock(core, {
    exclusive: false,
    owner: { hostname, username, pid },
    ...waits,
  });
  try {
    const index = await loadIndex(core, signal);
    await disbelieveLostPacks(core, index, signal);
    return new BlobCopier(core, options, lock, index);
  } catch (thrown) {
    await lock[Symbol.asyncDispose]();
    throw thrown;
  }
}

export class BlobCopier implements AsyncDisposable {
  /** What the repository holds, and what was taken since. */
  readonly index: BlobIndex;
  /** Aborts when the lock is lost, the caller gives up, or a blob could not be stored. */
  readonly signal: AbortSignal;
  readonly #core: RepositoryCore;
  readonly #lock: Lock;
  readonly #sealer: Sealer;
  readonly #pipeline: BlobPipeline;
  readonly #packer: Packer;
  readonly #collector: IndexCollector;
  readonly #onWritten: (sizeBytes: number) => void;
  readonly #failed = new AbortController();
  #indexedAtMs: number;
  #unflushedBytes = 0;
  #closed = false;

  constructor(core: RepositoryCore, options: CopierOptions, lock: Lock, index: BlobIndex) {
    this.#core = core;
    this.#lock = lock;
    this.index = index;
    const { onWritten } = options;
    this.#onWritten = (sizeBytes) => onWritten?.(sizeBytes);
    this.#indexedAtMs = core.clock.monotonicMs();
    const outer = options.signal === undefined ? [] : [options.signal];
    const signal = AbortSignal.any([this.#failed.signal, lock.signal, ...outer]);
    this.signal = signal;
    const sealing = { keys: core.master.keys, random: core.random, level: COMPRESSION_LEVEL };
    this.#sealer = (core.createSealer ?? createPoolSealer)(sealing);
    this.#collector = new IndexCollector(core, signal, this.#onWritten);
    this.#packer = new Packer({
      store: core.store,
      keys: core.master.keys,
      random: core.random,
      signal,
      targetBytes: core.packBytes ?? PACK_TARGET_BYTES,
      onStored: async (pack) => {
        this.#onWritten(pack.sizeBytes);
        await this.#collector.add(pack);
        await this.#indexNowAndThen();
      },
    });
    const onFailure = (thrown: unknown): void => this.#failed.abort(toAppError(thrown));
    this.#pipeline = new BlobPipeline({
      index,
      sealer: this.#sealer,
      packer: this.#packer,
      signal,
      onFailure,
    });
  }

  /** Plain bytes that were taken since the last flush. */
  get unflushedBytes(): number {
    return this.#unflushedBytes;
  }

  get blobsNew(): number {
    return this.#pipeline.counts.blobsNew;
  }

  /** Whether this blob need not be given: it is stored, or was taken a moment ago. */
  knows(id: Bytes, type: BlobType): boolean {
    return this.index.believes(id, type);
  }

  /** Returns once they are under way, in batches; memory in flight is bounded. */
  async copyData(blobs: readonly PlainBlob[]): Promise<void> {
    let batch: PlainBlob[] = [];
    let sizeBytes = 0;
    for (const blob of blobs) {
      const full = sizeBytes + blob.plain.byteLength > BATCH_BYTES || batch.length >= BATCH_BLOBS;
      if (full && batch.length > 0) {
        await this.#submit("data", batch, sizeBytes);
        batch = [];
        sizeBytes = 0;
      }
      batch.push(blob);
      sizeBytes += blob.plain.byteLength;
    }
    if (batch.length > 0) await this.#submit("data", batch, sizeBytes);
  }

  async copyTree(tree: PlainBlob): Promise<void> {
    await this.#submit("tree", [tree], tree.plain.byteLength);
  }

  /** Everything given before is durable and listed by a durable index when this returns. */
  async flush(): Promise<void> {
    throwIfAborted(this.signal);
    await this.#pipeline.settled();
    await this.#packer.flush();
    await this.#collector.flush();
    this.#unflushedBytes = 0;
  }

  /** The last of the three (I1). What the snapshot names was given and flushed, or was known. */
  async saveSnapshot(fields: JsonObject): Promise<SnapshotId> {
    if (this.#unflushedBytes > 0) throw bug("snapshot before its blobs are flushed");
    const tree = fields["tree"];
    if (typeof tree !== "string" || !this.knows(fromHex(tree), "tree")) {
      throw bug("snapshot whose tree was not stored");
    }
    await this.#lock.requireHeld(this.signal);
    throwIfAborted(this.signal);
    const json = Buffer.from(JSON.stringify(fields));
    const { id, sizeBytes } = await saveUnpacked(this.#core, "snapshot", json, this.signal);
    this.#onWritten(sizeBytes);
    return asSnapshotId(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#failed.abort(
      repositoryError("writer_closed", { message: "copier of blobs that was disposed" }),
    );
    try {
      await this.#pipeline.settled().catch(() => {
        // Told to whoever gave the blob or flushed; here it only must be over.
      });
      await this.#packer.drain();
      await this.#sealer[Symbol.asyncDispose]();
    } finally {
      await this.#lock[Symbol.asyncDispose]();
    }
  }

  async #submit(type: BlobType, blobs: readonly PlainBlob[], sizeBytes: number): Promise<void> {
    throwIfAborted(this.signal);
    this.#unflushedBytes += sizeBytes + 1;
    const plains = type === "tree" ? blobs.map(({ plain }) => plain) : this.#together(blobs);
    await this.#pipeline.submit(
      type,
      plains,
      (outcomes) =>
        outcomes.forEach(({ id }, at) => {
          if (equalBytes(id, blobs[at]?.id ?? new Uint8Array(0))) return;
          throw repositoryError("seal_mismatch", {
            message: `${type} blob ${toHex(blobs[at]?.id ?? id).slice(0, 8)} that changed in memory`,
          });
        }),
      () => undefined,
    );
  }

  /** Back to back in one buffer that nobody else uses: what the sealer may send to a thread without a copy. */
  #together(blobs: readonly PlainBlob[]): readonly Bytes[] {
    const sizeBytes = blobs.reduce((sum, { plain }) => sum + plain.byteLength, 0);
    const fits = sizeBytes <= BATCH_BYTES;
    const slab = fits
      ? this.#pipeline.slabs.acquire(BATCH_BYTES)
      : Buffer.allocUnsafeSlow(sizeBytes);
    let at = 0;
    return blobs.map(({ plain }) => {
      slab.set(plain, at);
      at += plain.byteLength;
      return slab.subarray(at - plain.byteLength, at);
    });
  }

  async #indexNowAndThen(): Promise<void> {
    const nowMs = this.#core.clock.monotonicMs();
    if (nowMs - this.#indexedAtMs < INDEX_EVERY_MS) return;
    this.#indexedAtMs = nowMs;
    await this.#collector.flush();
  }
}
