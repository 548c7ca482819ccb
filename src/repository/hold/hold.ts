import { hexIdOf, stringOf, timeOf } from "../json.ts";
import type { JsonObject } from "../json.ts";
import type { FoundRecord } from "../record/record.ts";

/**
 * Legal holds: what nobody forgets, whatever any plan says. A hold is a record, and so is its release: credentials that can
 * only add can do both, and who held and who released stays readable. Pure. docs/spec/retention.md §holds
 */

/** These snapshots, and whatever lies in this range of a plan's, or of every plan's, time. */
export interface HeldPoints {
  readonly snapshots: readonly string[];
  /** Both ends count; without one of them the range is open there. */
  readonly range?: { readonly plan?: string; readonly from?: Date; readonly to?: Date };
}

export interface HoldTerms extends HeldPoints {
  readonly by: string;
  readonly reason: string;
  /** Ends by itself then; never, without it. */
  readonly until?: Date;
}

export type HoldRecord =
  | ({ readonly type: "hold"; readonly at: Date } & HoldTerms)
  | {
      readonly type: "release";
      readonly hold: string;
      readonly at: Date;
      readonly by: string;
      readonly reason: string;
    };

export interface Hold extends HoldTerms {
  readonly id: string;
  readonly at: Date;
  readonly released?: { readonly at: Date; readonly by: string; readonly reason: string };
}

/** Oldest first, released and expired ones too. */
export function foldHolds(records: readonly FoundRecord<HoldRecord>[]): readonly Hold[] {
  const releases = new Map<string, Hold["released"]>();
  for (const { value } of records) {
    if (value.type !== "release" || releases.has(value.hold)) continue;
    const { at, by, reason } = value;
    releases.set(value.hold, { at, by, reason });
  }
  return records.flatMap(({ id, value }): readonly Hold[] => {
    if (value.type !== "hold") return [];
    const { type: _type, ...terms } = value;
    const released = releases.get(id);
    return [{ id, ...terms, ...(released === undefined ? {} : { released }) }];
  });
}

export function isInForce({ released, until }: Hold, now: Date): boolean {
  return released === undefined && (until === undefined || until.getTime() > now.getTime());
}

/** A snapshot that was tagged or rewritten by any tool has another id: what it was made from is held in it. */
export function holds(
  { snapshots, range }: HeldPoints,
  point: {
    readonly id: string;
    readonly time: Date;
    readonly plan: string | undefined;
    readonly original?: string;
  },
): boolean {
  if (snapshots.includes(point.id)) return true;
  if (point.original !== undefined && snapshots.includes(point.original)) return true;
  if (range === undefined) return false;
  const { plan, from, to } = range;
  const ms = point.time.getTime();
  return (
    (plan === undefined || plan === point.plan) &&
    (from === undefined || ms >= from.getTime()) &&
    (to === undefined || ms <= to.getTime())
  );
}

export function formatHoldRecord(record: HoldRecord, nonce: string): JsonObject {
  return { v: 1, ...record, nonce };
}

export function parseHoldRecord(fields: JsonObject): HoldRecord | undefined {
  const at = timeOf(fields["at"]);
  const by = stringOf(fields["by"]);
  const reason = stringOf(fields["reason"]);
  if (fields["v"] !== 1 || at === undefined || by === undefined || reason === undefined) {
    return undefined;
  }
  if (fields["type"] === "release") {
    const hold = hexIdOf(fields["hold"]);
    return hold === undefined ? undefined : { type: "release", hold, at, by, reason };
  }
  const snapshots = snapshotsOf(fields["snapshots"]);
  const until = optional(fields["until"], timeOf);
  const range = optional(fields["range"], rangeOf);
  if (fields["type"] !== "hold" || snapshots === undefined) return undefined;
  if (until === undefined || range === undefined) return undefined;
  return {
    type: "hold",
    at,
    by,
    reason,
    snapshots,
    ...named("until", until),
    ...named("range", range),
  };
}

function snapshotsOf(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const ids = value.map(hexIdOf).filter((id) => id !== undefined);
  return ids.length === value.length ? ids : undefined;
}

function rangeOf(value: unknown): NonNullable<HeldPoints["range"]> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const fields: JsonObject = { ...value };
  const plan = optional(fields["plan"], stringOf);
  const from = optional(fields["from"], timeOf);
  const to = optional(fields["to"], timeOf);
  if (plan === undefined || from === undefined || to === undefined) return undefined;
  return { ...named("plan", plan), ...named("from", from), ...named("to", to) };
}

/** `none` where it was left out, `undefined` where it is there and cannot be read: a hold must not be read as less. */
function optional<Value>(
  value: unknown,
  read: (value: unknown) => Value | undefined,
): { readonly value?: Value } | undefined {
  if (value === undefined) return {};
  const found = read(value);
  return found === undefined ? undefined : { value: found };
}

function named<Key extends string, Value>(
  key: Key,
  { value }: { readonly value?: Value },
): { readonly [K in Key]?: Value } {
  const entry: { [K in Key]?: Value } = {};
  if (value !== undefined) entry[key] = value;
  return entry;
}
