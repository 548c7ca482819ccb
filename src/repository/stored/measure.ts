import { AppError } from "../../kernel/index.ts";
import type { ObjectStat } from "../../objectstore/index.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { loadIndex } from "../index/load-index.ts";
import { listFiles } from "../list.ts";
import { loadSnapshots } from "../snapshots.ts";
import type { Repository, Snapshot } from "../types.ts";

/**
 * What a repository holds, as its store lists it and its indexes explain it: one listing, every index and every snapshot
 * file, no pack. What was stored between two snapshots is told by the store's clock, and only of what is still there.
 */
export interface StoredObjects {
  readonly objects: number;
  readonly bytes: number;
}

export interface MeasuredRepository {
  readonly snapshots: { readonly count: number; readonly oldest?: Date; readonly newest?: Date };
  /** Packs of data alone: the ones that may lie in the cheaper storage class. */
  readonly dataPacks: StoredObjects;
  /** Packs that hold trees. */
  readonly treePacks: StoredObjects;
  /** In the store and in no index: of a writer at work, or left behind. */
  readonly unlistedPacks: StoredObjects;
  /** In an index and not in the store. */
  readonly missingPacks: number;
  readonly indexes: StoredObjects;
  /** Snapshots, keys, the config, and records of ours. */
  readonly others: StoredObjects;
  /** Newest last; absent where the store does not tell when objects were stored. */
  readonly growth?: readonly StoredWith[];
}

/** What was stored after the snapshot before and not after this one. */
export interface StoredWith {
  readonly snapshot: string;
  readonly storedAt: Date;
  readonly packs: StoredObjects;
  readonly indexes: StoredObjects;
}

interface WaitOptions {
  readonly signal?: AbortSignal;
}

export async function measureRepository(
  repository: Repository,
  { signal }: WaitOptions = {},
): Promise<MeasuredRepository> {
  const core = coreOf(repository);
  const snapshots = await loadSnapshots(core, signal);
  const snapshotFiles = await listFiles(core.store, "snapshots/", signal);
  const index = await loadIndex(core, signal);
  const packs = await listFiles(core.store, "data/", signal);
  const indexes = await listFiles(core.store, "index/", signal);
  const others = [
    ...snapshotFiles,
    ...(await listFiles(core.store, "keys/", signal)),
    ...(await configOf(core, signal)),
    ...(await recordsOf(core, signal)),
  ];
  const stored = new Set(packs.map(({ id }) => id));
  const trees = packsWithTrees(index);
  const kindOf = (id: string): "data" | "tree" | "unlisted" => {
    const number = index.knownPackNumber(id);
    if (number === undefined) return "unlisted";
    return trees.has(number) ? "tree" : "data";
  };
  const kinds = Map.groupBy(packs, ({ id }) => kindOf(id));
  const growth = growthOf(snapshotFiles, packs, indexes);
  return {
    snapshots: { count: snapshots.length, ...spanOf(snapshots) },
    dataPacks: totalOf(kinds.get("data")),
    treePacks: totalOf(kinds.get("tree")),
    unlistedPacks: totalOf(kinds.get("unlisted")),
    missingPacks: index.packIds.filter((id) => !stored.has(id)).length,
    indexes: totalOf(indexes),
    others: totalOf(others),
    ...(growth === undefined ? {} : { growth }),
  };
}

function totalOf(files: readonly ObjectStat[] = []): StoredObjects {
  return {
    objects: files.length,
    bytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

function spanOf(snapshots: readonly Snapshot[]): {
  readonly oldest?: Date;
  readonly newest?: Date;
} {
  const [oldest, newest] = [snapshots[0], snapshots.at(-1)];
  if (oldest === undefined || newest === undefined) return {};
  return { oldest: oldest.time, newest: newest.time };
}

function packsWithTrees(index: BlobIndex): ReadonlySet<number> {
  const found = new Set<number>();
  for (let position = 0; position < index.size; position += 1) {
    if (index.isTreeAt(position)) found.add(index.packNumberAt(position));
  }
  return found;
}

async function configOf(
  { store }: RepositoryCore,
  signal: AbortSignal | undefined,
): Promise<readonly ObjectStat[]> {
  const found = await store.stat(objectKey.config, signal === undefined ? {} : { signal });
  return found === undefined ? [] : [found];
}

/** A store without room for records has none. */
async function recordsOf(
  { store }: RepositoryCore,
  signal: AbortSignal | undefined,
): Promise<readonly ObjectStat[]> {
  try {
    return await Array.fromAsync(store.list("sparekeep/", signal === undefined ? {} : { signal }));
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "objectstore.no_place") return [];
    throw thrown;
  }
}

type ListedFile = ObjectStat & { readonly id: string };

function growthOf(
  snapshots: readonly ListedFile[],
  packs: readonly ListedFile[],
  indexes: readonly ListedFile[],
): readonly StoredWith[] | undefined {
  if ([...snapshots, ...packs, ...indexes].some(({ seenOnly }) => seenOnly === true)) {
    return undefined;
  }
  const byTime = (files: readonly ListedFile[]): readonly ListedFile[] =>
    files.toSorted((a, b) => a.modifiedAt.getTime() - b.modifiedAt.getTime());
  const takePacks = takeUntil(byTime(packs));
  const takeIndexes = takeUntil(byTime(indexes));
  return byTime(snapshots).map(({ id, modifiedAt }) => ({
    snapshot: id,
    storedAt: modifiedAt,
    packs: totalOf(takePacks(modifiedAt)),
    indexes: totalOf(takeIndexes(modifiedAt)),
  }));
}

/** Of files by time: with each call those that came up to then and were not taken yet. */
function takeUntil(files: readonly ListedFile[]): (until: Date) => readonly ListedFile[] {
  let at = 0;
  return (until) => {
    const from = at;
    while ((files[at]?.modifiedAt ?? Infinity) <= until) at += 1;
    return files.slice(from, at);
  };
}
