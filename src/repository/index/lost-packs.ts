import { Bitset } from "../bitset.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { headerEntryBytes, packOverheadBytes } from "../pack/header.ts";
import type { BlobIndex } from "./blob-index.ts";

/** A warning names so many of them; a check names all. */
const MAX_NAMED = 8;

/** By pack number: what a pack weighs that holds exactly what the indexes place in it. */
export function packSizes(index: BlobIndex): Float64Array {
  const sizes = new Float64Array(index.packIds.length).fill(packOverheadBytes(0));
  for (let position = 0; position < index.size; position += 1) {
    const headerBytes = headerEntryBytes(index.compressedAt(position));
    const number = index.packNumberAt(position);
    sizes[number] = (sizes[number] ?? 0) + index.lengthAt(position) + headerBytes;
  }
  return sizes;
}

/**
 * Makes a writer store again what lies in packs that the store does not list at the size which the indexes give them
 * (docs/spec/repository.md, R9). Asked after the indexes were read: a pack is durable before an index names it, so those
 * of a writer at work are listed.
 */
export async function disbelieveLostPacks(
  core: RepositoryCore,
  index: BlobIndex,
  signal?: AbortSignal,
): Promise<void> {
  if (index.packIds.length === 0) return;
  const expectedBytes = packSizes(index);
  const lost = new Bitset(index.packIds.length);
  const counts = { missing: 0, wrongSize: 0 };
  const packs: string[] = [];
  const storedBytes = await storedSizes(core, index, signal);
  index.packIds.forEach((id, number) => {
    if (storedBytes[number] === expectedBytes[number]) return;
    lost.add(number);
    counts[(storedBytes[number] ?? -1) < 0 ? "missing" : "wrongSize"] += 1;
    if (packs.length < MAX_NAMED) packs.push(id);
  });
  if (packs.length === 0) return;
  index.disbelieve(lost);
  core.log?.warn({ ...counts, packs }, "packs that are not whole: what they held is stored again");
}

/** By pack number, −1 for what is not listed. One listing, of which only these numbers are kept. */
async function storedSizes(
  core: RepositoryCore,
  index: BlobIndex,
  signal?: AbortSignal,
): Promise<Float64Array> {
  const sizes = new Float64Array(index.packIds.length).fill(-1);
  const options = signal === undefined ? {} : { signal };
  for await (const { key, sizeBytes } of core.store.list("data/", options)) {
    const id = key.slice(key.lastIndexOf("/") + 1);
    const number = index.knownPackNumber(id);
    if (number !== undefined && key === objectKey.pack(id)) sizes[number] = sizeBytes;
  }
  return sizes;
}
