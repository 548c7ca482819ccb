import { AppError } from "../../kernel/index.ts";
import type { LockMode, ObjectLock, Retention } from "../../objectstore/index.ts";
import { Bitset } from "../bitset.ts";
import { coreOf, objectKey } from "../core.ts";
import { inParallel } from "../parallel.ts";
import type { RepositoryCore } from "../core.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { loadIndex } from "../index/load-index.ts";
import { BlobReader } from "../read/blob-reader.ts";
import type { Repository, Snapshot } from "../types.ts";
import { LOCK_REQUESTS, requireObjectLock } from "./extend-locks.ts";
import { indexKeys, packKeys } from "./needed-packs.ts";
import { pointNeeds } from "./point-needs.ts";

/** By the store's clock; the weakest mode of all that the point needs. */
export type LockedUntil = Retention;

interface WaitOptions {
  readonly signal?: AbortSignal;
}

/** Reads locks for one look at a repository: an object that several points need is asked for once. */
export interface LockReader {
  /**
   * The least that is read back over everything the point needs; `undefined` where something carries no lock. One request
   * an object. A lock that has ended says so by its time: compare with the store's clock.
   */
  lockedUntil(snapshot: Snapshot, options?: WaitOptions): Promise<LockedUntil | undefined>;
}

export async function lockedUntil(
  repository: Repository,
  snapshot: Snapshot,
  options: WaitOptions = {},
): Promise<LockedUntil | undefined> {
  return (await acquireLockReader(repository, options)).lockedUntil(snapshot, options);
}

export async function acquireLockReader(
  repository: Repository,
  { signal }: WaitOptions = {},
): Promise<LockReader> {
  const core = coreOf(repository);
  const lock = requireObjectLock(core.store);
  return new Locks(core, lock, await loadIndex(core, signal), objectKey.key(repository.keyId));
}

class Locks implements LockReader {
  readonly #reader: BlobReader;
  readonly #lock: ObjectLock;
  readonly #index: BlobIndex;
  readonly #ownKey: string;
  readonly #known = new Map<string, Retention | undefined>();

  constructor(core: RepositoryCore, lock: ObjectLock, index: BlobIndex, ownKey: string) {
    this.#reader = new BlobReader(core, index);
    this.#lock = lock;
    this.#index = index;
    this.#ownKey = ownKey;
  }

  async lockedUntil(
    snapshot: Snapshot,
    { signal }: WaitOptions = {},
  ): Promise<LockedUntil | undefined> {
    const always = [objectKey.snapshot(snapshot.id), objectKey.config, this.#ownKey];
    // The snapshot's own lock comes last: without it there is nothing to walk for.
    await this.#ask(always, signal);
    const least = leastOf(always.map((key) => this.#known.get(key)));
    if (least === undefined) return undefined;
    const { packs, choices } = await pointNeeds(this.#reader, snapshot.tree, signal);
    const all = new Bitset(this.#index.packIds.length);
    for (const number of this.#numbers(packs)) all.add(number);
    for (const number of choices.flat()) all.add(number);
    await this.#ask(packKeys(this.#index, all), signal);
    await this.#ask(indexKeys(this.#index, all), signal);
    const held = this.#heldPacks(all);
    const single = this.#numbers(packs).map((number) => held.get(number));
    const chosen = choices.map((numbers) => bestOf(numbers.map((number) => held.get(number))));
    return leastOf([least, ...single, ...chosen]);
  }

  #numbers(packs: Bitset): number[] {
    return [...this.#index.packIds.keys()].filter((number) => packs.has(number));
  }

  /** A pack is held as long as both it and the best held of the index files that list it. */
  #heldPacks(packs: Bitset): ReadonlyMap<number, Retention | undefined> {
    const listed = new Map<number, Retention | undefined>();
    for (const file of this.#index.files) {
      const retention = this.#known.get(objectKey.index(file.id));
      for (const number of file.packs) {
        if (packs.has(number)) listed.set(number, bestOf([listed.get(number), retention]));
      }
    }
    const held = new Map<number, Retention | undefined>();
    for (const [number, index] of listed) {
      const pack = this.#known.get(objectKey.pack(this.#index.packIds[number] ?? ""));
      held.set(number, leastOf([pack, index]));
    }
    return held;
  }

  async #ask(keys: Iterable<string>, signal: AbortSignal | undefined): Promise<void> {
    const options = signal === undefined ? {} : { signal };
    const unknown = [...keys].filter((key) => !this.#known.has(key));
    await inParallel(unknown, { lanes: LOCK_REQUESTS, signal }, async (key) => {
      this.#known.set(key, await this.#retentionOf(key, options));
    });
  }

  /** What is not there is not held. */
  async #retentionOf(key: string, options: WaitOptions): Promise<Retention | undefined> {
    try {
      return await this.#lock.retentionOf(key, options);
    } catch (thrown) {
      if (thrown instanceof AppError && thrown.code === "objectstore.not_found") return undefined;
      throw thrown;
    }
  }
}

function bestOf(retentions: readonly (Retention | undefined)[]): Retention | undefined {
  return retentions.reduce(
    (best, next) =>
      best === undefined || (next !== undefined && next.until > best.until) ? next : best,
    undefined,
  );
}

/** `undefined` where one of them is; the earliest end, in the weakest mode. */
function leastOf(retentions: readonly (Retention | undefined)[]): Retention | undefined {
  let until: Date | undefined;
  let mode: LockMode = "compliance";
  for (const retention of retentions) {
    if (retention === undefined) return undefined;
    if (until === undefined || retention.until < until) until = retention.until;
    if (retention.mode === "governance") mode = "governance";
  }
  return until === undefined ? undefined : { mode, until };
}
