import {
  asBlobId,
  asSnapshotId,
  bug,
  throwIfAborted,
  toAppError,
  toHex,
} from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { Retention } from "../../objectstore/index.ts";
import { requireStillThere } from "../config.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { deriveKey } from "../crypto/master-key.ts";
import { repositoryError } from "../errors.ts";
import { requireObjectLock, wholeSeconds } from "../immutable/extend-locks.ts";
import { lockNeeds, lockNewSnapshot } from "../immutable/lock-point.ts";
import { NeededPacks } from "../immutable/needed-packs.ts";
import { IndexCollector } from "../index/index-collector.ts";
import { loadIndex } from "../index/load-index.ts";
import { disbelieveLostPacks } from "../index/lost-packs.ts";
import { acquireLock } from "../lock/lock.ts";
import type { Lock } from "../lock/lock.ts";
import { PACK_TARGET_BYTES } from "../pack/header.ts";
import { Packer } from "../pack/packer.ts";
import type { BlobType } from "../seal.ts";
import type { CreateSealer, Sealer } from "../sealer.ts";
import { formatSnapshot } from "../snapshot-file.ts";
import { discardPath, PendingFolder, reservePath } from "../tree/pending.ts";
import type { PendingFile } from "../tree/pending.ts";
import { latin1 } from "../tree/names.ts";
import { saveTree } from "../tree/save-tree.ts";
import type {
  Content,
  EntryPath,
  FileMetadata,
  SavedFile,
  SnapshotOptions,
  SnapshotSummary,
  SnapshotWriter,
  WriterOptions,
} from "../types.ts";
import { saveUnpacked } from "../unpacked.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { BlobPipeline } from "./blob-pipeline.ts";
import { storeContent } from "./save-file.ts";
import type { StoredContent } from "./save-file.ts";

/** zstd; 3 is what restic calls `auto`. */
const COMPRESSION_LEVEL = 3;
const FILE_MODE = 0o600;

export interface WriterParts {
  readonly core: RepositoryCore;
  readonly createSealer: CreateSealer;
  readonly programVersion: string;
}

/** Lock first, then the index: what is listed after that cannot be pruned before we refer to it. */
export async function acquireWriter(
  parts: WriterParts,
  options: WriterOptions,
): Promise<SnapshotWriter> {
  const { core, createSealer } = parts;
  const { hostname, username, pid, signal } = options;
  const waits = signal === undefined ? {} : { signal };
  const owner = { hostname, username, pid };
  if (options.lock !== undefined) requireObjectLock(core.store);
  await requireStillThere(core, signal);
  const lock = await acquireLock(core, { exclusive: false, owner, ...waits });
  try {
    const index = await loadIndex(core, signal);
    await disbelieveLostPacks(core, index, signal);
    const level = COMPRESSION_LEVEL;
    const sealer = createSealer({ keys: core.master.keys, random: core.random, level });
    return new Writer(parts, options, { lock, index, sealer });
  } catch (thrown) {
    await lock[Symbol.asyncDispose]();
    throw thrown;
  }
}

type State = "open" | "committing" | "committed" | "disposed";

class Writer implements SnapshotWriter {
  readonly #core: RepositoryCore;
  readonly #options: WriterOptions;
  readonly #programVersion: string;
  readonly #lock: Lock;
  readonly #sealer: Sealer;
  readonly #pipeline: BlobPipeline;
  readonly #packer: Packer;
  readonly #collector: IndexCollector;
  readonly #root = new PendingFolder();
  readonly #needed: NeededPacks | undefined;
  readonly #newPacks: string[] = [];
  readonly #chunkerSecret: Bytes;
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  #state: State = "open";
  #saving = 0;
  #readBytes = 0;
  #writtenBytes = 0;

  constructor(
    { core, programVersion }: WriterParts,
    options: WriterOptions,
    { lock, index, sealer }: { lock: Lock; index: BlobIndex; sealer: Sealer },
  ) {
    this.#core = core;
    this.#options = options;
    this.#programVersion = programVersion;
    this.#lock = lock;
    this.#sealer = sealer;
    this.#chunkerSecret = deriveKey(core.master, "chunker/1");
    const outer = options.signal === undefined ? [] : [options.signal];
    const signal = AbortSignal.any([this.#failed.signal, lock.signal, ...outer]);
    this.#signal = signal;
    this.#collector = new IndexCollector(core, signal, (bytes) => this.#wrote(bytes));
    this.#packer = new Packer({
      store: core.store,
      keys: core.master.keys,
      random: core.random,
      signal,
      targetBytes: core.packBytes ?? PACK_TARGET_BYTES,
      onStored: async (pack) => {
        this.#wrote(pack.sizeBytes);
        this.#newPacks.push(pack.id);
        await this.#collector.add(pack);
      },
    });
    const onFailure = (thrown: unknown): void => this.#failed.abort(toAppError(thrown));
    const needed = options.lock === undefined ? undefined : new NeededPacks(index);
    this.#needed = needed;
    const packer = this.#packer;
    const onKnown = (id: Bytes, type: BlobType): void => needed?.add(id, type);
    this.#pipeline = new BlobPipeline({ index, sealer, packer, signal, onFailure, onKnown });
  }

  async saveFile(path: EntryPath, content: Content, metadata: FileMetadata): Promise<SavedFile> {
    this.#requireOpen();
    const slot = reservePath(this.#root, path);
    this.#saving += 1;
    try {
      const stored = await storeContent(this.#pipeline, content, {
        kind: metadata.kind,
        chunkerSecret: this.#chunkerSecret,
        signal: this.#signal,
        onRead: (bytes) => this.#read(bytes),
      });
      slot.save(pendingFile(stored, metadata));
      const { sizeBytes, sha256, blobs, newBytes } = stored;
      return { sizeBytes, sha256, blobs, newBytes };
    } catch (thrown) {
      slot.abandon();
      // What broke the writer, or stopped it, says more than what it did to this file's stream.
      throwIfAborted(this.#signal);
      throw thrown;
    } finally {
      this.#saving -= 1;
    }
  }

  discard(path: EntryPath): void {
    this.#requireOpen();
    discardPath(this.#root, path);
  }

  async commit(options: SnapshotOptions): Promise<SnapshotSummary> {
    this.#requireOpen();
    if (this.#saving > 0) {
      throw repositoryError("writer_closed", {
        message: `commit with ${this.#saving} files unfinished`,
      });
    }
    this.#state = "committing";
    const saveBlob = (json: Bytes): Promise<string> => this.#saveTreeBlob(json);
    const { tree, files } = await saveTree(this.#root, saveBlob, this.#signal);
    // I1: data and trees, then the index that lists them, then the snapshot; each acknowledged before the next.
    await this.#pipeline.settled();
    await this.#packer.flush();
    await this.#collector.flush();
    const retention = await this.#lockNeeds();
    await this.#lock.requireHeld(this.#signal);
    throwIfAborted(this.#signal);
    const id = await this.#saveSnapshot(tree, options);
    if (retention !== undefined) await lockNewSnapshot(this.#core, id, retention, this.#signal);
    this.#state = "committed";
    const { blobsNew, blobsKnown } = this.#pipeline.counts;
    const [readBytes, writtenBytes] = [this.#readBytes, this.#writtenBytes];
    return {
      id: asSnapshotId(id),
      tree: asBlobId(tree),
      files,
      readBytes,
      writtenBytes,
      blobsNew,
      blobsKnown,
      ...(retention === undefined ? {} : { lockedUntil: retention.until }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "disposed") return;
    const done = this.#state === "committed";
    this.#state = "disposed";
    if (!done)
      this.#failed.abort(
        repositoryError("writer_closed", { message: "snapshot writer that was disposed" }),
      );
    try {
      await this.#pipeline.settled().catch(() => {
        // The failure was thrown to whoever saved or committed; here it only must be over.
      });
      await this.#packer.drain();
      await this.#sealer[Symbol.asyncDispose]();
    } finally {
      await this.#lock[Symbol.asyncDispose]();
    }
  }

  /** Everything but the snapshot itself, which must not be there before what it needs is held. */
  async #lockNeeds(): Promise<Retention | undefined> {
    const { lock } = this.#options;
    if (lock === undefined || this.#needed === undefined) return undefined;
    const until = lock.until(await this.#lock.storeTime(this.#signal));
    const retention = wholeSeconds({ mode: lock.mode, until });
    const needs = [
      ...this.#needed.keys(),
      ...this.#newPacks.map(objectKey.pack),
      ...this.#collector.written.map(objectKey.index),
    ];
    await lockNeeds(this.#core, needs, retention, this.#signal);
    return retention;
  }

  async #saveSnapshot(tree: string, options: SnapshotOptions): Promise<string> {
    const { hostname, username } = this.#options;
    const programVersion = this.#programVersion;
    const { beforeSnapshot, ...said } = options;
    const json = formatSnapshot({ ...said, tree, hostname, username, programVersion });
    const { id, sizeBytes } = await saveUnpacked(
      this.#core,
      "snapshot",
      json,
      this.#signal,
      async (snapshot) => beforeSnapshot?.(asSnapshotId(snapshot)),
    );
    this.#wrote(sizeBytes);
    return id;
  }

  async #saveTreeBlob(json: Bytes): Promise<string> {
    let id: string | undefined;
    const settled = Promise.withResolvers<void>();
    const done = (outcomes: readonly { readonly id: Bytes }[]): void => {
      id = outcomes[0] === undefined ? undefined : toHex(outcomes[0].id);
    };
    await this.#pipeline.submit("tree", [json], done, settled.resolve);
    await settled.promise;
    throwIfAborted(this.#signal);
    if (id === undefined) throw bug("tree blob without an id");
    return id;
  }

  #requireOpen(): void {
    throwIfAborted(this.#signal);
    if (this.#state === "open") return;
    throw repositoryError("writer_closed", { message: `snapshot writer that is ${this.#state}` });
  }

  #read(sizeBytes: number): void {
    this.#readBytes += sizeBytes;
    this.#report();
  }

  #wrote(sizeBytes: number): void {
    this.#writtenBytes += sizeBytes;
    this.#report();
  }

  #report(): void {
    this.#options.onProgress?.({
      readBytes: this.#readBytes,
      writtenBytes: this.#writtenBytes,
      ...this.#pipeline.counts,
    });
  }
}

function pendingFile(stored: StoredContent, metadata: FileMetadata): PendingFile {
  const attributes = Object.entries(metadata.extendedAttributes ?? {}).map(
    ([name, value]) => [name, latin1(value)] as const,
  );
  return {
    mode: metadata.mode ?? FILE_MODE,
    modifiedAtMs: metadata.modifiedAt.getTime(),
    sizeBytes: stored.sizeBytes,
    content: stored.content,
    ...(attributes.length === 0 ? {} : { attributes }),
  };
}
