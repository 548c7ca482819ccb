import type { ForgetFacts, PlanFact, PointFact, WindowFact } from "./facts.ts";
import { newestFirst } from "./keep.ts";

/** Why nothing may be forgotten: the guards of I7, each with its reason in words. docs/spec/retention.md §guards */

export const MAX_CLOCK_DIFFERENCE_MS = 3_600_000;
/** Clocks of machines that write here may be this far ahead of ours. */
export const FUTURE_TOLERANCE_MS = 5 * 60_000;

/** Whole, and nobody doubts it. */
export function isGood(point: PointFact): boolean {
  return point.outcome === "complete" && point.state !== undefined && point.state !== "suspect";
}

/** Read back, at least. Where records are kept, a good point without one is of a run that ended before its proof. */
export function isProven(point: PointFact): boolean {
  return isGood(point) && point.state !== "stored";
}

export function newestProven(points: readonly PointFact[]): PointFact | undefined {
  return points.filter(isProven).sort(newestFirst)[0];
}

export function newestGood(points: readonly PointFact[]): PointFact | undefined {
  return points.filter(isGood).sort(newestFirst)[0];
}

/** What stops everything. */
export function globalStops(facts: ForgetFacts): readonly string[] {
  return [...clockStops(facts), ...futureStops(facts), ...windowStops(facts)];
}

function clockStops({ now, storeNow }: ForgetFacts): readonly string[] {
  if (storeNow === undefined) return ["the store's clock is not known"];
  const differenceMs = now.getTime() - storeNow.getTime();
  if (Math.abs(differenceMs) <= MAX_CLOCK_DIFFERENCE_MS) return [];
  const minutes = Math.round(Math.abs(differenceMs) / 60_000);
  const which = differenceMs > 0 ? "ahead of" : "behind";
  return [`our clock is ${minutes} minutes ${which} the store's`];
}

function futureStops({ now, storeNow, points }: ForgetFacts): readonly string[] {
  const latestMs = Math.max(now.getTime(), storeNow?.getTime() ?? 0) + FUTURE_TOLERANCE_MS;
  const [future] = points.filter(({ time }) => !(time.getTime() <= latestMs)).sort(newestFirst);
  if (future === undefined) return [];
  return [`snapshot ${shortId(future.id)} lies in the future: ${timeText(future.time)}`];
}

function windowStops({ windows, points }: ForgetFacts): readonly string[] {
  if (windows === undefined) return ["the promised windows are not known"];
  const ids = new Set(points.map(({ id }) => id));
  return windows.flatMap((window) => brokenChain(window, ids));
}

function brokenChain(window: WindowFact, ids: ReadonlySet<string>): readonly string[] {
  const { name, bases, segments } = window;
  if (bases === undefined) return [`the bases of window ${name} are not known`];
  if (segments === undefined) return [`the segments of window ${name} are not known`];
  const gone = [...bases, ...segments].find((id) => !ids.has(id));
  return gone === undefined
    ? []
    : [`window ${name} needs snapshot ${shortId(gone)}, which is gone`];
}

/** What stops a plan. `points` are all of the plan's. */
export function planStops(plan: PlanFact, points: readonly PointFact[], now: Date): string[] {
  const [newest] = [...points].sort(newestFirst);
  if (newest === undefined) return [];
  const stops: string[] = [];
  const unknown = points.find(({ state }) => state === undefined);
  if (unknown !== undefined)
    stops.push(`the proof of snapshot ${shortId(unknown.id)} is not known`);
  if (newest.outcome === "incomplete")
    stops.push(`its newest point ${shortId(newest.id)} is incomplete`);
  if (newest.state === "suspect") stops.push(`its newest point ${shortId(newest.id)} is suspect`);
  if (newestGood(points) === undefined) stops.push("it has no good point");
  return [...stops, ...scheduleStops(plan, points, now)];
}

function scheduleStops({ schedule }: PlanFact, points: readonly PointFact[], now: Date): string[] {
  if (schedule === undefined) return ["it is not known when its next point is due"];
  if (schedule.kind === "not scheduled" || now.getTime() <= schedule.dueAt.getTime()) return [];
  const good = newestGood(points);
  if (good !== undefined && good.time.getTime() >= schedule.since.getTime()) return [];
  return [`its newest point is overdue: one was due by ${timeText(schedule.dueAt)}`];
}

export function shortId(id: string): string {
  return id.slice(0, 8);
}

export function timeText(time: Date): string {
  return Number.isNaN(time.getTime()) ? "at no time" : time.toISOString();
}
