import { stringListOf, stringOf, timeOf } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { coreOf } from "../core.ts";
import type { FoundRecord } from "../record/record.ts";
import { loadRecords, saveRecord } from "../record/record.ts";
import type { Repository } from "../types.ts";

/**
 * Where a source's history breaks: its provider took the database back to `from`, and what was committed between `from` and
 * `until` is no longer in it. A chain of changes does not lead across. Records of kind `gaps`: one before anything is
 * changed, one when the end is known. docs/spec/project.md §gaps
 */
export type GapState = "begun" | "ended" | "refused";

export interface Gap {
  /** The same in all records of one recovery: 16 hex digits. */
  readonly recovery: string;
  /** `begun` for ever: nobody saw its end, so it counts as one that came about. */
  readonly state: GapState;
  readonly at: Date;
  readonly by: string;
  readonly source: string;
  readonly project: string;
  readonly from: Date;
  readonly until: Date;
  /** Logical slots that were dropped for it. */
  readonly slots: readonly string[];
}

interface WaitOptions {
  readonly signal?: AbortSignal;
}

/** Durable when this returns. */
export async function saveGap(
  repository: Repository,
  gap: Gap,
  { signal }: WaitOptions = {},
): Promise<void> {
  await saveRecord(coreOf(repository), "gaps", formatGap(gap), signal);
}

/** One for each recovery, oldest first, by its last record. */
export async function listGaps(
  repository: Repository,
  { signal }: WaitOptions = {},
): Promise<readonly Gap[]> {
  return foldGaps(await loadRecords(coreOf(repository), "gaps", parseGap, signal));
}

/** An end stands, whatever order the store's clock gives to two records of one second. */
export function foldGaps(records: readonly FoundRecord<Gap>[]): readonly Gap[] {
  const found = new Map<string, Gap>();
  for (const { value } of records) {
    const known = found.get(value.recovery);
    if (known === undefined || known.state === "begun") found.set(value.recovery, value);
  }
  return [...found.values()];
}

function formatGap({ at, from, until, ...rest }: Gap): JsonObject {
  return {
    ...rest,
    at: at.toISOString(),
    from: from.toISOString(),
    until: until.toISOString(),
  };
}

export function parseGap(fields: JsonObject): Gap | undefined {
  const recovery = stringOf(fields["recovery"]);
  const state = stringOf(fields["state"]);
  const [by, source, project] = ["by", "source", "project"].map((key) => stringOf(fields[key]));
  const [at, from, until] = ["at", "from", "until"].map((key) => timeOf(fields[key]));
  const slots = stringListOf(fields["slots"]);
  if (recovery === undefined || !/^[0-9a-f]{16}$/.test(recovery)) return undefined;
  if (state !== "begun" && state !== "ended" && state !== "refused") return undefined;
  if (by === undefined || source === undefined || project === undefined) return undefined;
  if (at === undefined || from === undefined || until === undefined) return undefined;
  if (slots === undefined) return undefined;
  return { recovery, state, at, by, source, project, from, until, slots };
}
