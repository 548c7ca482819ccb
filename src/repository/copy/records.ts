import { coreOf } from "../core.ts";
import type { JsonObject } from "../json.ts";
import { idsIn, withIds } from "../record/mentions.ts";
import { loadRecords, saveRecord } from "../record/record.ts";
import type { RecordKind } from "../record/record.ts";
import { portableErasure } from "../rewrite/erasure.ts";
import type { Repository } from "../types.ts";
import type { CopyPair } from "./plan.ts";

export interface CarriedRecords {
  readonly kind: RecordKind;
  readonly carried: number;
  /** There already, from an earlier copy. */
  readonly present: number;
}

/**
 * Takes the source's records of some kinds to the copy, with the ids of its snapshots in place of the source's: a copy of a
 * held point is held too. Records that name snapshots of which none was copied stay away; those that name none come. The
 * form of a record is its owner's; one that is there already, word for word, is not written again.
 */
export async function carryRecords(
  source: Repository,
  target: Repository,
  kinds: readonly RecordKind[],
  pairs: readonly CopyPair[],
  signal?: AbortSignal,
): Promise<readonly CarriedRecords[]> {
  const copies = new Map<string, string>(pairs.map(({ source: from, copy }) => [from, copy]));
  // Both repositories may have been copied to each other: then the source's record names what the copy is called.
  const snapshots = await source.snapshots(signal === undefined ? {} : { signal });
  const known = new Set<string>(snapshots.map(({ id }) => id));
  const result: CarriedRecords[] = [];
  for (const kind of kinds) {
    const records = await loadRecords(coreOf(source), kind, (fields) => fields, signal);
    const there = await loadRecords(coreOf(target), kind, (fields) => fields, signal);
    const texts = new Set(there.map(({ value }) => canonical(value)));
    let carried = 0;
    let present = 0;
    for (const { value } of records) {
      const named = [...idsIn(value)].filter((id) => known.has(id));
      if (named.length > 0 && !named.some((id) => copies.has(id))) continue;
      const own = kind === "erasures" ? portableErasure(source, value) : value;
      const record = withIds(own, copies);
      const text = canonical(record);
      if (texts.has(text)) {
        present += 1;
        continue;
      }
      texts.add(text);
      await saveRecord(coreOf(target), kind, record, signal);
      carried += 1;
    }
    result.push({ kind, carried, present });
  }
  return result;
}

/** Keys in order, so that equal records are equal texts. */
function canonical(value: JsonObject): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === "object" && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
