import { AppError, MIB, throwIfAborted } from "../../kernel/index.ts";
import type { SnapshotId } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { loadIndex } from "../index/load-index.ts";
import { acquireLock } from "../lock/lock.ts";
import type { Lock } from "../lock/lock.ts";
import { BlobReader } from "../read/blob-reader.ts";
import { loadSnapshotFields } from "../snapshots.ts";
import type { Repository } from "../types.ts";
import { acquireBlobCopier } from "../write/blob-copier.ts";
import type { BlobCopier, CopierOwner } from "../write/blob-copier.ts";
import { byPersistentId, loadFull, sameIn } from "./plan.ts";
import type { ByPersistentId, CopyFailure, CopyPair, CopyPlan } from "./plan.ts";
import { copiedFields } from "./same-snapshot.ts";
import type { FullSnapshot } from "./same-snapshot.ts";
import { SourceBlobs } from "./source-blobs.ts";
import { faultsOfTrees } from "./verify.ts";

export interface CopyOptions extends CopierOwner {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CopyProgress) => void;
  /**
   * Asked for each tree when its blobs and their index are durable and were read back, before the snapshot is written: where
   * a target with Object Lock locks what the new point needs. An error leaves the snapshot unwritten.
   */
  readonly beforeSnapshot?: (tree: string) => Promise<void>;
  /** Told of each snapshot as soon as it is written: where such a target locks its own file. */
  readonly afterSnapshot?: (id: SnapshotId) => Promise<void>;
}

export interface CopyProgress {
  readonly snapshots: { readonly done: number; readonly total: number };
  /** Plain bytes of data copied, and those of the snapshots seen so far that have to be. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface CopiedSnapshot extends CopyPair {
  readonly time: Date;
  readonly tree: string;
}

export interface CopyResult {
  readonly outcome: "complete" | "incomplete";
  /** Read back, then written. */
  readonly copied: readonly CopiedSnapshot[];
  readonly present: readonly CopyPair[];
  /** Damaged or gone in the source, or not whole when read back: nothing of these is in the target's list. */
  readonly failed: readonly CopyFailure[];
  /** `denied`: the credentials may not write there, so a prune of the source during the copy was not held off. */
  readonly sourceLock: "held" | "denied";
  readonly writtenBytes: number;
  readonly blobsNew: number;
}

/** Small snapshots share packs: so much, or so many of them, before they are flushed and written. */
const GROUP_BYTES = 64 * MIB;
const GROUP_SNAPSHOTS = 64;

/**
 * Copies what the plan names, oldest first. For each group: data and trees, then the index that lists them, then all of it
 * read back, then the snapshots (I1). Cut at any point, the next call goes on: what an index of the target names is not
 * read again.
 */
export async function executeCopy(
  source: Repository,
  target: Repository,
  plan: CopyPlan,
  options: CopyOptions,
): Promise<CopyResult> {
  const sourceCore = coreOf(source);
  const { signal } = options;
  const sourceLock = await lockSource(sourceCore, options);
  try {
    const reader = new BlobReader(sourceCore, await loadIndex(sourceCore, signal));
    let writtenBytes = 0;
    const signals = [signal, sourceLock?.signal].filter((one) => one !== undefined);
    await using copier = await acquireBlobCopier(coreOf(target), {
      ...options,
      signal: AbortSignal.any(signals),
      onWritten: (sizeBytes) => (writtenBytes += sizeBytes),
    });
    // Again, under the lock: another machine may have copied since the plan was made.
    const there = byPersistentId(
      await loadFull(
        target,
        () => true,
        signal,
        () => undefined,
      ),
    );
    const run = new CopyRun(sourceCore, coreOf(target), reader, copier, there, options);
    const { copied, present, failed: notCopied } = await run.copy(plan);
    const failed = [...plan.unreadable, ...notCopied];
    return {
      outcome: failed.length === 0 ? "complete" : "incomplete",
      copied,
      present: [...plan.present, ...present],
      failed,
      sourceLock: sourceLock === undefined ? "denied" : "held",
      writtenBytes,
      blobsNew: copier.blobsNew,
    };
  } finally {
    await sourceLock?.[Symbol.asyncDispose]();
  }
}

/** restic's own copy locks both. Credentials that only read are what a copy should have, so being denied is no error. */
async function lockSource(
  core: RepositoryCore,
  { hostname, username, pid, signal }: CopyOptions,
): Promise<Lock | undefined> {
  try {
    return await acquireLock(core, {
      exclusive: false,
      owner: { hostname, username, pid },
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "objectstore.denied") throw thrown;
    return undefined;
  }
}

class CopyRun {
  readonly copied: CopiedSnapshot[] = [];
  readonly present: CopyPair[] = [];
  readonly failed: CopyFailure[] = [];
  readonly #source: RepositoryCore;
  readonly #target: RepositoryCore;
  readonly #copier: BlobCopier;
  readonly #blobs: SourceBlobs;
  readonly #there: ByPersistentId;
  readonly #options: CopyOptions;
  #group: FullSnapshot[] = [];
  #doneBytes = 0;
  #totalBytes = 0;

  constructor(
    source: RepositoryCore,
    target: RepositoryCore,
    reader: BlobReader,
    copier: BlobCopier,
    there: ByPersistentId,
    options: CopyOptions,
  ) {
    this.#source = source;
    this.#target = target;
    this.#copier = copier;
    this.#blobs = new SourceBlobs(reader, (id, type) => copier.knows(id, type));
    this.#there = there;
    this.#options = options;
  }

  async copy(plan: CopyPlan): Promise<this> {
    for (const [done, { id }] of plan.copy.entries()) {
      await this.#one(id, { done, total: plan.copy.length });
      const full =
        this.#group.length >= GROUP_SNAPSHOTS || this.#copier.unflushedBytes >= GROUP_BYTES;
      if (full) await this.#finishGroup();
    }
    await this.#finishGroup();
    return this;
  }

  async #one(id: SnapshotId, snapshots: CopyProgress["snapshots"]): Promise<void> {
    const { signal } = this.#copier;
    throwIfAborted(signal);
    try {
      const full = await loadSnapshotFields(this.#source, id, signal);
      const same = sameIn(this.#there, full);
      if (same !== undefined) {
        this.present.push({ source: id, copy: same.snapshot.id });
        return;
      }
      await this.#blobs.walk(full.snapshot.tree, (tree) => this.#copier.copyTree(tree), signal);
      this.#totalBytes += this.#blobs.wantedBytes;
      this.#report(snapshots);
      for await (const blobs of this.#blobs.data(signal)) {
        for (const { plain } of blobs) this.#doneBytes += plain.byteLength;
        await this.#copier.copyData(blobs);
        this.#report(snapshots);
      }
      this.#group.push(full);
    } catch (thrown) {
      // What broke the copier, or stopped it, is no fault of this snapshot.
      throwIfAborted(signal);
      if (!isDamageOfSource(thrown)) throw thrown;
      this.#blobs.forget();
      this.failed.push({ source: id, code: thrown.code, message: thrown.message });
    }
  }

  async #finishGroup(): Promise<void> {
    const group = this.#group;
    this.#group = [];
    if (group.length === 0) return;
    await this.#copier.flush();
    const { signal } = this.#copier;
    const faults = await faultsOfTrees(
      this.#target,
      group.map(({ snapshot }) => snapshot),
      signal,
    );
    for (const full of group) {
      const { id: source, time, tree } = full.snapshot;
      const fault = faults.get(tree);
      if (fault === undefined) {
        await this.#options.beforeSnapshot?.(tree);
        const copy = await this.#copier.saveSnapshot(copiedFields(full));
        await this.#options.afterSnapshot?.(copy);
        this.copied.push({ source, copy, time, tree });
      } else {
        const message = `copy of ${source.slice(0, 8)}, read back: ${fault}`;
        this.failed.push({ source, code: "repository.copy_differs", message });
      }
    }
  }

  #report(snapshots: CopyProgress["snapshots"]): void {
    const { onProgress } = this.#options;
    onProgress?.({ snapshots, doneBytes: this.#doneBytes, totalBytes: this.#totalBytes });
  }
}

function isDamageOfSource(thrown: unknown): thrown is AppError {
  if (!(thrown instanceof AppError)) return false;
  const gone = thrown.code === "objectstore.not_found";
  return gone || (thrown.kind === "corrupt" && thrown.code !== "repository.seal_mismatch");
}
