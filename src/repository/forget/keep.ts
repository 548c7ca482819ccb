import type { Calendar, CalendarSpan } from "./calendar.ts";

/**
 * The keep rules, with restic's meaning: newest first, each counting rule keeps the newest point of each of its last N
 * different hours, days, weeks, months or years that have one; a rule that has counts left at the end keeps the oldest point
 * too, so that a young repository keeps its whole history. Rules add up. Pure. docs/spec/retention.md §rules
 */

/** The same shape as the policy's. */
export interface KeepRules {
  readonly last?: number | undefined;
  readonly hourly?: number | undefined;
  readonly daily?: number | undefined;
  readonly weekly?: number | undefined;
  readonly monthly?: number | undefined;
  readonly yearly?: number | undefined;
  /** Younger than this, counted back from the anchor. */
  readonly within?: CalendarSpan | undefined;
  /** Each a list `a,b`: what carries all tags of one of them. */
  readonly tags?: readonly string[] | undefined;
}

export interface KeepPoint {
  readonly id: string;
  readonly time: Date;
  readonly tags: readonly string[];
}

export interface KeepOptions {
  readonly calendar: Calendar;
  /** What `within` counts back from: the newest good point. */
  readonly anchor: Date;
}

/** Reasons as restic words them, of each point that a rule keeps. */
export type KeepReasons = ReadonlyMap<string, readonly string[]>;

export function applyKeepRules(
  points: readonly KeepPoint[],
  rules: KeepRules,
  { calendar, anchor }: KeepOptions,
): KeepReasons {
  const reasons = new Map<string, string[]>();
  const counters = countersOf(rules, calendar);
  const sorted = [...points].sort(newestFirst);
  const after = rules.within === undefined ? undefined : calendar.before(anchor, rules.within);
  for (const [index, point] of sorted.entries()) {
    const found: string[] = [];
    for (const list of rules.tags ?? []) {
      if (hasTags(point, list)) found.push(`has tags [${tagList(list).join(", ")}]`);
    }
    if (after !== undefined && point.time.getTime() > after.getTime()) {
      found.push(`within ${formatSpan(rules.within)}`);
    }
    const isOldest = index === sorted.length - 1;
    for (const counter of counters) {
      const reason = count(counter, point, isOldest);
      if (reason !== undefined) found.push(reason);
    }
    if (found.length > 0) reasons.set(point.id, found);
  }
  return reasons;
}

/** Of two at the same instant the greater id: some order that does not depend on the input's. */
export function newestFirst(a: KeepPoint, b: KeepPoint): number {
  return b.time.getTime() - a.time.getTime() || (a.id < b.id ? 1 : -1);
}

interface Counter {
  readonly reason: string;
  readonly bucketOf: (point: KeepPoint) => string;
  left: number;
  last: string | undefined;
}

function count(counter: Counter, point: KeepPoint, isOldest: boolean): string | undefined {
  if (counter.left === 0) return undefined;
  const bucket = counter.bucketOf(point);
  const same = bucket === counter.last;
  if (same && !isOldest) return undefined;
  counter.last = bucket;
  counter.left -= 1;
  return same ? `oldest ${counter.reason}` : counter.reason;
}

function countersOf(rules: KeepRules, calendar: Calendar): readonly Counter[] {
  const wall = (point: KeepPoint) => calendar.wallClock(point.time);
  const buckets: readonly (readonly [number | undefined, string, Counter["bucketOf"]])[] = [
    [rules.last, "last", ({ id }) => id],
    // With the offset: the hour that comes twice when clocks go back is two hours.
    [
      rules.hourly,
      "hourly",
      (point) => textOf(wall(point), ["year", "month", "day", "hour", "offsetMs"]),
    ],
    [rules.daily, "daily", (point) => textOf(wall(point), ["year", "month", "day"])],
    [rules.weekly, "weekly", ({ time }) => textOf(calendar.isoWeek(time), ["year", "week"])],
    [rules.monthly, "monthly", (point) => textOf(wall(point), ["year", "month"])],
    [rules.yearly, "yearly", (point) => textOf(wall(point), ["year"])],
  ];
  return buckets.flatMap(([left, name, bucketOf]) =>
    left === undefined ? [] : [{ reason: `${name} snapshot`, bucketOf, left, last: undefined }],
  );
}

function textOf<Fields extends object>(fields: Fields, names: readonly (keyof Fields)[]): string {
  return names.map((name) => String(fields[name])).join(" ");
}

/** All of `a,b`. */
export function hasTags({ tags }: Pick<KeepPoint, "tags">, list: string): boolean {
  return tagList(list).every((tag) => tags.includes(tag));
}

function tagList(text: string): readonly string[] {
  return text.split(",").map((tag) => tag.trim());
}

/** As restic writes durations, `1y2m3d4h`, with its own words for what restic does not have. */
export function formatSpan(span: CalendarSpan | undefined): string {
  if (span === undefined) return "";
  const { years, months, days, hours, minutes, seconds } = span;
  const parts = [
    [years, "y"],
    [months, "m"],
    [days, "d"],
    [hours, "h"],
    [minutes, "min"],
    [seconds, "s"],
  ] as const;
  return parts.map(([number, unit]) => (number === 0 ? "" : `${number}${unit}`)).join("");
}
