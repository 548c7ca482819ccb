import type { Retention } from "../../objectstore/index.ts";
import { Bitset } from "../bitset.ts";
import { coreOf, objectKey } from "../core.ts";
import { loadIndex } from "../index/load-index.ts";
import { BlobReader } from "../read/blob-reader.ts";
import type { Repository, Snapshot } from "../types.ts";
import { lockObjects } from "./extend-locks.ts";
import { lockNeeds } from "./lock-point.ts";
import { indexKeys, packKeys } from "./needed-packs.ts";
import { pointNeeds } from "./point-needs.ts";

/**
 * Locks a point that is there already, with everything that it needs: to hold it longer, or after it was copied. Every
 * place of a blob is locked. The caller holds a shared lock of the repository, or a prune may take what is to be locked.
 */
export async function lockSnapshot(
  repository: Repository,
  snapshot: Snapshot,
  retention: Retention,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const core = coreOf(repository);
  const index = await loadIndex(core, signal);
  const needs = await pointNeeds(new BlobReader(core, index), snapshot.tree, signal);
  const packs = new Bitset(index.packIds.length);
  for (const number of index.packIds.keys()) if (needs.packs.has(number)) packs.add(number);
  for (const number of needs.choices.flat()) packs.add(number);
  await lockNeeds(core, [...packKeys(index, packs), ...indexKeys(index, packs)], retention, signal);
  await lockObjects(core.store, [objectKey.snapshot(snapshot.id)], retention, signal);
}
