/** What clocks on the wall of a time zone show. */
export interface WallTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

const DAY_MS = 86_400_000;

export function wallTimeOf(instant: Date, timezone: string): WallTime {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: timezone,
    calendar: "iso8601",
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  const parts = new Map(format.formatToParts(instant).map(({ type, value }) => [type, value]));
  const number = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
  return {
    year: number("year"),
    month: number("month"),
    day: number("day"),
    hour: number("hour"),
    minute: number("minute"),
    second: number("second"),
  };
}

/** When the wall shows this, oldest first: none where clocks skip it, two where they are set back over it. */
export function instantsOf(wall: WallTime, timezone: string): readonly Date[] {
  const asUtcMs = utcMsOf(wall);
  return offsetsAround(asUtcMs, timezone)
    .map((offsetMs) => new Date(asUtcMs - offsetMs))
    .filter((instant) => utcMsOf(wallTimeOf(instant, timezone)) === asUtcMs)
    .sort((a, b) => a.getTime() - b.getTime());
}

/** The last of them; where clocks skip the wall time, as much later as they skip. */
export function lastInstantOf(wall: WallTime, timezone: string): Date {
  const last = instantsOf(wall, timezone).at(-1);
  if (last !== undefined) return last;
  const asUtcMs = utcMsOf(wall);
  return new Date(asUtcMs - Math.min(...offsetsAround(asUtcMs, timezone)));
}

/** Fields beyond their ranges carry over: day 32 is of the next month. */
export function utcMsOf({ year, month, day, hour, minute, second }: WallTime): number {
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** No zone changes twice within two days. */
function offsetsAround(asUtcMs: number, timezone: string): readonly number[] {
  const offsets = [asUtcMs - DAY_MS, asUtcMs + DAY_MS].map(
    (ms) => utcMsOf(wallTimeOf(new Date(ms), timezone)) - Math.floor(ms / 1_000) * 1_000,
  );
  return [...new Set(offsets)];
}
