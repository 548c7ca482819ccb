import type { CalendarSpan } from "./duration.ts";
import { lastInstantOf, utcMsOf, wallTimeOf } from "./wall-time.ts";
import type { WallTime } from "./wall-time.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const SECOND_MS = 1_000;

/**
 * A date and a length of time, by the calendar of the time zone: a month after 31 January is the last of February, a day
 * after noon is noon. Hours, minutes and seconds pass as they do everywhere. Where clocks make it unclear, the later.
 */
export function addSpan(date: Date, span: CalendarSpan, timezone: string): Date {
  const { years, months, days, hours, minutes, seconds } = span;
  const passMs = hours * HOUR_MS + minutes * MINUTE_MS + seconds * SECOND_MS;
  if (years === 0 && months === 0 && days === 0) return new Date(date.getTime() + passMs);
  const wall = wallTimeOf(date, timezone);
  const later = lastInstantOf(addDays(addMonths(wall, years * 12 + months), days), timezone);
  const belowSecondMs = ((date.getTime() % SECOND_MS) + SECOND_MS) % SECOND_MS;
  return new Date(later.getTime() + belowSecondMs + passMs);
}

function addMonths(wall: WallTime, months: number): WallTime {
  const count = wall.month - 1 + months;
  const year = wall.year + Math.floor(count / 12);
  const month = (count % 12) + 1;
  return { ...wall, year, month, day: Math.min(wall.day, daysIn(year, month)) };
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

function addDays(wall: WallTime, days: number): WallTime {
  return wallTimeOf(new Date(utcMsOf({ ...wall, day: wall.day + days })), "UTC");
}
