import type { Retention } from "../../objectstore/index.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { loadIndex } from "../index/load-index.ts";
import { listIds } from "../list.ts";
import { acquireLock } from "../lock/lock.ts";
import type { LockOwner } from "../lock/conflicts.ts";
import { inParallel } from "../parallel.ts";
import type { PointLock, Repository, Snapshot } from "../types.ts";
import { unpackedPrefix } from "../unpacked.ts";
import { LOCK_REQUESTS, lockObjects, requireObjectLock } from "./extend-locks.ts";
import { lockNewSnapshot } from "./lock-point.ts";
import { keysOfTree, storeTime } from "./lock-snapshot.ts";

/** Objects that many points need are locked once in so long, until then and so much more. */
const SLACK_MS = 60 * 60_000;

/**
 * Locks points that come from elsewhere (copy, rekey, rewrite): all that a tree needs before its snapshot is written, then
 * the snapshot's own file. Whoever brings them holds a lock of the repository meanwhile.
 */
export class PointLocker {
  readonly #repository: Repository;
  readonly #core: RepositoryCore;
  readonly #lock: PointLock;
  readonly #signal: AbortSignal | undefined;
  #reckoned: { readonly at: Date; readonly retention: Retention } | undefined;
  #looked: { readonly files: string; readonly index: BlobIndex } | undefined;
  #locked = new Set<string>();
  #earliest: Date | undefined;

  /** Throws `object_lock_missing` where the store has none: before anything is brought there. */
  constructor(repository: Repository, lock: PointLock, signal?: AbortSignal) {
    this.#repository = repository;
    this.#core = coreOf(repository);
    this.#lock = lock;
    this.#signal = signal;
    requireObjectLock(this.#core.store);
  }

  /** Of what was locked the earliest end, as read back. */
  get lockedUntil(): Date | undefined {
    return this.#earliest;
  }

  readonly beforeSnapshot = async (tree: string): Promise<void> => {
    const retention = await this.#retention();
    const wanted = [...(await this.#needsOf(tree)), ...(await this.#always())];
    const fresh = wanted.filter((key) => !this.#locked.has(key));
    await lockObjects(this.#core.store, fresh, retention, this.#signal);
    for (const key of fresh) this.#locked.add(key);
  };

  readonly afterSnapshot = async (id: string): Promise<void> => {
    const retention = await this.#retention();
    await lockNewSnapshot(this.#core, id, retention, this.#signal);
    this.#note(retention);
  };

  /**
   * Those that were there before and whose own file carries no lock: of a run that was cut, or from before the policy asked
   * for one. Returns how many these were.
   */
  async lockUnlocked(snapshots: readonly Snapshot[], owner: LockOwner): Promise<number> {
    const unlocked = await this.#withoutLock(snapshots);
    if (unlocked.length === 0) return 0;
    const waits = this.#signal === undefined ? {} : { signal: this.#signal };
    await using _lock = await acquireLock(this.#core, { exclusive: false, owner, ...waits });
    for (const { id, tree } of unlocked) {
      await this.beforeSnapshot(tree);
      const retention = await this.#retention();
      await lockObjects(this.#core.store, [objectKey.snapshot(id)], retention, this.#signal);
      this.#note(retention);
    }
    return unlocked.length;
  }

  async #withoutLock(snapshots: readonly Snapshot[]): Promise<readonly Snapshot[]> {
    const lock = requireObjectLock(this.#core.store);
    const signal = this.#signal;
    const found: Snapshot[] = [];
    await inParallel(snapshots, { lanes: LOCK_REQUESTS, signal }, async (snapshot) => {
      const key = objectKey.snapshot(snapshot.id);
      const held = await lock.retentionOf(key, signal === undefined ? {} : { signal });
      if (held === undefined) found.push(snapshot);
    });
    return found;
  }

  /** By the store's clock, anew each time that a point could otherwise be held shorter than it asks. */
  async #retention(): Promise<Retention> {
    const waits = this.#signal === undefined ? {} : { signal: this.#signal };
    const now = await storeTime(this.#repository, waits);
    const ageMs = now.getTime() - (this.#reckoned?.at.getTime() ?? 0);
    if (this.#reckoned !== undefined && ageMs >= 0 && ageMs <= SLACK_MS) {
      return this.#reckoned.retention;
    }
    const until = this.#lock.until(new Date(now.getTime() + SLACK_MS));
    const retention = { mode: this.#lock.mode, until };
    this.#reckoned = { at: now, retention };
    this.#locked = new Set();
    return retention;
  }

  async #needsOf(tree: string): Promise<readonly string[]> {
    return keysOfTree(this.#core, await this.#index(), tree, this.#signal);
  }

  /** Read again where there are other files: packs that were lost and stored anew are listed by those. */
  async #index(): Promise<BlobIndex> {
    const ids = await listIds(this.#core.store, unpackedPrefix.index, this.#signal);
    const files = ids.join(" ");
    if (this.#looked?.files === files) return this.#looked.index;
    const index = await loadIndex(this.#core, this.#signal);
    this.#looked = { files, index };
    return index;
  }

  async #always(): Promise<readonly string[]> {
    const keys = await listIds(this.#core.store, "keys/", this.#signal);
    return [objectKey.config, ...keys.map(objectKey.key)];
  }

  #note({ until }: Retention): void {
    if (this.#earliest === undefined || until < this.#earliest) this.#earliest = until;
  }
}
