import { AppError, bug, throwIfAborted, toAppError } from "../../kernel/index.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { saveUnpacked } from "../unpacked.ts";
import { formatLock } from "./lock-file.ts";
import { findConflict } from "./conflicts.ts";
import type { LockOwner } from "./conflicts.ts";

/**
 * A restic lock, held and refreshed until disposed.
 *
 *   write our file -> list the others -> wait -> list them again -> held
 *                          |conflict                 |conflict
 *                          +--> remove ours <--------+--> `repository.locked`
 *   held: every 5 minutes a new file, then the old one goes; 25 minutes without one -> `signal` aborts (`lock_lost`)
 *
 * Ours is written before the first look, so that the age of the others is judged by the store's clock and not by ours.
 */
const WAIT_BEFORE_SECOND_LOOK_MS = 200;
const REFRESH_MS = 5 * 60_000;
const RETRY_REFRESH_MS = 60_000;
/** restic takes a lock of 30 minutes for stale; we stop writing well before. */
const GIVE_UP_MS = 25 * 60_000;

export interface LockOptions {
  readonly exclusive: boolean;
  readonly owner: LockOwner;
  readonly signal?: AbortSignal;
}

export interface Lock extends AsyncDisposable {
  /** Aborts when the lock can no longer be vouched for. */
  readonly signal: AbortSignal;
  /** Throws `lock_lost` unless our file is still there and fresh. Asked right before a snapshot is written. */
  requireHeld(signal?: AbortSignal): Promise<void>;
  /** Our clock and the store's at about one moment: when our file was written, as each of them has it. */
  clocks(signal?: AbortSignal): Promise<LockClocks>;
  /** Now, by the store's clock: refreshes the lock and asks when its new file was stored. Never ahead of the store. */
  storeTime(signal?: AbortSignal): Promise<Date>;
}

export interface LockClocks {
  readonly ours: Date;
  readonly stores: Date;
}

interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

function momentOf({ clock }: RepositoryCore): Moment {
  return { wallMs: clock.now().getTime(), monotonicMs: clock.monotonicMs() };
}

export async function acquireLock(core: RepositoryCore, options: LockOptions): Promise<Lock> {
  return await (
    await beginLock(core, options)
  ).held;
}

/**
 * Returns after the first look, with the second one under way in `held`, which never goes unhandled. Who comes after the
 * first look sees our file and turns back, so what is read from then on is as good as read under the lock, once `held`
 * has resolved; when it rejects, it counts for nothing. Nothing may be written or decided before.
 */
export async function beginLock(
  core: RepositoryCore,
  options: LockOptions,
): Promise<{ readonly held: Promise<Lock> }> {
  throwIfAborted(options.signal);
  const id = await writeLock(core, options, options.signal);
  await removedUnless(core, id, () => requireNoConflict(core, options, id));
  const held = removedUnless(core, id, async () => {
    await core.clock.sleep(WAIT_BEFORE_SECOND_LOOK_MS, options.signal);
    await requireNoConflict(core, options, id);
    return new HeldLock(core, options, id);
  });
  held.catch(() => undefined);
  return { held };
}

async function removedUnless<Result>(
  core: RepositoryCore,
  id: string,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    await removeLocks(core, new Set([id]));
    throw thrown;
  }
}

class HeldLock implements Lock {
  readonly #core: RepositoryCore;
  readonly #options: LockOptions;
  readonly #lost = new AbortController();
  readonly #ticker: Disposable;
  /** Files of ours that a newer one replaced, until they are gone. */
  readonly #old = new Set<string>();
  #id: string;
  #refreshedAt: Moment;
  #refreshing: Promise<void> | undefined;

  constructor(core: RepositoryCore, options: LockOptions, id: string) {
    this.#core = core;
    this.#options = options;
    this.#id = id;
    this.#refreshedAt = momentOf(core);
    this.#ticker = core.clock.every(RETRY_REFRESH_MS, () => this.#tick());
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  async requireHeld(signal?: AbortSignal): Promise<void> {
    await this.clocks(signal);
  }

  async clocks(signal?: AbortSignal): Promise<LockClocks> {
    if (this.#ageMs() >= GIVE_UP_MS) this.#abandon("too old to be vouched for");
    throwIfAborted(this.#lost.signal);
    await this.#refreshing;
    const options = signal === undefined ? {} : { signal };
    // Again where a refresh put another in its place meanwhile.
    for (let looked = ""; looked !== this.#id;) {
      looked = this.#id;
      const ours = new Date(this.#refreshedAt.wallMs);
      const stat = await this.#core.store.stat(objectKey.lock(looked), options);
      if (stat !== undefined) return { ours, stores: stat.modifiedAt };
    }
    this.#abandon("that was removed by someone else");
    throwIfAborted(this.#lost.signal);
    throw bug("lock that was given up without a reason");
  }

  async storeTime(signal?: AbortSignal): Promise<Date> {
    await this.#refreshing;
    this.#startRefresh();
    await this.#refreshing;
    return (await this.clocks(signal)).stores;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ticker[Symbol.dispose]();
    await this.#refreshing;
    await removeLocks(this.#core, this.#old.add(this.#id));
  }

  /**
   * By the wall clock, so that the hours of a suspended machine count, whose monotonic clock may have stood still; and by
   * the monotonic one, because a wall clock may be set back.
   */
  #ageMs(): number {
    const now = momentOf(this.#core);
    const { wallMs, monotonicMs } = this.#refreshedAt;
    return Math.max(now.wallMs - wallMs, now.monotonicMs - monotonicMs);
  }

  #tick(): void {
    const ageMs = this.#ageMs();
    if (ageMs >= GIVE_UP_MS) this.#abandon("that could not be refreshed for 25 minutes");
    if (ageMs < REFRESH_MS || this.#refreshing !== undefined || this.#lost.signal.aborted) return;
    this.#startRefresh();
  }

  #startRefresh(): void {
    this.#refreshing = this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
  }

  /**
   * Never rejects: a refresh that fails is tried again a minute later, until the lock is given up. The file before must be
   * there still when the new one is: were it gone, somebody may have been alone on the repository in between.
   */
  async #refresh(): Promise<void> {
    let id: string | undefined;
    try {
      const startedAt = momentOf(this.#core);
      id = await writeLock(this.#core, this.#options, this.#lost.signal);
      const before = await this.#core.store.stat(objectKey.lock(this.#id), {
        signal: this.#lost.signal,
      });
      if (before === undefined) {
        this.#abandon("that was removed by someone else");
        await removeLocks(this.#core, this.#old.add(id));
        return;
      }
      this.#old.add(this.#id);
      this.#id = id;
      this.#refreshedAt = startedAt;
      await removeLocks(this.#core, this.#old);
    } catch (thrown) {
      // Written, and not known to follow on: it goes with the next that does.
      if (id !== undefined && id !== this.#id) this.#old.add(id);
      this.#core.log?.warn({ err: toAppError(thrown), lock: this.#id }, "lock refresh");
    }
  }

  #abandon(what: string): void {
    const lock = this.#id;
    this.#lost.abort(repositoryError("lock_lost", { message: `lock ${what}`, subject: { lock } }));
  }
}

async function writeLock(
  core: RepositoryCore,
  { owner, exclusive }: LockOptions,
  signal: AbortSignal | undefined,
): Promise<string> {
  const lock = formatLock({ time: core.clock.now(), exclusive, ...owner });
  return (await saveUnpacked(core, "lock", lock, signal)).id;
}

/**
 * Not stopped by an abort: a lock left behind stands in others' way for half an hour. That is all it does, so a store that
 * refuses to remove one is no failure of what was done under it: a committed snapshot stays a success. What could not be
 * removed stays in `ids`.
 */
async function removeLocks(core: RepositoryCore, ids: Set<string>): Promise<void> {
  for (const id of ids) {
    try {
      await core.store.remove(objectKey.lock(id));
      ids.delete(id);
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      core.log?.warn({ err: thrown, lock: id }, "lock left behind");
    }
  }
}

async function requireNoConflict(
  core: RepositoryCore,
  options: LockOptions,
  ownId: string,
): Promise<void> {
  const conflict = await findConflict(core, { ...options, ownId });
  if (conflict !== undefined) throw lockedBy(conflict.id, conflict.lock);
}

function lockedBy(
  id: string,
  lock: { hostname: string; pid: number; time: Date; exclusive: boolean },
): AppError {
  const since = lock.time.toISOString();
  const kind = lock.exclusive ? "exclusively locked" : "locked";
  return repositoryError("locked", {
    message: `repository ${kind} by process ${lock.pid} on ${lock.hostname} since ${since}`,
    subject: { lock: id, hostname: lock.hostname, pid: lock.pid, since, exclusive: lock.exclusive },
  });
}
