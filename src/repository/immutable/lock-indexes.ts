import { AppError } from "../../kernel/index.ts";
import type { ObjectLock, Retention } from "../../objectstore/index.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
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
  const idOf = (number: number): string => index.packIds[number] ?? "";
  const held = await heldAmong(lock, [...numbers].map(idOf), storeTime, signal);
  for (const { id, packs } of files) {
    const longest = longestOf([...packs].flatMap((number) => held.get(idOf(number)) ?? []));
    if (longest === undefined) continue;
    await lockObjects(core.store, [objectKey.index(id)], longest, signal);
  }
}

/** The same of one file that was just written, where these packs are all that it may have to outlive. */
export async function lockIndexLike(
  core: RepositoryCore,
  id: string,
  packs: Iterable<string>,
  { storeTime, signal }: Omit<LockIndexesOptions, "indexes">,
): Promise<void> {
  if (core.store.lock === undefined) return;
  const held = await heldAmong(core.store.lock, packs, storeTime, signal);
  const longest = longestOf([...held.values()]);
  if (longest === undefined) return;
  await lockObjects(core.store, [objectKey.index(id)], longest, signal);
}

async function heldAmong(
  lock: ObjectLock,
  packs: Iterable<string>,
  storeTime: Date,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Retention>> {
  const held = new Map<string, Retention>();
  await inParallel(packs, { lanes: LOCK_REQUESTS, signal }, async (id) => {
    const retention = await retentionIfThere(lock, objectKey.pack(id), signal);
    if (retention !== undefined && retention.until > storeTime) held.set(id, retention);
  });
  return held;
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
