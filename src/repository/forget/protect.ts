import { Calendar } from "./calendar.ts";
import type { ForgetDecision, KeptPoint, PlanDecision } from "./decision.ts";
import type { ForgetFacts, ForgetScope, PlanFact, PointFact } from "./facts.ts";
import { applyKeepRules, hasTags, newestFirst } from "./keep.ts";
import type { KeepReasons } from "./keep.ts";
import { globalStops, isGood, isProven, newestGood, newestProven, planStops } from "./stops.ts";
import { neededByWindow } from "./windows.ts";

/**
 * Which points may go (I7). Pure: the same facts give the same decision, in whatever order they come.
 *
 *   1. what stops everything: clocks apart, a snapshot in the future, a window that is not known or whose chain is cut
 *   2. each plan: what stops it, else its rules, to all of its points, once more to the good ones and to the proven ones
 *      alone: no incomplete point takes the place of a good one, and none that was never read back that of a proven one
 *   3. kept whatever the rules say: the newest good and the newest proven point of a plan, suspect points, what a window stands on, what is held,
 *      what no plan made, what a plan made that the policy does not name
 *   4. what is left may go, unless an Object Lock still holds it: that is refused and listed with its date
 */
export function decideForget(facts: ForgetFacts, scope: ForgetScope = {}): ForgetDecision {
  const calendar = new Calendar(facts.timezone);
  const global = globalStops(facts);
  const judged = plansOf(facts).map(({ plan, points }) => {
    // Without rules there is nothing to stop.
    const stops =
      plan?.keep === undefined ? [] : [...global, ...planStops(plan, points, facts.now)];
    return { name: nameOf(points, plan), plan, points, stops };
  });
  const rules = new Map(
    judged.flatMap(({ plan, points, stops }) => [
      ...ruleReasons(plan, points, stops, scope, calendar),
    ]),
  );
  const needed = (facts.windows ?? []).map((window) => ({
    reason: `window ${window.name}`,
    ids: neededByWindow(window, facts.points),
  }));
  const lastGood = new Set(judged.map(({ points }) => newestGood(points)?.id));
  const lastProven = new Set(judged.map(({ points }) => newestProven(points)?.id));
  const kept = facts.points.map((point): Judged => {
    const windows = needed.filter(({ ids }) => ids.has(point.id)).map(({ reason }) => reason);
    const reasons = [
      ...(rules.get(point.id) ?? []),
      ...(lastGood.has(point.id) ? ["newest good point of its plan"] : []),
      ...(lastProven.has(point.id) ? ["newest proven point of its plan"] : []),
      ...ownReasons(point, scope),
      ...windows,
    ];
    return { point, reasons };
  });
  return decisionOf(facts, global, judged, kept);
}

const NOT_IN_POLICY = "the policy has no such plan for this repository";
const NO_RULES = "its plan has no keep rules";

interface Judged {
  readonly point: PointFact;
  readonly reasons: readonly string[];
}

interface PlanPoints {
  /** `undefined` where only snapshots name it. */
  readonly plan: PlanFact | undefined;
  readonly points: readonly PointFact[];
}

interface JudgedPlan extends PlanPoints {
  readonly name: string;
  readonly stops: readonly string[];
}

function plansOf({ plans, points }: ForgetFacts): readonly PlanPoints[] {
  const byName = new Map<string, { plan: PlanFact | undefined; points: PointFact[] }>();
  for (const plan of plans) byName.set(plan.name, { plan, points: [] });
  for (const point of points) {
    if (point.plan === undefined) continue;
    const found = byName.get(point.plan);
    if (found === undefined) byName.set(point.plan, { plan: undefined, points: [point] });
    else found.points.push(point);
  }
  return [...byName.values()];
}

function nameOf(points: readonly PointFact[], plan: PlanFact | undefined): string {
  return plan?.name ?? points[0]?.plan ?? "";
}

function ruleReasons(
  plan: PlanFact | undefined,
  points: readonly PointFact[],
  stops: readonly string[],
  scope: ForgetScope,
  calendar: Calendar,
): KeepReasons {
  const always = (reason: string): KeepReasons => new Map(points.map(({ id }) => [id, [reason]]));
  if (plan === undefined) return always(NOT_IN_POLICY);
  if (stops.length > 0) return always("its plan forgets nothing now");
  if (plan.keep === undefined) return always(NO_RULES);
  const anchor = newestGood(points)?.time;
  if (anchor === undefined) return always("its plan has no good point");
  const chosen = points.filter((point) => isChosen(point, scope));
  const layers = [
    { points: chosen, anchor },
    { points: chosen.filter(isGood), anchor },
    { points: chosen.filter(isProven), anchor: newestProven(points)?.time ?? anchor },
  ];
  const reasons = new Map<string, readonly string[]>();
  for (const layer of layers) {
    const found = applyKeepRules(layer.points, plan.keep, { calendar, anchor: layer.anchor });
    for (const [id, more] of found) {
      reasons.set(id, [...new Set([...(reasons.get(id) ?? []), ...more])]);
    }
  }
  return reasons;
}

function isChosen(point: PointFact, { plan, tags }: ForgetScope): boolean {
  if (plan !== undefined && point.plan !== plan) return false;
  return tags === undefined || tags.some((list) => hasTags(point, list));
}

/** What keeps a point by itself. */
function ownReasons(point: PointFact, scope: ForgetScope): readonly string[] {
  const reasons = point.holds.map(({ by, reason }) => `held by ${by}: ${reason}`);
  if (point.plan === undefined) return [...reasons, "of no plan"];
  if (!isChosen(point, scope)) reasons.push("not asked for");
  if (point.state === "suspect") reasons.push("suspect, and accepted by nobody");
  return reasons;
}

function decisionOf(
  facts: ForgetFacts,
  global: readonly string[],
  plans: readonly JudgedPlan[],
  judged: readonly Judged[],
): ForgetDecision {
  const sorted = [...judged].sort((a, b) => newestFirst(a.point, b.point));
  const free = sorted.flatMap(({ point, reasons }) =>
    reasons.length === 0 && point.plan !== undefined ? [{ ...point, plan: point.plan }] : [],
  );
  const isLocked = ({ lockedUntil }: PointFact): boolean =>
    lockedUntil !== undefined && lockedUntil.getTime() > earliestNowMs(facts);
  const locked = free.filter(isLocked);
  const forget = free.filter((point) => !isLocked(point));
  const gone = new Set(forget.map(({ id }) => id));
  const keep = sorted
    .filter(({ point }) => !gone.has(point.id))
    .map(({ point, reasons }) => ({
      ...shown(point),
      reasons: reasons.length > 0 ? reasons : [lockReason(point)],
    }));
  return {
    stoppedBecause: global,
    plans: plans.map((plan) => planDecision(plan, gone)).sort((a, b) => (a.plan < b.plan ? -1 : 1)),
    keep,
    forget: forget.map((point) => ({ ...shown(point), plan: point.plan })),
    locked: locked.map(({ id, plan, lockedUntil }) => ({
      id,
      plan,
      lockedUntil: lockedUntil?.toISOString() ?? "",
    })),
  };
}

/** Of the two clocks the one that lets a lock end later. */
function earliestNowMs({ now, storeNow }: ForgetFacts): number {
  return Math.min(now.getTime(), storeNow?.getTime() ?? Number.POSITIVE_INFINITY);
}

function planDecision(
  { name, plan, points, stops }: JudgedPlan,
  gone: ReadonlySet<string>,
): PlanDecision {
  const forgotten = points.filter(({ id }) => gone.has(id)).length;
  const noRules =
    plan === undefined ? NOT_IN_POLICY : plan.keep === undefined ? NO_RULES : undefined;
  return {
    plan: name,
    stoppedBecause: stops,
    ...(noRules === undefined ? {} : { noRules }),
    kept: points.length - forgotten,
    forgotten,
  };
}

function shown({ id, time, plan, tags }: PointFact): Omit<KeptPoint, "reasons"> {
  return { id, time: time.toISOString(), ...(plan === undefined ? {} : { plan }), tags };
}

function lockReason({ lockedUntil }: PointFact): string {
  return `locked until ${lockedUntil?.toISOString() ?? "?"}`;
}
