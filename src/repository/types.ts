import type {
  AppError,
  BlobId,
  Bytes,
  Clock,
  KeyId,
  Log,
  RandomBytes,
  Secret,
  SnapshotId,
} from "../kernel/index.ts";
import type { LockMode, ObjectStore } from "../objectstore/index.ts";
import type { CreateSealer } from "./sealer.ts";

/** Average chunk: about 5 KiB for small tables and 64 KiB for others (updates are scattered), 1 MiB for files. */
export type EntryKind = "small-table" | "table" | "file";

export interface RepositoryContext {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log?: Log;
  /** How blobs are sealed; by default by a pool of worker threads. */
  readonly createSealer?: CreateSealer;
  /** What a pack aims at, 16 MiB by default; tests fill many small ones. */
  readonly packBytes?: number;
}

export interface KeyDerivationCost {
  /** scrypt N, r, p as restic's key file states them. */
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

export interface OpenOptions {
  readonly password: Secret;
  readonly signal?: AbortSignal;
  /** Made ready while the password's key is derived; whatever else is asked works as well. */
  readonly next?: NextWork;
}

export type NextWork = "write" | "check" | "check data";

export interface CreateOptions extends Omit<OpenOptions, "next"> {
  readonly hostname: string;
  readonly username: string;
  /** Tests only; by default calibrated as restic does, never below N=32768, r=8, p=1. */
  readonly cost?: KeyDerivationCost;
}

/** An opened repository: master key and config in memory, no lock held, index not yet read. */
export interface Repository {
  /** restic's `config.id`, 64 hex digits. */
  readonly id: string;
  readonly keyId: KeyId;
  readonly location: string;
  /** HKDF-SHA256 of the master key, 32 bytes; the same on every machine and for every password. */
  deriveKey(label: string): Bytes;
  /** All of them, oldest first. */
  snapshots(options?: { signal?: AbortSignal }): Promise<readonly Snapshot[]>;
  /** `latest`, a full id or an unambiguous prefix; `repository.snapshot_not_found` otherwise. */
  resolveSnapshot(reference: string, options?: { signal?: AbortSignal }): Promise<Snapshot>;
  /** Takes a shared restic lock, refreshed until disposed, and reads the index. */
  acquireWriter(options: WriterOptions): Promise<SnapshotWriter>;
  /** Reads the index. Takes no lock: prune by others is detected as `repository.blob_not_found`. */
  acquireReader(options?: { signal?: AbortSignal }): Promise<SnapshotReader>;
  check(options: CheckOptions): Promise<CheckReport>;
}

export interface Snapshot {
  readonly id: SnapshotId;
  readonly time: Date;
  readonly hostname: string;
  readonly username: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  readonly tree: BlobId;
  readonly parent?: SnapshotId;
  /** The snapshot that this one was copied, rewritten or tagged from: restic's persistent id across repositories. */
  readonly original?: SnapshotId;
  readonly programVersion?: string;
}

export interface WriterOptions {
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: WriteProgress) => void;
  /** Object Lock of the snapshot and of all that it needs, old and new; without it nothing is locked. */
  readonly lock?: PointLock;
}

export interface PointLock {
  readonly mode: LockMode;
  /** The snapshot's own end, from the store's clock as it is when the snapshot is written. */
  readonly until: (storeTime: Date) => Date;
}

export interface WriteProgress {
  /** Plain bytes taken in so far. */
  readonly readBytes: number;
  /** Bytes acknowledged by the store so far. */
  readonly writtenBytes: number;
  readonly blobsNew: number;
  readonly blobsKnown: number;
}

/** True path below the snapshot's root, raw bytes as UTF-8 or Buffer; names may hold anything, escaping is ours. */
export type EntryPath = readonly (string | Bytes)[];

export interface FileMetadata {
  readonly kind: EntryKind;
  readonly modifiedAt: Date;
  /** Permission bits; default 0o600, folders 0o700. */
  readonly mode?: number;
  readonly extendedAttributes?: Readonly<Record<string, Bytes>>;
}

export interface SavedFile {
  readonly sizeBytes: number;
  /** SHA-256 of the plain content, hex. */
  readonly sha256: string;
  readonly blobs: number;
  /** Bytes of blobs that the repository did not hold before, sealed. */
  readonly newBytes: number;
}

export interface SnapshotOptions {
  readonly time: Date;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  /**
   * Everything that the snapshot needs is durable, the snapshot itself is not there yet: what is recorded of it here, nobody
   * ever sees it without. What this throws ends the commit.
   */
  readonly beforeSnapshot?: (id: SnapshotId) => Promise<void>;
}

export interface SnapshotSummary {
  readonly id: SnapshotId;
  readonly tree: BlobId;
  readonly files: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly blobsNew: number;
  readonly blobsKnown: number;
  /** Read back over everything that the snapshot needs; only of a writer with a lock. */
  readonly lockedUntil?: Date;
}

/** All of a file, not to be touched before it is saved; or a stream, whose buffers are its own again with each next one. */
export type Content = Bytes | AsyncIterable<Bytes>;

/**
 * One snapshot being written. `saveFile` may run concurrently for different paths. Memory is bounded by back-pressure
 * on the content streams. Nothing refers to what was written until `commit` returned; dispose without commit leaves
 * unreferenced packs at most, and releases the lock.
 */
export interface SnapshotWriter extends AsyncDisposable {
  saveFile(path: EntryPath, content: Content, metadata: FileMetadata): Promise<SavedFile>;
  /** Takes a saved file out of the snapshot again; `repository.path_not_found` when there is none. Its blobs stay stored. */
  discard(path: EntryPath): void;
  /** Data, then index, then snapshot (I1); each acknowledged by the store before the next is begun. Once only. */
  commit(options: SnapshotOptions): Promise<SnapshotSummary>;
}

export interface Entry {
  /** True names, unescaped and unsharded. */
  readonly path: readonly Bytes[];
  readonly type: "file" | "dir" | "symlink" | "other";
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  readonly mode: number;
  readonly extendedAttributes: Readonly<Record<string, Bytes>>;
  /** For `SnapshotReader.read`; opaque. */
  readonly content: readonly BlobId[];
  /** Of a symlink: raw bytes, never followed by us. */
  readonly linkTarget?: Bytes;
}

export interface SnapshotReader {
  /** Depth first, parents before children, sorted by name. `below` names a folder or a file. */
  entries(
    snapshot: Snapshot,
    options?: { below?: EntryPath; recursive?: boolean; signal?: AbortSignal },
  ): AsyncIterable<Entry>;
  /** `repository.path_not_found` when absent. */
  find(snapshot: Snapshot, path: EntryPath, options?: { signal?: AbortSignal }): Promise<Entry>;
  /** Each blob's hash compared; read ahead with bounded memory; every index candidate is tried before `corrupt`. */
  read(entry: Entry, options?: { signal?: AbortSignal }): AsyncIterable<Bytes>;
  /** Whether some index places this blob in a pack: what a read-back check of a fresh snapshot asks for each blob. */
  holds(blob: BlobId): boolean;
  /** Indexes that place one blob at different packs or lengths (restic-format §5, index poisoning). */
  readonly conflicts: readonly IndexConflict[];
}

export interface IndexConflict {
  readonly blob: BlobId;
  readonly packs: readonly string[];
}

/** A pack that an index names and the store has. */
export interface CheckablePack {
  readonly id: string;
  readonly sizeBytes: number;
  /** By the store's clock. */
  readonly storedAt: Date;
}

/** restic's `--read-data-subset`: part n of t by the first byte of ids, or so much drawn anew each time. */
export type ReadSubset =
  | { readonly part: number; readonly of: number }
  | { readonly percent: number }
  | { readonly bytes: number };

export interface CheckOptions {
  /** Also reads packs in full and hashes every blob in them: every pack, or those that `choose` answers. */
  readonly readData: boolean;
  /** Which packs `readData` reads, by id. */
  readonly choose?: (packs: readonly CheckablePack[]) => Iterable<string>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: {
    readonly doneBytes: number;
    readonly totalBytes: number;
    readonly step: string;
  }) => void;
}

export interface CheckFinding {
  /** `information` is no fault: packs that no snapshot needs yet or any more. */
  readonly severity: "error" | "warning" | "information";
  /** The closed list in `check/findings.ts`. */
  readonly code: string;
  readonly message: string;
  readonly subject: Readonly<Record<string, string>>;
}

export interface CheckReport {
  readonly findings: readonly CheckFinding[];
  readonly snapshots: number;
  readonly packs: number;
  readonly blobs: number;
  readonly readBytes: number;
  readonly readPacks: number;
  /** Of all packs that indexes name and the store has: what reading everything would have read. */
  readonly totalBytes: number;
  /** Packs that were to be read and were not, because the store was away: nothing is known of them. */
  readonly unreadPacks: number;
  readonly unreadReason?: AppError;
  /** Packs that were read in full and found without fault. */
  readonly goodPacks: readonly string[];
  /** What `choose` chose from. */
  readonly checkable: readonly CheckablePack[];
}

export type CreateRepository = (
  context: RepositoryContext,
  options: CreateOptions,
) => Promise<Repository>;
export type OpenRepository = (
  context: RepositoryContext,
  options: OpenOptions,
) => Promise<Repository>;
