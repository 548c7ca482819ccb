import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ForgetFacts, PlanFact, PointFact, ScheduleFact, WindowFact } from "./facts.ts";
import type { KeepRules } from "./keep.ts";
import { decideForget } from "./protect.ts";
import { isGood } from "./stops.ts";

const NOW = new Date("2026-03-10T12:00:00Z");
const NOT_SCHEDULED: ScheduleFact = { kind: "not scheduled" };
const HOLD = { id: "h1", by: "ann", reason: "audit of 2026" };

function point(day: number, changes: Partial<PointFact> = {}): PointFact {
  const time = new Date(Date.UTC(2026, 2, day, 2));
  return {
    id: `p${String(day).padStart(2, "0")}`,
    time,
    tags: ["plan=nightly"],
    plan: "nightly",
    outcome: "complete",
    state: "verified",
    holds: [],
    ...changes,
  };
}

const PLAN: PlanFact = { name: "nightly", keep: { last: 2 }, schedule: NOT_SCHEDULED };

function facts(changes: Partial<ForgetFacts> = {}): ForgetFacts {
  return {
    now: NOW,
    storeNow: NOW,
    points: [point(1), point(2), point(3), point(4)],
    plans: [PLAN],
    windows: [],
    timezone: "UTC",
    ...changes,
  };
}

function forgotten(of: ForgetFacts, scope = {}): readonly string[] {
  return decideForget(of, scope).forget.map(({ id }) => id);
}

function reasonsOf(of: ForgetFacts, id: string): readonly string[] {
  return decideForget(of).keep.find((kept) => kept.id === id)?.reasons ?? ["forgotten"];
}

test("where nothing was ever read back, no incomplete point takes the place of a good one", () => {
  const state = "stored" as const;
  const points = [
    point(1, { state }),
    point(2, { state }),
    point(3, { state, outcome: "incomplete" }),
    point(4, { state }),
  ];
  expect(forgotten(facts({ points }))).toEqual(["p01"]);
});

test("what no rule keeps is forgotten, and every kept point says why", () => {
  expect(decideForget(facts())).toEqual({
    stoppedBecause: [],
    plans: [{ plan: "nightly", stoppedBecause: [], kept: 2, forgotten: 2 }],
    keep: [
      {
        id: "p04",
        time: "2026-03-04T02:00:00.000Z",
        plan: "nightly",
        tags: ["plan=nightly"],
        reasons: [
          "last snapshot",
          "newest good point of its plan",
          "newest proven point of its plan",
        ],
      },
      {
        id: "p03",
        time: "2026-03-03T02:00:00.000Z",
        plan: "nightly",
        tags: ["plan=nightly"],
        reasons: ["last snapshot"],
      },
    ],
    forget: [2, 1].map((day) => ({
      id: `p0${day}`,
      time: `2026-03-0${day}T02:00:00.000Z`,
      plan: "nightly",
      tags: ["plan=nightly"],
    })),
    locked: [],
  });
});

describe("forgetting stops as a whole", () => {
  const day = (n: number): Date => new Date(NOW.getTime() + n * 86_400_000);
  const minutes = (n: number): Date => new Date(NOW.getTime() + n * 60_000);
  const window: WindowFact = { name: "pitr", start: day(-3), bases: [], segments: [] };
  test.for<readonly [string, Partial<ForgetFacts>]>([
    ["our clock is 61 minutes ahead of the store's", { storeNow: minutes(-61) }],
    ["our clock is 61 minutes behind the store's", { storeNow: minutes(61) }],
    ["the store's clock is not known", { storeNow: undefined }],
    [
      "snapshot p09 lies in the future: 2026-03-10T12:06:00.000Z",
      { points: [point(1), point(2), point(3), point(9, { time: minutes(6) })] },
    ],
    [
      "snapshot p09 lies in the future: 2026-03-10T12:06:00.000Z",
      { points: [point(1), point(2), point(3), point(9, { plan: undefined, time: minutes(6) })] },
    ],
    ["the promised windows are not known", { windows: undefined }],
    ["the bases of window pitr are not known", { windows: [{ ...window, bases: undefined }] }],
    [
      "the segments of window pitr are not known",
      { windows: [{ ...window, segments: undefined }] },
    ],
    [
      "window pitr needs snapshot gone, which is gone",
      { windows: [{ ...window, bases: ["gone"] }] },
    ],
  ])("%s", ([reason, changes]) => {
    const decision = decideForget(facts(changes));
    expect(decision.stoppedBecause).toEqual([reason]);
    expect(decision.plans[0]?.stoppedBecause).toEqual([reason]);
    expect(decision.forget).toEqual([]);
  });

  test.for([
    ["clocks an hour apart", { storeNow: minutes(60) }],
    [
      "a snapshot five minutes ahead",
      { points: [1, 2, 3].map((d) => point(d)).concat(point(9, { time: minutes(5) })) },
    ],
  ] as const)("and not for %s", ([, changes]) => {
    expect(forgotten(facts(changes))).toHaveLength(2);
  });
});

describe("a plan forgets nothing", () => {
  const at = (hour: number): Date => new Date(Date.UTC(2026, 2, 10, hour));
  const points = (newest: Partial<PointFact>): readonly PointFact[] => [
    point(1),
    point(2),
    point(3),
    point(4, newest),
  ];
  const scheduled = (since: Date, dueAt: Date): readonly PlanFact[] => [
    { ...PLAN, schedule: { kind: "scheduled", since, dueAt } },
  ];
  test.for<readonly [string, Partial<ForgetFacts>]>([
    ["its newest point p04 is incomplete", { points: points({ outcome: "incomplete" }) }],
    ["its newest point p04 is suspect", { points: points({ state: "suspect" }) }],
    ["the proof of snapshot p04 is not known", { points: points({ state: undefined }) }],
    ["it is not known when its next point is due", { plans: [{ ...PLAN, schedule: undefined }] }],
    [
      "its newest point is overdue: one was due by 2026-03-10T03:00:00.000Z",
      { plans: scheduled(at(2), at(3)) },
    ],
  ])("while %s", ([reason, changes]) => {
    const decision = decideForget(facts(changes));
    expect(decision.plans).toEqual([
      { plan: "nightly", stoppedBecause: [reason], kept: 4, forgotten: 0 },
    ]);
    expect(decision.stoppedBecause).toEqual([]);
    expect(decision.forget).toEqual([]);
  });

  test.for<readonly [string, Partial<ForgetFacts>]>([
    ["its plan has no keep rules", { plans: [{ ...PLAN, keep: undefined }] }],
    ["the policy has no such plan for this repository", { plans: [] }],
  ])("because %s, and says so of each point", ([noRules, changes]) => {
    const decision = decideForget(facts({ ...changes, storeNow: undefined }));
    expect(decision.plans).toEqual([
      { plan: "nightly", stoppedBecause: [], noRules, kept: 4, forgotten: 0 },
    ]);
    expect(decision.keep.at(-1)?.reasons).toEqual([noRules]);
  });

  test("while it has no good point at all", () => {
    const broken = [1, 2, 3].map((day) => point(day, { outcome: "incomplete" }));
    const decision = decideForget(facts({ points: broken }));
    expect(decision.plans[0]?.stoppedBecause).toContain("it has no good point");
    expect(decision.forget).toEqual([]);
  });

  test("and another plan goes on", () => {
    const other = { ...PLAN, name: "hourly" };
    const theirs = [5, 6, 7].map((day) => point(day, { plan: "hourly", tags: ["plan=hourly"] }));
    const of = facts({
      plans: [PLAN, other],
      points: [...points({ state: "suspect" }), ...theirs],
    });
    expect(forgotten(of)).toEqual(["p05"]);
  });

  test.for([
    ["before it is due", scheduled(at(2), at(13))],
    ["when the point came", scheduled(new Date("2026-03-04T02:00:00Z"), at(3))],
  ] as const)("but not %s", ([, plans]) => {
    expect(forgotten(facts({ plans }))).toEqual(["p02", "p01"]);
  });

  test("a plan without points is none that stops", () => {
    expect(decideForget(facts({ points: [] })).plans).toEqual([
      { plan: "nightly", stoppedBecause: [], kept: 0, forgotten: 0 },
    ]);
  });
});

describe("kept whatever the rules say", () => {
  const last1 = { plans: [{ ...PLAN, keep: { last: 1 } }] };
  test.for<readonly [string, Partial<PointFact>, string]>([
    ["what is held", { holds: [HOLD] }, "held by ann: audit of 2026"],
    ["what no plan made", { plan: undefined, tags: [] }, "of no plan"],
    ["an old suspect", { state: "suspect" }, "suspect, and accepted by nobody"],
  ])("%s", ([, changes, reason]) => {
    const of = facts({ ...last1, points: [point(1, changes), point(2), point(3)] });
    expect(reasonsOf(of, "p01")).toEqual([reason]);
    expect(forgotten(of)).toEqual(["p02"]);
  });

  test("what an Object Lock holds is refused, and listed with its date", () => {
    const lockedUntil = new Date("2026-03-10T12:00:01Z");
    const over = new Date("2026-03-10T11:59:59Z");
    const of = facts({
      ...last1,
      points: [
        point(1, { lockedUntil }),
        point(2, { lockedUntil: over }),
        point(3, { lockedUntil }),
      ],
    });
    const decision = decideForget(of);
    expect(decision.locked).toEqual([
      { id: "p01", plan: "nightly", lockedUntil: "2026-03-10T12:00:01.000Z" },
    ]);
    expect(decision.forget.map(({ id }) => id)).toEqual(["p02"]);
    expect(reasonsOf(of, "p01")).toEqual(["locked until 2026-03-10T12:00:01.000Z"]);
  });

  test("by the clock of the two that lets a lock end later", () => {
    const lockedUntil = new Date("2026-03-10T11:30:00Z");
    const storeNow = new Date("2026-03-10T11:15:00Z");
    const of = facts({ ...last1, storeNow, points: [point(1, { lockedUntil }), point(3)] });
    expect(forgotten(of)).toEqual([]);
  });

  test("what was not asked for", () => {
    const points = [point(1), point(2, { tags: ["plan=nightly", "old"] }), point(3), point(4)];
    const of = facts({ ...last1, points: [...points, point(5)] });
    expect(forgotten(of, { plan: "other" })).toEqual([]);
    // The rules see what was asked for, as restic's --tag does.
    expect(forgotten(of, { tags: ["old"] })).toEqual([]);
    expect(forgotten(of, { tags: ["plan=nightly"] })).toEqual(["p04", "p03", "p02", "p01"]);
  });
});

describe("an incomplete point", () => {
  test("never takes the place of a good one", () => {
    const late = new Date("2026-03-02T20:00:00Z");
    const points = [point(1), point(2), point(9, { time: late, outcome: "incomplete" }), point(4)];
    const of = facts({ plans: [{ ...PLAN, keep: { daily: 2 } }], points });
    expect(forgotten(of)).toEqual(["p01"]);
    expect(reasonsOf(of, "p02")).toEqual(["daily snapshot"]);
  });

  test("nor one that was never read back the place of a proven one", () => {
    const late = new Date("2026-03-02T20:00:00Z");
    const stored = { state: "stored" } as const;
    const points = [point(1), point(2), point(9, { time: late, ...stored }), point(4, stored)];
    const daily = facts({ plans: [{ ...PLAN, keep: { daily: 2 } }], points });
    expect(forgotten(daily)).toEqual([]);
    const last = facts({ plans: [{ ...PLAN, keep: { last: 1 } }], points });
    expect(forgotten(last)).toEqual(["p09", "p01"]);
    expect(reasonsOf(last, "p02")).toEqual(["last snapshot", "newest proven point of its plan"]);
  });

  test("and where nothing was ever read back, good is enough", () => {
    const points = [1, 2, 3].map((day) => point(day, { state: "stored" }));
    expect(forgotten(facts({ points }))).toEqual(["p01"]);
  });
});

/** Reproduces engine-traps 21: what the base's own plan would forget is what a moment 14 days ago needs. */
describe("a promised window", () => {
  const days = Array.from({ length: 25 }, (_, index) => index + 1);
  const bases = days.map((day) =>
    point(day, { id: `base${day}`, plan: "base", tags: ["plan=base"] }),
  );
  const segments = days.map((day) =>
    point(day, {
      id: `segment${day}`,
      plan: "stream",
      tags: ["plan=stream"],
      time: new Date(Date.UTC(2026, 2, day, 14)),
    }),
  );
  const now = new Date("2026-03-25T18:00:00Z");
  const window: WindowFact = {
    name: "pitr",
    start: new Date("2026-03-11T18:00:00Z"),
    bases: bases.map(({ id }) => id),
    segments: segments.map(({ id }) => id),
  };
  const plans = ["base", "stream"].map((name) => ({ ...PLAN, name, keep: { last: 3 } }));
  const all = facts({
    now,
    storeNow: now,
    plans,
    points: [...bases, ...segments],
    windows: [window],
  });

  test("keeps the newest base before it and everything after, whatever their plans say", () => {
    expect(forgotten({ ...all, windows: [] })).toContain("base11");
    const gone = new Set(forgotten(all));
    // Kept of 11 March: the base of 02:00, and the segment of 14:00 that leads on from it.
    expect([...gone].sort()).toEqual(
      days
        .filter((day) => day < 11)
        .flatMap((day) => [`base${day}`, `segment${day}`])
        .sort(),
    );
    expect(reasonsOf(all, "base11")).toEqual(["window pitr"]);
  });

  test.for([["suspect"], ["incomplete"]] as const)("stands on no base that is %s", ([what]) => {
    const doubtful =
      what === "suspect" ? ({ state: "suspect" } as const) : ({ outcome: "incomplete" } as const);
    const points = all.points.map((p) => (p.id === "base11" ? { ...p, ...doubtful } : p));
    const gone = forgotten({ ...all, points });
    expect(gone).not.toContain("base10");
    expect(gone).not.toContain("segment10");
    expect(gone).toContain("base9");
  });

  test("that no base is old enough for needs all that there is", () => {
    const start = new Date("2026-02-01T00:00:00Z");
    expect(forgotten({ ...all, windows: [{ ...window, start }] })).toEqual([]);
  });
});

const RULE = fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined, freq: 1 });
const RULES: fc.Arbitrary<KeepRules> = fc.record({
  last: RULE,
  hourly: RULE,
  daily: RULE,
  weekly: RULE,
  monthly: RULE,
  yearly: RULE,
  within: fc.option(
    fc.record({
      years: fc.constant(0),
      months: fc.nat(1),
      days: fc.nat(20),
      hours: fc.nat(30),
      minutes: fc.nat(90),
      seconds: fc.nat(90),
    }),
    { nil: undefined },
  ),
  tags: fc.option(fc.subarray(["a", "b", "a,b"], { minLength: 1 }), { nil: undefined }),
});

const POINTS: fc.Arbitrary<readonly PointFact[]> = fc
  .array(
    fc.record({
      minutesAgo: fc.oneof(fc.nat(3 * 1440), fc.nat(400 * 1440)),
      plan: fc.constantFrom("nightly", "nightly", "nightly", "weekly", undefined),
      outcome: fc.nat(12).map((n) => (n === 0 ? ("incomplete" as const) : ("complete" as const))),
      state: fc
        .nat(12)
        .map((n) =>
          n === 0 ? ("suspect" as const) : n < 4 ? ("stored" as const) : ("verified" as const),
        ),
      tags: fc.subarray(["a", "b"]),
      held: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
    { maxLength: 40 },
  )
  .map((made) =>
    made.map(({ minutesAgo, held, ...rest }, index) => ({
      ...rest,
      id: `id${String(index).padStart(3, "0")}`,
      time: new Date(NOW.getTime() - minutesAgo * 60_000),
      holds: held ? [HOLD] : [],
    })),
  );

const FACTS: fc.Arbitrary<ForgetFacts> = fc
  .record({
    points: POINTS,
    rules: RULES,
    timezone: fc.constantFrom("UTC", "Africa/Johannesburg", "America/New_York"),
    windowDaysAgo: fc.option(fc.nat(60), { nil: undefined }),
  })
  .map(({ points, rules, timezone, windowDaysAgo }) => {
    const ids = points.map(({ id }) => id);
    const start = new Date(NOW.getTime() - (windowDaysAgo ?? 0) * 86_400_000);
    const window = {
      name: "w",
      start,
      bases: ids.filter((_, n) => n % 4 === 0),
      segments: ids.filter((_, n) => n % 4 === 1),
    };
    const plans = ["nightly", "weekly"].map((name) => ({ ...PLAN, name, keep: rules }));
    return facts({ points, plans, timezone, windows: windowDaysAgo === undefined ? [] : [window] });
  });

describe("whatever the facts", () => {
  /** `undefined`, or in words the facts for which the check is false, with the seed. */
  const counterexample = (check: (of: ForgetFacts) => boolean): string | undefined =>
    fc.defaultReportMessage(fc.check(fc.property(FACTS, check), { numRuns: 300 }));

  test("something is forgotten at all in many of them", () => {
    const samples = fc.sample(FACTS, { numRuns: 200, seed: 7 });
    expect(samples.filter((of) => forgotten(of).length > 0).length).toBeGreaterThan(20);
  });

  test("the newest good point of a plan stays", () => {
    const found = counterexample((of) => {
      const gone = new Set(forgotten(of));
      return ["nightly", "weekly"].every((plan) => {
        const good = of.points.filter((p) => p.plan === plan && isGood(p));
        const newestMs = Math.max(...good.map(({ time }) => time.getTime()));
        return (
          good.length === 0 || good.some((p) => p.time.getTime() === newestMs && !gone.has(p.id))
        );
      });
    });
    expect(found).toBeUndefined();
  });

  test("whatever is held stays", () => {
    const found = counterexample((of) => {
      const gone = new Set(forgotten(of));
      return of.points.every(({ id, holds }) => holds.length === 0 || !gone.has(id));
    });
    expect(found).toBeUndefined();
  });

  test("every point is kept or forgotten, once, and a kept one says why", () => {
    const found = counterexample((of) => {
      const { keep, forget } = decideForget(of);
      const ids = [...keep, ...forget].map(({ id }) => id).sort();
      const expected = of.points.map(({ id }) => id).sort();
      return ids.join() === expected.join() && keep.every(({ reasons }) => reasons.length > 0);
    });
    expect(found).toBeUndefined();
  });

  test("one more keep rule, or a greater count, never forgets more", () => {
    const name = fc.constantFrom(...COUNTED, "within" as const, "tags" as const);
    const property = fc.property(FACTS, RULES, name, (of, rules, key) => {
      const before = new Set(forgotten(of));
      const plans = of.plans.map((plan) => ({
        ...plan,
        keep: withRule(plan.keep ?? {}, rules, key),
      }));
      return forgotten({ ...of, plans }).every((id) => before.has(id));
    });
    expect(fc.defaultReportMessage(fc.check(property, { numRuns: 300 }))).toBeUndefined();
  });

  test("the order of the facts does not matter", () => {
    fc.assert(
      fc.property(FACTS, fc.infiniteStream(fc.nat()), (of, keys) => {
        const points = of.points
          .map((p) => ({ p, key: keys.next().value ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ p }) => p);
        expect(decideForget({ ...of, points })).toEqual(decideForget(of));
      }),
      { numRuns: 200 },
    );
  });

  test("forgetting again at the same moment forgets nothing more", () => {
    const found = counterexample((of) => {
      const gone = new Set(forgotten(of));
      const left = (ids: readonly string[] = []) => ids.filter((id) => !gone.has(id));
      const windows = (of.windows ?? []).map((window) => ({
        ...window,
        bases: left(window.bases),
        segments: left(window.segments),
      }));
      const points = of.points.filter(({ id }) => !gone.has(id));
      return forgotten({ ...of, points, windows }).length === 0;
    });
    expect(found).toBeUndefined();
  });
});

const COUNTED = ["last", "hourly", "daily", "weekly", "monthly", "yearly"] as const;

function withRule(rules: KeepRules, more: KeepRules, key: keyof KeepRules): KeepRules {
  if (key === "within") return { ...rules, within: rules.within ?? more.within };
  if (key === "tags") return { ...rules, tags: [...(rules.tags ?? []), ...(more.tags ?? [])] };
  return { ...rules, [key]: (rules[key] ?? 0) + (more[key] ?? 1) };
}
