import { describe, expect, test } from "vitest";
import { Calendar } from "./calendar.ts";
import { applyKeepRules, formatSpan } from "./keep.ts";
import type { KeepRules } from "./keep.ts";

interface Point {
  readonly id: string;
  readonly time: Date;
  readonly tags: readonly string[];
}

function point(time: string, tags: readonly string[] = []): Point {
  return { id: time, time: new Date(time), tags };
}

function kept(
  times: readonly (string | Point)[],
  rules: KeepRules,
  timezone = "UTC",
): Readonly<Record<string, readonly string[]>> {
  const points = times.map((time) => (typeof time === "string" ? point(time) : time));
  const anchor = new Date(Math.max(...points.map((p) => p.time.getTime())));
  const options = { calendar: new Calendar(timezone), anchor };
  return Object.fromEntries(applyKeepRules(points, rules, options));
}

const NONE = { years: 0, months: 0, days: 0, hours: 0, minutes: 0, seconds: 0 };

describe("a rule that counts", () => {
  test("keeps the newest of each of the last N buckets that have one", () => {
    const times = [
      "2026-03-01T01:00Z",
      "2026-03-02T01:00Z",
      "2026-03-02T09:00Z",
      "2026-03-05T01:00Z",
    ];
    expect(kept(times, { daily: 2 })).toEqual({
      "2026-03-05T01:00Z": ["daily snapshot"],
      "2026-03-02T09:00Z": ["daily snapshot"],
    });
  });

  test("that has counts left keeps the oldest too", () => {
    const times = ["2026-03-02T01:00Z", "2026-03-02T09:00Z", "2026-03-02T12:00Z"];
    expect(kept(times, { daily: 5 })).toEqual({
      "2026-03-02T12:00Z": ["daily snapshot"],
      "2026-03-02T01:00Z": ["oldest daily snapshot"],
    });
    expect(kept(times, { daily: 1 })).toEqual({ "2026-03-02T12:00Z": ["daily snapshot"] });
  });

  test("lists every reason, in restic's order", () => {
    const times = ["2026-03-02T01:00Z"];
    const rules = { last: 1, hourly: 1, daily: 1, weekly: 1, monthly: 1, yearly: 1 };
    expect(kept(times, rules)).toEqual({
      "2026-03-02T01:00Z": ["last", "hourly", "daily", "weekly", "monthly", "yearly"].map(
        (name) => `${name} snapshot`,
      ),
    });
  });

  test("counts the days of the zone", () => {
    // Two days in UTC, one in Johannesburg.
    const times = ["2026-03-01T23:00Z", "2026-03-02T10:00Z", "2026-02-20T10:00Z"];
    expect(Object.keys(kept(times, { daily: 1 }, "Africa/Johannesburg"))).toEqual([
      "2026-03-02T10:00Z",
    ]);
    expect(Object.keys(kept(times, { daily: 2 }))).toEqual([
      "2026-03-02T10:00Z",
      "2026-03-01T23:00Z",
    ]);
    expect(Object.keys(kept(times, { daily: 2 }, "Africa/Johannesburg"))).toEqual([
      "2026-03-02T10:00Z",
      "2026-02-20T10:00Z",
    ]);
  });

  test("takes an hour that comes twice for two", () => {
    const times = ["2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T02:30Z"];
    expect(Object.keys(kept(times, { hourly: 3 }, "Europe/Berlin"))).toHaveLength(3);
    expect(kept(times, { hourly: 3 }, "Europe/Berlin")["2026-10-25T00:30Z"]).toEqual([
      "hourly snapshot",
    ]);
  });

  test("takes the week of a year's end for one", () => {
    const times = ["2025-12-28T10:00Z", "2025-12-29T10:00Z", "2026-01-04T10:00Z"];
    expect(Object.keys(kept(times, { weekly: 2 }))).toEqual([
      "2026-01-04T10:00Z",
      "2025-12-28T10:00Z",
    ]);
  });
});

test("`within` keeps what is younger than that, counted from the anchor and not from now", () => {
  const times = [
    "2020-01-01T00:00Z",
    "2020-01-02T00:00Z",
    "2020-01-31T00:00:01Z",
    "2020-02-01T00:00Z",
  ];
  expect(kept(times, { within: { ...NONE, days: 30 } })).toEqual({
    "2020-02-01T00:00Z": ["within 30d"],
    "2020-01-31T00:00:01Z": ["within 30d"],
  });
});

test("tags keep what carries all of one list", () => {
  const points = [
    point("2026-01-01T00:00Z", ["a"]),
    point("2026-01-02T00:00Z", ["a", "b"]),
    point("2026-01-03T00:00Z", ["c"]),
    point("2026-01-04T00:00Z", []),
  ];
  expect(kept(points, { tags: ["a,b", "c"] })).toEqual({
    "2026-01-02T00:00Z": ["has tags [a, b]"],
    "2026-01-03T00:00Z": ["has tags [c]"],
  });
});

test("without points nothing is kept", () => {
  const options = { calendar: new Calendar("UTC"), anchor: new Date(0) };
  expect(applyKeepRules([], { last: 1 }, options).size).toBe(0);
});

test("a length of time is written as restic writes it", () => {
  expect(formatSpan({ years: 1, months: 2, days: 3, hours: 4, minutes: 5, seconds: 6 })).toBe(
    "1y2m3d4h5min6s",
  );
});
