import type { Bytes } from "../kernel/index.ts";

export interface ObjectStat {
  readonly key: string;
  readonly sizeBytes: number;
  /** The store's clock, not ours; lock ages are judged by it. */
  readonly modifiedAt: Date;
}

export interface WaitOptions {
  readonly signal?: AbortSignal;
}

export interface PutOptions extends WaitOptions {
  /** Fails with `objectstore.exists` when the key is taken. Every write of a repository is write-once. */
  readonly ifAbsent?: boolean;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * Bytes by key. Keys are `/`-separated, relative, of the closed alphabet that a repository uses
 * (`[A-Za-z0-9._-]`, no empty, `.` or `..` part).
 *
 * Errors: `objectstore.not_found`, `.exists`, `.unavailable` (retry), `.denied`, `.full`, `.truncated`, `.invalid_key`.
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

  /** The whole object. */
  get(key: string, options?: WaitOptions): Promise<Bytes>;

  /** Exactly `range.length` bytes, or `objectstore.truncated` where the object ends before. */
  getRange(key: string, range: ByteRange, options?: WaitOptions): Promise<Bytes>;

  /** `undefined` when there is no such object. */
  stat(key: string, options?: WaitOptions): Promise<ObjectStat | undefined>;

  /** Every object below `prefix` (`""`, or a folder with its trailing `/`), in no promised order, streamed. */
  list(prefix: string, options?: WaitOptions): AsyncIterable<ObjectStat>;

  /** Gone when this returns; a key that is not there is no error. */
  remove(key: string, options?: WaitOptions): Promise<void>;
}
