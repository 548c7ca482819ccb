import { describe, expect, test } from "vitest";
import { parseSpan } from "../../policy/index.ts";
import { judgePlan, overallOutcome } from "./judge.ts";
import type { PlanFacts, PlanStatus, StatusPoint } from "./types.ts";

const NOW = new Date("2026-11-27T12:00:00Z");
const JUDGE = { now: NOW, timezone: "Africa/Johannesburg" };

const POINT: StatusPoint = {
  id: "a".repeat(64),
  time: "2026-11-27T01:00:00.000Z",
  outcome: "complete",
  state: "verified",
};

type Points = Extract<PlanFacts["points"], { readonly known: unknown }>["known"];

function factsWith(points: Partial<Points> = {}, more: Partial<PlanFacts> = {}): PlanFacts {
  return {
    plan: "nightly",
    source: "database",
    destination: "bucket",
    captures: "everything",
    lockExpected: true,
    lock: { known: { mode: "compliance", until: "2026-12-27T01:00:00.000Z" } },
    copies: [{ destination: "offsite", holds: { known: { state: "verified" } } }],
    guardsOff: [],
    leaves: [{ table: "public.audit_logs", plan: "audit-logs", newestGood: { known: POINT } }],
    points: {
      known: {
        count: 3,
        newest: POINT,
        newestGood: POINT,
        suspect: [],
        records: true,
        unreadable: [],
        ...points,
      },
    },
    ...more,
  };
}

function judged(facts: PlanFacts, within?: string): PlanStatus {
  const span = within === undefined ? undefined : parseSpan(within);
  return judgePlan(facts, span === undefined ? JUDGE : { ...JUDGE, within: span });
}

const bad = (changes: Partial<StatusPoint>): StatusPoint => ({ ...POINT, ...changes });

describe("a plan", () => {
  test("misses nothing where everything that was promised was read and is there", () => {
    expect(judged(factsWith(), "12h")).toMatchObject({
      outcome: "met",
      ageMs: 11 * 3_600_000,
      findings: [],
      unknown: [],
      unjudged: [],
    });
  });

  test("of any age is met only with the word that age was not judged", () => {
    const old = bad({ time: "2019-01-01T00:00:00.000Z" });
    expect(judged(factsWith({ newest: old, newestGood: old }))).toMatchObject({
      outcome: "met",
      unjudged: [expect.stringContaining("age")],
    });
  });

  const missed: readonly (readonly [string, PlanFacts, string?])[] = [
    ["no_point", factsWith({ count: 0, newest: undefined, newestGood: undefined } as never)],
    [
      "no_good_point",
      factsWith({ newest: bad({ outcome: "incomplete" }), newestGood: undefined } as never),
    ],
    ["newest_suspect", factsWith({ newest: bad({ state: "suspect", doubt: "rows fell" }) })],
    ["newest_incomplete", factsWith({ newest: bad({ outcome: "incomplete" }) })],
    ["newest_damaged", factsWith({ newest: bad({ outcome: "incomplete", state: "damaged" }) })],
    ["newest_missing", factsWith({ newest: bad({ outcome: "incomplete", state: "missing" }) })],
    ["not_verified", factsWith({ newestGood: bad({ state: "stored" }) })],
    ["too_old", factsWith(), "10h"],
    ["not_locked", factsWith({}, { lock: { known: null } })],
    [
      "not_locked",
      factsWith({}, { lock: { known: { mode: "governance", until: "2026-11-27T11:59:59.000Z" } } }),
    ],
    ["copy_behind", factsWith({}, { copies: [{ destination: "o", holds: { known: null } }] })],
    [
      "left_uncovered",
      factsWith({}, { leaves: [{ table: "t", plan: "p", newestGood: { known: null } }] }),
    ],
    [
      "copy_suspect",
      factsWith({}, { copies: [{ destination: "o", holds: { known: { state: "suspect" } } }] }),
    ],
  ];
  test.for(missed)("is missed by %s", ([code, facts, within]) => {
    const { outcome, findings } = judged(facts, within);
    expect(outcome).toBe("missed");
    expect(findings.map((one) => one.code)).toContain(code);
  });

  const unknown: readonly (readonly [string, PlanFacts])[] = [
    ["a destination out of reach", factsWith({}, { points: { unknown: "no answer" } })],
    ["a snapshot file that cannot be read", factsWith({ unreadable: ["snapshot 1234"] })],
    ["a lock that was not told", factsWith({}, { lock: { unknown: "no answer" } })],
    [
      "a copy out of reach",
      factsWith({}, { copies: [{ destination: "o", holds: { unknown: "no answer" } }] }),
    ],
    [
      "a repository of rows left out out of reach",
      factsWith({}, { leaves: [{ table: "t", plan: "p", newestGood: { unknown: "no answer" } }] }),
    ],
    ["a point of tomorrow", factsWith({ newestGood: bad({ time: "2026-11-28T00:00:00.000Z" }) })],
  ];
  test.for(unknown)("is not known to be good with %s", ([, facts]) => {
    expect(judged(facts, "12h")).toMatchObject({ outcome: "unknown", findings: [] });
  });

  test("without room for records is said not to be proven", () => {
    const stored = bad({ state: "stored" });
    const status = judged(factsWith({ newest: stored, newestGood: stored, records: false }), "1d");
    expect(status).toMatchObject({ outcome: "met", unjudged: [expect.stringContaining("proof")] });
  });
});

describe("the whole", () => {
  const [met, missed, unknown] = [
    judged(factsWith()),
    judged(factsWith({ newest: bad({ state: "suspect" }) })),
    judged(factsWith({}, { points: { unknown: "away" } })),
  ];
  test("is as bad as its worst plan", () => {
    expect(overallOutcome([met], [], [])).toBe("met");
    expect(overallOutcome([met, unknown], [], [])).toBe("unknown");
    expect(overallOutcome([met, unknown, missed], [], [])).toBe("missed");
  });

  test("is unknown where a project or a provider should have been asked and was not", () => {
    const source = "database";
    const failed = { source, notCompared: "refused", failed: true };
    expect(overallOutcome([met], [failed], [])).toBe("unknown");
    expect(overallOutcome([met], [{ ...failed, failed: false }], [])).toBe("met");
    expect(overallOutcome([met], [], [{ source, notWatched: "refused" }])).toBe("unknown");
  });
});
