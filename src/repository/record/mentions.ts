import { isHexId } from "../../kernel/index.ts";
import { arrayOf, objectOf } from "../json.ts";
import type { JsonObject } from "../json.ts";

/**
 * What records say of snapshots, whatever their form: a snapshot's id is 64 hex digits wherever it stands in a document.
 * Copies and rewrites carry or respect records of kinds whose form belongs to others, and need no more than this of them.
 */
export function idsIn(value: unknown, found = new Set<string>()): ReadonlySet<string> {
  if (typeof value === "string") {
    if (isHexId(value)) found.add(value);
    return found;
  }
  const items = arrayOf(value) ?? Object.values(objectOf(value) ?? {});
  for (const item of items) idsIn(item, found);
  return found;
}

/** The same document with other ids; those that the map lacks stay. */
export function withIds(record: JsonObject, ids: ReadonlyMap<string, string>): JsonObject {
  return objectOf(replaced(record, ids)) ?? record;
}

function replaced(value: unknown, ids: ReadonlyMap<string, string>): unknown {
  if (typeof value === "string") return ids.get(value) ?? value;
  const list = arrayOf(value);
  if (list !== undefined) return list.map((item) => replaced(item, ids));
  const fields = objectOf(value);
  if (fields === undefined) return value;
  return Object.fromEntries(
    Object.entries(fields).map(([key, item]) => [key, replaced(item, ids)]),
  );
}
