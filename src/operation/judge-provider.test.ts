import { describe, expect, test } from "vitest";
import { parseSpan } from "../policy/index.ts";
import type { ProviderPolicy } from "../policy/index.ts";
import type { ProviderBackups } from "../supabase/index.ts";
import { judgeProvider } from "./judge-provider.ts";
import type { ProviderFacts } from "./judge-provider.ts";

const NOW = new Date("2026-11-20T12:00:00Z");
const HOUR_MS = 3_600_000;

function ago(hours: number): Date {
  return new Date(NOW.getTime() - hours * HOUR_MS);
}

type Expect = ProviderPolicy["expect"];

const BOTH: Expect = {
  one_of: ["pitr", "daily_backup"],
  window: parseSpan("7 days"),
  newest_within: parseSpan("26h"),
};

function backups(changes: Partial<ProviderBackups> = {}): ProviderBackups {
  return { region: "eu-central-1", walArchived: true, pitr: false, backups: [], ...changes };
}

function daily(...hours: readonly number[]): ProviderBackups["backups"] {
  return hours.map((hour) => ({ physical: true, status: "COMPLETED" as const, at: ago(hour) }));
}

const WEEK = [8, 32, 56, 80, 104, 128, 152];

function facts(changes: Partial<ProviderFacts>): ProviderFacts {
  return {
    now: NOW,
    timezone: "UTC",
    project: { createdAt: ago(24 * 365) },
    backups: backups(),
    lastWrite: { at: ago(0), from: "WAL file" },
    ...changes,
  };
}

function codes(changes: Partial<ProviderFacts>, wanted: Expect = BOTH): readonly string[] {
  return judgeProvider(wanted, facts(changes)).findings.map(({ code }) => code);
}

describe("daily backups", () => {
  test("of a week are what a window of a week expects", () => {
    expect(codes({ backups: backups({ backups: daily(...WEEK) }) })).toEqual([]);
  });

  test.for([
    ["none", [], ["provider_nothing"]],
    ["an old one", WEEK.map((h) => h + 24), ["provider_backup_old"]],
    ["a night left out", WEEK.filter((h) => h !== 56), ["provider_gap"]],
    ["three days of seven", WEEK.slice(0, 3), ["provider_window_short"]],
  ] as const)("%s", ([, hours, wanted]) => {
    expect(codes({ backups: backups({ backups: daily(...hours) }) })).toEqual(wanted);
  });

  test("a gap before the window is history", () => {
    const list = daily(...WEEK, 176, 300);
    expect(codes({ backups: backups({ backups: list }) })).toEqual([]);
  });

  test.for([
    ["FAILED", 2, ["provider_backup_failed"]],
    ["CANCELLED", 2, ["provider_backup_failed"]],
    ["PENDING", 2, []],
    ["REMOVED", 2, []],
    ["FAILED", 40, []],
  ] as const)("one that is %s %i hours ago", ([status, hours, wanted]) => {
    const list = [...daily(...WEEK), { physical: true, status, at: ago(hours) }].toSorted(
      (a, b) => b.at.getTime() - a.at.getTime(),
    );
    expect(codes({ backups: backups({ backups: list }) })).toEqual(wanted);
  });

  test("only ones that did not end", () => {
    const list = [30, 54].map((h) => ({ physical: true, status: "PENDING" as const, at: ago(h) }));
    expect(codes({ backups: backups({ backups: list }) })).toEqual([
      "provider_nothing",
      "provider_backup_stuck",
    ]);
  });

  test("of a project that is younger than the window", () => {
    const young = facts({
      project: { createdAt: ago(50) },
      backups: backups({ backups: daily(8, 32) }),
    });
    expect(judgeProvider(BOTH, young)).toMatchObject({
      findings: [],
      notes: [expect.stringContaining("the project is of 2026-11-18")],
    });
  });
});

describe("point-in-time recovery", () => {
  const pitr = (earliest: number, latest: number, list = daily()): ProviderBackups =>
    backups({ pitr: true, earliest: ago(earliest), latest: ago(latest), backups: list });

  test("that reaches from a week ago to now", () => {
    expect(codes({ backups: pitr(24 * 7 + 1, 0.1) })).toEqual([]);
  });

  test("that ended the daily backups: their age says nothing", () => {
    const verdict = judgeProvider(BOTH, facts({ backups: pitr(200, 0.1, daily(700, 724)) }));
    expect(verdict.findings).toEqual([]);
    expect(verdict.notes).toEqual([expect.stringContaining("as it should be")]);
  });

  test("whose newest point is old because nothing was written since", () => {
    const idle = {
      backups: pitr(200, 60),
      lastWrite: { at: ago(59.9), from: "WAL file" },
    } as const;
    const verdict = judgeProvider(BOTH, facts(idle));
    expect(verdict.findings).toEqual([]);
    expect(verdict.notes).toEqual([expect.stringContaining("nothing was written since")]);
  });

  test.for([
    ["although there were writes", { at: ago(40), from: "commit timestamp" }],
    ["and nobody knows of writes", { unknown: "no right" }],
  ] as const)("whose newest point is old %s", ([, lastWrite]) => {
    expect(codes({ backups: pitr(200, 60), lastWrite })).toEqual(["provider_window_ends_early"]);
  });

  test("that is on and holds nothing", () => {
    expect(codes({ backups: backups({ pitr: true }) })).toEqual(["provider_nothing"]);
  });

  test("that reaches back three days", () => {
    expect(codes({ backups: pitr(72, 0.1) })).toEqual(["provider_window_short"]);
  });

  test("where daily backups alone are expected", () => {
    const wanted = { ...BOTH, one_of: ["daily_backup"] as const };
    expect(codes({ backups: pitr(200, 0.1) }, wanted)).toEqual(["provider_daily_replaced"]);
  });

  test("that is off", () => {
    const wanted = { ...BOTH, one_of: ["pitr"] as const };
    expect(codes({ backups: backups({ backups: daily(...WEEK) }) }, wanted)).toEqual([
      "provider_pitr_off",
    ]);
  });
});

test("an expectation that names only a kind is met by it", () => {
  const old = backups({ backups: daily(900) });
  expect(codes({ backups: old }, { one_of: ["daily_backup"] })).toEqual([]);
});
