import type { Snapshot } from "../types.ts";
import { arrayOf, stringListOf, stringOf } from "../json.ts";
import type { JsonObject } from "../json.ts";

/** A snapshot with every field of its file. */
export interface FullSnapshot {
  readonly snapshot: Snapshot;
  readonly fields: JsonObject;
}

/** restic's persistent id: what the first of a chain of copies was called. */
export function persistentId({ id, original }: Snapshot): string {
  return original ?? id;
}

/** The fields under which a copy is stored: all of the source's, without a parent, whose id means nothing there. */
export function copiedFields({ snapshot, fields }: FullSnapshot): JsonObject {
  const { parent: _parent, ...kept } = fields;
  return { ...kept, original: persistentId(snapshot) };
}

/**
 * restic's own rule for "was copied already", asked of snapshots with one persistent id: all but parent, original, program
 * and summary must match. So `restic copy` and ours skip what the other one copied.
 */
export function isSameSnapshot(a: FullSnapshot, b: FullSnapshot): boolean {
  const { fields: x, snapshot: left } = a;
  const { fields: y, snapshot: right } = b;
  return (
    left.tree === right.tree &&
    instantOf(x["time"]) === instantOf(y["time"]) &&
    left.hostname === right.hostname &&
    left.username === right.username &&
    (x["uid"] ?? 0) === (y["uid"] ?? 0) &&
    (x["gid"] ?? 0) === (y["gid"] ?? 0) &&
    sameSet(left.paths, right.paths) &&
    sameSet(left.tags, right.tags) &&
    sameList(x["excludes"], y["excludes"])
  );
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && b.every((item) => a.includes(item));
}

function sameList(a: unknown, b: unknown): boolean {
  const left = stringListOf(a) ?? arrayOf(a) ?? [];
  const right = stringListOf(b) ?? arrayOf(b) ?? [];
  return left.length === right.length && left.every((item, at) => item === right[at]);
}

/** To the nanosecond, whatever the zone: milliseconds, as we keep them, are not what restic compares. */
function instantOf(value: unknown): string {
  const text = stringOf(value) ?? "";
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
  const seconds = Date.parse(text.replace(/\.\d+/, ""));
  return `${seconds}.${fraction.padEnd(9, "0").slice(0, 9)}`;
}
