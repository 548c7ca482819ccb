/**
 * Instants as the wall clocks of a time zone show them, and back. Days, weeks, months and years are the zone's; a length of
 * time goes back through the calendar first and by the clock then, so that "1 month" before 31 March is the end of February
 * and "1 day" before a change of clocks is the same time of day. docs/spec/retention.md §calendar
 */

/** The same shape as the policy's. Months and years are the calendar's, not 30 or 365 days. */
export interface CalendarSpan {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
}

export interface WallClock {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** What the zone was ahead of UTC then. */
  readonly offsetMs: number;
}

export interface IsoWeek {
  readonly year: number;
  readonly week: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export class Calendar {
  readonly #format: Intl.DateTimeFormat;
  /** By instant: several rules ask for the same one, and formatting is what takes time. */
  readonly #known = new Map<number, WallClock>();

  /** Throws a RangeError for a name that is no IANA time zone. */
  constructor(timezone: string) {
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone: timezone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  }

  wallClock(instant: Date): WallClock {
    const known = this.#known.get(instant.getTime()) ?? this.#read(instant);
    this.#known.set(instant.getTime(), known);
    return known;
  }

  #read(instant: Date): WallClock {
    const parts = new Map(this.#format.formatToParts(instant).map((p) => [p.type, p.value]));
    const number = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
    const beforeChrist = parts.get("era")?.startsWith("B") === true;
    const year = beforeChrist ? 1 - number("year") : number("year");
    const [month, day] = [number("month"), number("day")];
    const [hour, minute, second] = [number("hour"), number("minute"), number("second")];
    const shownMs = utcMs(year, month, day) + hour * HOUR_MS + minute * 60_000 + second * 1000;
    const wholeMs = Math.floor(instant.getTime() / 1000) * 1000;
    return { year, month, day, hour, minute, second, offsetMs: shownMs - wholeMs };
  }

  isoWeek(instant: Date): IsoWeek {
    const { year, month, day } = this.wallClock(instant);
    const dayMs = utcMs(year, month, day);
    // The week belongs to the year of its Thursday.
    const weekday = (new Date(dayMs).getUTCDay() + 6) % 7;
    const thursdayMs = dayMs + (3 - weekday) * DAY_MS;
    const weekYear = new Date(thursdayMs).getUTCFullYear();
    const week = 1 + Math.floor((thursdayMs - utcMs(weekYear, 1, 1)) / (7 * DAY_MS));
    return { year: weekYear, week };
  }

  /** `span` before `instant`. A day that a month does not have is its last one; of two readings the earlier one. */
  before(instant: Date, span: CalendarSpan): Date {
    const exactMs = span.hours * HOUR_MS + span.minutes * 60_000 + span.seconds * 1000;
    if (span.years === 0 && span.months === 0 && span.days === 0) {
      return new Date(instant.getTime() - exactMs);
    }
    const wall = this.wallClock(instant);
    const monthIndex = (wall.year - span.years) * 12 + (wall.month - 1) - span.months;
    const [year, month] = [Math.floor(monthIndex / 12), (((monthIndex % 12) + 12) % 12) + 1];
    const day = Math.min(wall.day, daysIn(year, month));
    const subSecondMs = ((instant.getTime() % 1000) + 1000) % 1000;
    const timeMs = wall.hour * HOUR_MS + wall.minute * 60_000 + wall.second * 1000 + subSecondMs;
    const wallMs = utcMs(year, month, day) - span.days * DAY_MS + timeMs;
    return new Date(this.#instantOf(wallMs) - exactMs);
  }

  /**
   * When wall clocks showed this. An hour that came twice means the first time, one that was left out the time before the
   * gap: a limit that is too early forgets nothing too much.
   */
  #instantOf(wallMs: number): number {
    const offsets = [-DAY_MS, DAY_MS].map((d) => this.wallClock(new Date(wallMs + d)).offsetMs);
    const candidates = offsets.map((offsetMs) => wallMs - offsetMs);
    const exact = candidates.filter((ms) => ms + this.wallClock(new Date(ms)).offsetMs === wallMs);
    return Math.min(...(exact.length > 0 ? exact : candidates));
  }
}

/** Midnight UTC, also of years before 100, which `Date.UTC` takes for 19xx. */
function utcMs(year: number, month: number, day: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getTime();
}

function daysIn(year: number, month: number): number {
  return new Date(utcMs(year, month + 1, 0)).getUTCDate();
}
