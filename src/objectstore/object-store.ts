import type { Bytes } from "../kernel/index.ts";

export interface ObjectStat {
  readonly key: string;
  readonly sizeBytes: number;
  /** The store's clock, not ours; lock ages are judged by it. */
  readonly modifiedAt: Date;
  /**
   * The store does not tell ages: `modifiedAt` is its clock when we saw the object first, which may be much later than
   * it was written. Absent where `modifiedAt` is what it says.
   */
  readonly seenOnly?: true;
}

export interface WaitOptions {
  readonly signal?: AbortSignal;
}

export interface GetOptions extends WaitOptions {
  /**
   * Gives memory to read an object of so many bytes into: exactly so long. Asked at most once a read; a driver that cannot
   * read into memory of others does not ask. What it gave is the caller's again when the read failed.
   */
  readonly room?: (sizeBytes: number) => Bytes;
}

export interface PutOptions extends WaitOptions {
  /** Fails with `objectstore.exists` when the key is taken. Every write of a repository is write-once. */
  readonly ifAbsent?: boolean;
  /** `bulk`: may lie in the cheaper storage class that the store was opened with. Only data packs are; all else stays hot. */
  readonly tier?: "bulk";
}

/** Too large for memory. */
export interface LargeBody {
  readonly sizeBytes: number;
  /** Of all bytes, for stores that compare it before the object appears. */
  readonly md5: Bytes;
  /** From the beginning, the same bytes each time: an attempt that failed is repeated. */
  open(): AsyncIterable<Bytes>;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * Bytes by key. Keys are `/`-separated, relative, of the closed alphabet that a repository uses
 * (`[A-Za-z0-9._-]`, no empty, `.` or `..` part).
 *
 * Errors: `objectstore.not_found`, `.exists`, `.unavailable` (retry), `.denied`, `.full`, `.truncated`, `.invalid_key`;
 * of some stores `.no_place`; of those behind a network `.tls_refused`, `.bucket_missing`.
 */
export interface ObjectStore {
  /** For people, without credentials. */
  readonly location: string;

  /**
   * Durable when this returns: the bytes, their size compared, and the name (a crash of the machine loses neither).
   * Never leaves a partial object under `key`, also when it fails or is aborted. `body` is a list so that a pack is
   * never concatenated; it is not changed and not kept.
   */
  put(key: string, body: readonly Bytes[], options?: PutOptions): Promise<void>;

  /**
   * As `put`, streamed: for single files of any size, never for what a repository holds. Absent where a store takes no
   * streams; ask `putLarge()` of large.ts.
   */
  readonly putLarge?: (key: string, body: LargeBody, options?: PutOptions) => Promise<void>;

  /** The whole object. */
  get(key: string, options?: GetOptions): Promise<Bytes>;

  /** Exactly `range.length` bytes, or `objectstore.truncated` where the object ends before. */
  getRange(key: string, range: ByteRange, options?: WaitOptions): Promise<Bytes>;

  /** `undefined` when there is no such object. */
  stat(key: string, options?: WaitOptions): Promise<ObjectStat | undefined>;

  /** Every object below `prefix` (`""`, or a folder with its trailing `/`), in no promised order, streamed. */
  list(prefix: string, options?: WaitOptions): AsyncIterable<ObjectStat>;

  /** Gone when this returns; a key that is not there is no error. */
  remove(key: string, options?: WaitOptions): Promise<void>;

  /** Only where the store can hold objects against removal. */
  readonly lock?: ObjectLock;
  /** Only where the store keeps older versions of its objects. */
  readonly versions?: ObjectVersions;
  /** Only of stores behind a network. */
  readonly connection?: () => ConnectionFacts;
  /** Only of stores that may keep less than they promise: tried with objects of its own, which it removes. */
  readonly probe?: (options?: WaitOptions) => Promise<StoreFacts>;
}

/** What a store does, as seen and not as announced. `unknown`: the credentials do not suffice to see it. */
export interface StoreFacts {
  /** What `ifAbsent` rests on: a taken key is refused, overwritten all the same, or the request not understood. */
  readonly conditionalWrites: "honoured" | "ignored" | "refused" | "unknown";
  /** Whether a locked version stays when it is removed; `none`: the store has no locks. */
  readonly lock: "enforced" | "not enforced" | "none" | "unknown";
  /** Whether these credentials may remove what is locked in governance mode. */
  readonly lockBypass: boolean | "unknown";
  /** Whether it keeps what is put over or removed now. */
  readonly versioned: boolean | "unknown";
}

export type LockMode = "governance" | "compliance";

export interface Retention {
  readonly mode: LockMode;
  readonly until: Date;
}

/** S3's Object Lock: nobody, or nobody without a special right, removes the locked version before its time. */
export interface ObjectLock {
  /** Of the newest version, as the store has it now; `undefined` where it carries none. */
  retentionOf(key: string, options?: WaitOptions): Promise<Retention | undefined>;
  /** At least this when it returns, as read back. Never shortens what is there. `not_found` without the object. */
  extend(key: string, retention: Retention, options?: WaitOptions): Promise<void>;
}

export interface ObjectVersion extends ObjectStat {
  /** The store's own name of it. */
  readonly version: string;
  /** Whether it is what the key shows now. */
  readonly newest: boolean;
  /** A mark that says "removed", without bytes. */
  readonly removed: boolean;
}

export interface ObjectVersions {
  /** The store keeps what it had and nothing new: what is put or removed now may end what was the newest for good. */
  readonly suspended?: true;
  /**
   * All of them, marks of removal included. The versions of one key come together, the newest first; keys in no promised
   * order.
   */
  list(prefix: string, options?: WaitOptions): AsyncIterable<ObjectVersion>;
  get(key: string, version: string, options?: WaitOptions): Promise<Bytes>;
  getRange(key: string, version: string, range: ByteRange, options?: WaitOptions): Promise<Bytes>;
}

/** What was seen on the wire since the store was opened. */
export interface ConnectionFacts {
  /** As negotiated, `TLSv1.3`; several where servers differ; none before the first answer and for plain http. */
  readonly tls: readonly string[];
  /** A plain connection was made, to loopback. */
  readonly plain: boolean;
}
