import { hash } from "node:crypto";
import { MAX_NAME_BYTES } from "./names.ts";
import { utf8LengthAt } from "./go-json.ts";

/**
 * Huge folders are stored as folders of folders, so that one more file writes one small tree and not one of 90 MB.
 * The stored names, sorted by bytes, are cut into ranges; a range begins at a name whose hash says so, so that a cut
 * does not move when other names come and go. Each range becomes a folder `%-` ‖ the shortest prefix of its first name
 * that sorts after the name before it. Where those are too many, they are cut into ranges again by the next eight bits
 * of the hash. docs/spec/repository.md §shards
 */
export const SHARD_ATTRIBUTE = "user.sparekeep.shard";
export const SHARD_PREFIX = "%-";

const MAX_FOLDER_ITEMS = 1024;
const MAX_FOLDER_BYTES = 4 * 1024 * 1024;
const MIN_SHARD_ITEMS = 32;
const MAX_SHARD_ITEMS = 2048;

/** Names are Latin-1 strings, a character a byte, which sort as their bytes do. */
export interface ShardItem {
  /** Stored name without any shard prefix: what orders and cuts. */
  readonly name: string;
  /** Of an item that is a range itself: the full first name in it. */
  readonly first?: string;
  readonly jsonBytes: number;
}

export interface ShardRange {
  /** Without the prefix; also the name by which the next level orders and cuts. */
  readonly name: string;
  /** First name of the range in full, whose hash cuts the next level. */
  readonly first: string;
  readonly from: number;
  readonly to: number;
}

export function needsShards(items: readonly ShardItem[]): boolean {
  if (items.length > MAX_FOLDER_ITEMS) return true;
  return items.length > 1 && bytesOf(items, 0, items.length) > MAX_FOLDER_BYTES;
}

/** `items` are sorted by name. */
export function shardRanges(items: readonly ShardItem[], level: number): readonly ShardRange[] {
  const ranges: ShardRange[] = [];
  let from = 0;
  let sizeBytes = 0;
  items.forEach((item, at) => {
    const cut = at > from && beginsRange(item.first ?? item.name, level, at - from, sizeBytes);
    if (cut && separator(items[at - 1]?.name, item.name) !== undefined) {
      ranges.push(rangeOf(items, from, at));
      from = at;
      sizeBytes = 0;
    }
    sizeBytes += item.jsonBytes;
  });
  ranges.push(rangeOf(items, from, items.length));
  return ranges;
}

function beginsRange(name: string, level: number, items: number, sizeBytes: number): boolean {
  if (items >= MAX_SHARD_ITEMS || sizeBytes >= MAX_FOLDER_BYTES) return true;
  // Level 0 looks at the first byte of the hash, level 1 at the second: one in 256 names begins a range.
  return (
    items >= MIN_SHARD_ITEMS && hash("sha256", Buffer.from(name, "latin1"), "buffer")[level] === 0
  );
}

function rangeOf(items: readonly ShardItem[], from: number, to: number): ShardRange {
  const item = items[from];
  const own = item?.name ?? "";
  const name = separator(items[from - 1]?.name, own) ?? own.slice(0, MAX_NAME_BYTES - 2);
  return { name, first: item?.first ?? own, from, to };
}

/** The shortest whole-character prefix of `name` greater than `before`; `undefined` when it is too long for a name. */
function separator(before: string | undefined, name: string): string | undefined {
  const bytes = Buffer.from(name, "latin1");
  let at = 0;
  while (at < name.length) {
    at += Math.max(1, utf8LengthAt(bytes, at));
    const prefix = name.slice(0, at);
    if (before === undefined || prefix > before) {
      return at <= MAX_NAME_BYTES - SHARD_PREFIX.length ? prefix : undefined;
    }
  }
  return undefined;
}

function bytesOf(items: readonly ShardItem[], from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i += 1) sum += items[i]?.jsonBytes ?? 0;
  return sum;
}
