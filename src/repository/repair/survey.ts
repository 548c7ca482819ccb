import { throwIfAborted } from "../../kernel/index.ts";
import { Bitset } from "../bitset.ts";
import { groupByPack, positionsOf } from "../check/check-packs.ts";
import type { PackGroups } from "../check/check-packs.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { BlobIndex } from "../index/blob-index.ts";
import { takeIndexFiles } from "../index/load-index.ts";
import { packSizes } from "../index/lost-packs.ts";
import { listFiles } from "../list.ts";
import type { PackEntry } from "../pack/header.ts";

/** What a repair begins with: the index files that can be read, and the packs that are there. */
export interface Survey {
  readonly index: BlobIndex;
  /** Index files by id, with the numbers of the packs that each names. */
  readonly files: ReadonlyMap<string, Uint32Array>;
  readonly unreadableIndexes: readonly string[];
  /** Sizes of the packs in the store, by id. */
  readonly stored: ReadonlyMap<string, number>;
  /** By pack number: is it there, at exactly the size that the indexes give it? */
  readonly whole: Bitset;
  readonly groups: PackGroups;
}

export async function survey(core: RepositoryCore, signal?: AbortSignal): Promise<Survey> {
  const index = new BlobIndex();
  const files = new Map<string, Uint32Array>();
  const unreadableIndexes: string[] = [];
  for await (const taken of takeIndexFiles(core, index, signal)) {
    if ("error" in taken) unreadableIndexes.push(taken.id);
    else files.set(taken.id, taken.packs);
  }
  const stored = new Map<string, number>();
  for (const { id, key, sizeBytes } of await listFiles(core.store, "data/", signal)) {
    if (key === objectKey.pack(id)) stored.set(id, sizeBytes);
  }
  throwIfAborted(signal);
  const expected = packSizes(index);
  const whole = new Bitset(index.packIds.length);
  for (const [number, id] of index.packIds.entries()) {
    if (stored.get(id) === expected[number]) whole.add(number);
  }
  return { index, files, unreadableIndexes, stored, whole, groups: groupByPack(index) };
}

/** What the indexes say of one pack. */
export function entriesOf({ index, groups }: Survey, number: number): readonly PackEntry[] {
  return Array.from(positionsOf(groups, number), (position) => index.at(position));
}

/** Whether the same index files and packs are there as when the plan was made; new packs alone change nothing. */
export async function isStillSo(
  core: RepositoryCore,
  { files, unreadableIndexes, stored }: Survey,
  signal?: AbortSignal,
): Promise<boolean> {
  const known = new Set([...files.keys(), ...unreadableIndexes]);
  const indexes = await listFiles(core.store, "index/", signal);
  if (indexes.length !== known.size || indexes.some(({ id }) => !known.has(id))) return false;
  const left = new Map(stored);
  for (const { id, key, sizeBytes } of await listFiles(core.store, "data/", signal)) {
    if (key === objectKey.pack(id) && stored.get(id) === sizeBytes) left.delete(id);
  }
  return left.size === 0;
}
