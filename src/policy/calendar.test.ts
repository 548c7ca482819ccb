import { assert, constantFrom, date, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { addSpan, parseMoment } from "./index.ts";
import type { CalendarSpan } from "./index.ts";
import { instantsOf, utcMsOf, wallTimeOf } from "./wall-time.ts";

const NONE: CalendarSpan = { years: 0, months: 0, days: 0, hours: 0, minutes: 0, seconds: 0 };
const ZONES = ["UTC", "Africa/Johannesburg", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"];
const zones = constantFrom(...ZONES);
const dates = date({
  min: new Date("1980-01-01T00:00:00Z"),
  max: new Date("2100-01-01T00:00:00Z"),
  noInvalidDate: true,
});

describe("addSpan", () => {
  test.for<[string, Partial<CalendarSpan>, string, string]>([
    ["2026-01-31T10:00:00.123Z", { months: 1 }, "UTC", "2026-02-28T10:00:00.123Z"],
    ["2028-01-31T10:00:00Z", { months: 1 }, "UTC", "2028-02-29T10:00:00Z"],
    ["2028-02-29T10:00:00Z", { years: 1 }, "UTC", "2029-02-28T10:00:00Z"],
    ["2026-11-15T10:00:00Z", { months: 14 }, "UTC", "2028-01-15T10:00:00Z"],
    ["2026-12-20T10:00:00Z", { days: 30 }, "UTC", "2027-01-19T10:00:00Z"],
    // Clocks go forward on 29 March 2026 at 02:00: noon stays noon, 24 hours do not.
    ["2026-03-28T11:00:00Z", { days: 1 }, "Europe/Berlin", "2026-03-29T10:00:00Z"],
    ["2026-03-28T11:00:00Z", { hours: 24 }, "Europe/Berlin", "2026-03-29T11:00:00Z"],
    // 02:30 is skipped on that day, and shown twice on 25 October: the later one holds longer.
    ["2026-03-28T01:30:00Z", { days: 1 }, "Europe/Berlin", "2026-03-29T01:30:00Z"],
    ["2026-10-24T00:30:00Z", { days: 1 }, "Europe/Berlin", "2026-10-25T01:30:00Z"],
    ["2026-06-30T22:30:00Z", { months: 1 }, "Africa/Johannesburg", "2026-07-31T22:30:00Z"],
    ["2026-01-01T00:00:00Z", { years: 1, days: 1, seconds: 5 }, "UTC", "2027-01-02T00:00:05Z"],
  ])("%s and %o in %s", ([from, span, zone, expected]) => {
    const until = addSpan(new Date(from), { ...NONE, ...span }, zone);
    expect(until).toEqual(new Date(expected));
  });

  test("of days is never more than an hour or so from as many times 24 hours", () => {
    assert(
      property(dates, integer({ min: 1, max: 400 }), zones, (from, days, zone) => {
        const passedMs = addSpan(from, { ...NONE, days }, zone).getTime() - from.getTime();
        expect(Math.abs(passedMs - days * 86_400_000)).toBeLessThanOrEqual(2 * 3_600_000);
      }),
    );
  });
});

describe("wall times", () => {
  test("lead back to their instant", () => {
    assert(
      property(dates, zones, (instant, zone) => {
        const second = new Date(Math.floor(instant.getTime() / 1_000) * 1_000);
        expect(instantsOf(wallTimeOf(second, zone), zone)).toContainEqual(second);
      }),
    );
  });

  test("in UTC are what the date says", () => {
    assert(
      property(dates, (instant) => {
        const second = Math.floor(instant.getTime() / 1_000) * 1_000;
        expect(utcMsOf(wallTimeOf(instant, "UTC"))).toBe(second);
      }),
    );
  });
});

describe("parseMoment", () => {
  test.for([
    ["2026-11-20 14:31", "UTC", "2026-11-20T14:31:00Z"],
    ["2026-11-20 14:31", "Africa/Johannesburg", "2026-11-20T12:31:00Z"],
    ["2026-11-20T14:31:07", "Africa/Johannesburg", "2026-11-20T12:31:07Z"],
    ["2026-11-20T14:31:07Z", "Africa/Johannesburg", "2026-11-20T14:31:07Z"],
    ["2026-11-20 14:31+05:30", "UTC", "2026-11-20T09:01:00Z"],
    ["2026-11-20 14:31-03:30", "UTC", "2026-11-20T18:01:00Z"],
    // Shown twice: the earlier one.
    ["2026-10-25 02:30", "Europe/Berlin", "2026-10-25T00:30:00Z"],
  ] as const)("%s in %s is %s", ([text, zone, expected]) => {
    expect(parseMoment(text, zone)).toEqual({ moment: new Date(expected) });
  });

  test.for([
    "",
    "2026-11-20",
    "yesterday",
    "14:31",
    "20.11.2026 14:31",
    "2026-11-20 14",
    "2026-11-20 24:00",
    "2026-11-20 14:60",
    "2026-02-30 14:31",
    "2026-13-01 14:31",
    "2026-11-20 14:31 CET",
    "2026-11-20 14:31+15:00",
    "2026-11-20  14:31",
  ])("%j is none", (text) => {
    expect(parseMoment(text, "UTC")).toHaveProperty("problem");
  });

  test("a time that clocks skip is none", () => {
    expect(parseMoment("2026-03-29 02:30", "Europe/Berlin")).toEqual({
      problem: "a time that clocks skip in Europe/Berlin",
      fix: "Name a time before it.",
    });
  });
});
