import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Calendar } from "./calendar.ts";
import type { CalendarSpan } from "./calendar.ts";

const NONE: CalendarSpan = { years: 0, months: 0, days: 0, hours: 0, minutes: 0, seconds: 0 };
const span = (part: Partial<CalendarSpan>): CalendarSpan => ({ ...NONE, ...part });

describe("a length of time before a moment", () => {
  test.for([
    // Month ends and leap years.
    ["UTC", "2026-03-31T12:00:00Z", { months: 1 }, "2026-02-28T12:00:00Z"],
    ["UTC", "2024-03-31T12:00:00Z", { months: 1 }, "2024-02-29T12:00:00Z"],
    ["UTC", "2024-02-29T12:00:00Z", { years: 1 }, "2023-02-28T12:00:00Z"],
    ["UTC", "2024-02-29T12:00:00Z", { years: 4 }, "2020-02-29T12:00:00Z"],
    ["UTC", "2026-01-15T00:00:00Z", { months: 13 }, "2024-12-15T00:00:00Z"],
    ["UTC", "2026-03-31T12:00:00Z", { months: 1, days: 1 }, "2026-02-27T12:00:00Z"],
    ["UTC", "2026-01-01T00:00:00.250Z", { days: 1 }, "2025-12-31T00:00:00.250Z"],
    ["UTC", "2026-01-01T00:00:00Z", { hours: 1, minutes: 1, seconds: 1 }, "2025-12-31T22:58:59Z"],
    // The same time of day across a change of clocks: 23 and 25 hours.
    ["Europe/Berlin", "2026-03-29T10:00:00Z", { days: 1 }, "2026-03-28T11:00:00Z"],
    ["Europe/Berlin", "2026-10-25T11:00:00Z", { days: 1 }, "2026-10-24T10:00:00Z"],
    ["Europe/Berlin", "2026-03-29T10:00:00Z", { hours: 24 }, "2026-03-28T10:00:00Z"],
    // 02:30 was left out: the time before the gap. 02:30 came twice: the first.
    ["Europe/Berlin", "2026-03-30T00:30:00Z", { days: 1 }, "2026-03-29T00:30:00Z"],
    ["Europe/Berlin", "2026-10-26T01:30:00Z", { days: 1 }, "2026-10-25T00:30:00Z"],
    ["Africa/Johannesburg", "2026-03-31T22:30:00Z", { months: 1 }, "2026-02-28T22:30:00Z"],
  ] as const)("%s: %s less %o is %s", ([timezone, from, part, expected]) => {
    const found = new Calendar(timezone).before(new Date(from), span(part));
    expect(found.toISOString()).toBe(new Date(expected).toISOString());
  });

  test("may fall on a day that a zone left out", () => {
    // Samoa had no 30 December 2011.
    const found = new Calendar("Pacific/Apia").before(
      new Date("2011-12-30T22:00:00Z"),
      span({ days: 1 }),
    );
    expect(found.toISOString()).toBe("2011-12-29T22:00:00.000Z");
  });

  test("is never later than that moment, and never later for a longer one", () => {
    const zones = fc.constantFrom(
      "UTC",
      "Europe/Berlin",
      "America/New_York",
      "Australia/Lord_Howe",
    );
    const days = fc.integer({ min: 0, max: 800 });
    const date = fc.date({
      min: new Date("1980-01-01"),
      max: new Date("2060-01-01"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(zones, date, days, (timezone, from, count) => {
        const calendar = new Calendar(timezone);
        const shorter = calendar.before(from, span({ days: count })).getTime();
        const longer = calendar.before(from, span({ days: count + 1 })).getTime();
        expect(shorter).toBeLessThanOrEqual(from.getTime());
        expect(longer).toBeLessThan(shorter);
      }),
      { numRuns: 200 },
    );
  });
});

test.for([
  ["UTC", "2026-01-01T00:00:00Z", 2026, 1],
  ["UTC", "2027-01-03T23:59:59Z", 2026, 53],
  ["UTC", "2021-01-03T12:00:00Z", 2020, 53],
  ["UTC", "2024-12-30T00:00:00Z", 2025, 1],
  ["UTC", "2026-06-15T00:00:00Z", 2026, 25],
  // Sunday evening in London is Monday in Johannesburg.
  ["Africa/Johannesburg", "2026-06-14T22:30:00Z", 2026, 25],
  ["Europe/London", "2026-06-14T22:30:00Z", 2026, 24],
] as const)("the ISO week in %s of %s is %d-%d", ([timezone, at, year, week]) => {
  expect(new Calendar(timezone).isoWeek(new Date(at))).toEqual({ year, week });
});

test("a wall clock shows what the zone had, before 1970 and in milliseconds too", () => {
  const wall = new Calendar("Europe/Berlin").wallClock(new Date("1969-07-20T20:17:40.500Z"));
  expect(wall).toEqual({
    year: 1969,
    month: 7,
    day: 20,
    hour: 21,
    minute: 17,
    second: 40,
    offsetMs: 3_600_000,
  });
});
