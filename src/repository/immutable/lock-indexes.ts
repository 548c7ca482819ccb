import { AppError } from "../../kernel/index.ts";
import type { ObjectLock, Retention } from "../../objectstore/index.ts";
import { coreOf, objectKey } from "../core.ts";
import { loadIndex } from "../index/load-index.ts";
import { inParallel } from "../parallel.ts";
import type { Repository } from "../types.ts";
import { LOCK_REQUESTS, lockObjects, requireObjectLock } from "./extend-locks.ts";

export interface LockIndexesOptions {
  /** The index files that were written; all of them when left out. */
  readonly indexes?: readonly string[];
  /** Now, by the store's clock: a lock that has ended is not passed on. */
  readonly storeTime: Date;
  readonly signal?: AbortSignal;
}

/**
 * Index files that were written after the points whose packs they list (a prune puts many into few) are locked as long as
 * the longest held of these packs. To be called after the new files are durable and before an old one is removed.
 */
export async function lockIndexes(
  repository: Repository,
  { indexes, storeTime, signal }: LockIndexesOptions,
): Promise<void> {
  const core = coreOf(repository);
  const lock = requireObjectLock(core.store);
  const index = await loadIndex(core, signal);
  const wanted = indexes === undefined ? undefined : new Set(indexes);
  const files = index.files.filter(({ id }) => wanted === undefined || wanted.has(id));
  const numbers = new Set(files.flatMap(({ packs }) => [...packs]));
  const held = new Map<number, Retention>();
  await inParallel(numbers, { lanes: LOCK_REQUESTS, signal }, async (number) => {
    const key = objectKey.pack(index.packIds[number] ?? "");
    const retention = await retentionIfThere(lock, key, signal);
    if (retention !== undefined && retention.until > storeTime) held.set(number, retention);
  });
  for (const { id, packs } of files) {
    const longest = longestOf([...packs].flatMap((number) => held.get(number) ?? []));
    if (longest === undefined) continue;
    await lockObjects(core.store, [objectKey.index(id)], longest, signal);
  }
}

async function retentionIfThere(
  lock: ObjectLock,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Retention | undefined> {
  try {
    return await lock.retentionOf(key, signal === undefined ? {} : { signal });
  } catch (thrown) {
    // An index may list a pack that is lost; then there is nothing whose lock it must outlive.
    if (thrown instanceof AppError && thrown.code === "objectstore.not_found") return undefined;
    throw thrown;
  }
}

/** The latest end, in the strongest mode. */
function longestOf(retentions: readonly Retention[]): Retention | undefined {
  const [first] = retentions;
  if (first === undefined) return undefined;
  const until = retentions.reduce(
    (late, next) => (next.until > late ? next.until : late),
    first.until,
  );
  const strong = retentions.some(({ mode }) => mode === "compliance");
  return { mode: strong ? "compliance" : "governance", until };
}
