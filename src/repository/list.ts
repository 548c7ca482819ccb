import { isHexId } from "../kernel/index.ts";
import type { ObjectStat, ObjectStore } from "../objectstore/index.ts";

const PACKS = "data/";

/**
 * Files below `prefix` whose last part is an id, sorted by it. Foreign files are tolerated, as restic does. Only packs lie
 * deeper than in the folder itself: a file elsewhere whose name is an id is not the object of that id.
 */
export async function listFiles(
  store: ObjectStore,
  prefix: string,
  signal?: AbortSignal,
): Promise<readonly (ObjectStat & { readonly id: string })[]> {
  const found: (ObjectStat & { readonly id: string })[] = [];
  for await (const stat of store.list(prefix, signal === undefined ? {} : { signal })) {
    const id = stat.key.slice(stat.key.lastIndexOf("/") + 1);
    if (isHexId(id) && (prefix === PACKS || stat.key === prefix + id)) found.push({ ...stat, id });
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

export async function listIds(
  store: ObjectStore,
  prefix: string,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  return (await listFiles(store, prefix, signal)).map(({ id }) => id);
}
