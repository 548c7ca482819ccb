import { asBlobId, bug } from "../../kernel/index.ts";
import type { Retention } from "../../objectstore/index.ts";
import { Bitset } from "../bitset.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { loadIndex } from "../index/load-index.ts";
import { BlobReader } from "../read/blob-reader.ts";
import type { Repository, Snapshot } from "../types.ts";
import { lockObjects } from "./extend-locks.ts";
import { lockNeeds } from "./lock-point.ts";
import { indexKeys, packKeys } from "./needed-packs.ts";
import { pointNeeds } from "./point-needs.ts";

interface WaitOptions {
  readonly signal?: AbortSignal;
}

/**
 * Locks all that a snapshot of this tree needs, before it is written: for whoever brings trees from elsewhere. Then the
 * snapshot is put and {@link lockSnapshot} or `extendLocks` locks its own file. Every place of a blob is locked. The caller
 * holds a shared lock of the repository, or a prune may take what is to be locked.
 */
export async function lockTree(
  repository: Repository,
  tree: string,
  retention: Retention,
  { signal }: WaitOptions = {},
): Promise<void> {
  const core = coreOf(repository);
  const index = await loadIndex(core, signal);
  await lockNeeds(core, await keysOfTree(core, index, tree, signal), retention, signal);
}

/** Every place of every blob, then the index files that list them. */
export async function keysOfTree(
  core: RepositoryCore,
  index: BlobIndex,
  tree: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const needs = await pointNeeds(new BlobReader(core, index), asBlobId(tree), signal);
  const packs = new Bitset(index.packIds.length);
  for (const number of index.packIds.keys()) if (needs.packs.has(number)) packs.add(number);
  for (const number of needs.choices.flat()) packs.add(number);
  return [...packKeys(index, packs), ...indexKeys(index, packs)];
}

/** A point that is there already, with everything that it needs: to hold it longer. */
export async function lockSnapshot(
  repository: Repository,
  snapshot: Snapshot,
  retention: Retention,
  options: WaitOptions = {},
): Promise<void> {
  await lockTree(repository, snapshot.tree, retention, options);
  const own = [objectKey.snapshot(snapshot.id)];
  await lockObjects(coreOf(repository).store, own, retention, options.signal);
}

/**
 * The store's clock as of the newest lock file: minutes behind at most while a lock is held and refreshed, and never ahead.
 * For locks that are reckoned outside a writer.
 */
export async function storeTime(
  repository: Repository,
  { signal }: WaitOptions = {},
): Promise<Date> {
  const { store } = coreOf(repository);
  let newest: Date | undefined;
  for await (const { modifiedAt } of store.list("locks/", signal === undefined ? {} : { signal })) {
    if (newest === undefined || modifiedAt > newest) newest = modifiedAt;
  }
  if (newest === undefined) throw bug("store's time asked for without a lock of the repository");
  return newest;
}
