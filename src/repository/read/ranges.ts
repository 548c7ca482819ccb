import type { BlobIndex } from "../index/blob-index.ts";

/** A piece of one pack that holds wanted blobs, in the order of their offsets. */
export interface PackRange {
  readonly pack: string;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly positions: readonly number[];
}

/** Bytes worth reading for nothing to save a request. */
const GAP_BYTES = 64 * 1024;
const MAX_RANGE_BYTES = 8 * 1024 * 1024;

/** Neighbours in a pack are read together. Blobs of one file alternate between packs, so order is by place, not by file. */
export function coalesce(index: BlobIndex, positions: readonly number[]): readonly PackRange[] {
  const sorted = [...new Set(positions)].sort(
    (a, b) =>
      index.packNumberAt(a) - index.packNumberAt(b) || index.offsetAt(a) - index.offsetAt(b),
  );
  const groups: number[][] = [];
  for (const position of sorted) {
    const group = groups.at(-1);
    if (group !== undefined && joins(index, group, position)) group.push(position);
    else groups.push([position]);
  }
  return groups.map((group) => rangeOf(index, group));
}

function joins(index: BlobIndex, group: readonly number[], position: number): boolean {
  const first = group[0] ?? position;
  const last = group.at(-1) ?? position;
  if (index.packNumberAt(last) !== index.packNumberAt(position)) return false;
  const gap = index.offsetAt(position) - (index.offsetAt(last) + index.lengthAt(last));
  const end = index.offsetAt(position) + index.lengthAt(position);
  return gap >= 0 && gap <= GAP_BYTES && end - index.offsetAt(first) <= MAX_RANGE_BYTES;
}

function rangeOf(index: BlobIndex, positions: readonly number[]): PackRange {
  const first = positions[0] ?? 0;
  const last = positions.at(-1) ?? first;
  const offset = index.offsetAt(first);
  const lengthBytes = index.offsetAt(last) + index.lengthAt(last) - offset;
  const pack = index.packIds[index.packNumberAt(first)] ?? "";
  return { pack, offset, lengthBytes, positions };
}
