/** `30 days`, `1 year`, `90m`: a length of time as people write it. Months and years are the calendar's, not 30 days. */
export interface CalendarSpan {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
}

type Unit = keyof CalendarSpan;

const UNITS: Readonly<Record<string, readonly [unit: Unit, times: number]>> = {
  y: ["years", 1],
  year: ["years", 1],
  years: ["years", 1],
  month: ["months", 1],
  months: ["months", 1],
  w: ["days", 7],
  week: ["days", 7],
  weeks: ["days", 7],
  d: ["days", 1],
  day: ["days", 1],
  days: ["days", 1],
  h: ["hours", 1],
  hour: ["hours", 1],
  hours: ["hours", 1],
  m: ["minutes", 1],
  minute: ["minutes", 1],
  minutes: ["minutes", 1],
  s: ["seconds", 1],
  second: ["seconds", 1],
  seconds: ["seconds", 1],
};

const PART = /^(\d{1,6})\s*([a-z]+)\s*/;

/** `undefined` when the text is no length of time, or none at all. Several parts add up: `1 year 6 months`. */
export function parseSpan(text: string): CalendarSpan | undefined {
  const span = { years: 0, months: 0, days: 0, hours: 0, minutes: 0, seconds: 0 };
  let rest = text.trim().toLowerCase();
  if (rest === "") return undefined;
  while (rest !== "") {
    const [all, count, name] = PART.exec(rest) ?? [];
    const unit = name === undefined ? undefined : UNITS[name];
    if (all === undefined || unit === undefined) return undefined;
    span[unit[0]] += Number(count) * unit[1];
    rest = rest.slice(all.length);
  }
  return Object.values(span).some((value) => value > 0) ? span : undefined;
}

/** `10 MiB/s`, `500 kB/s`: bytes a second; `undefined` when it is no such rate. */
export function parseByteRate(text: string): number | undefined {
  const [, number, prefix, binary] =
    /^(\d+(?:\.\d+)?)\s*([kMG]?)(i?)B\/s$/i.exec(text.trim()) ?? [];
  if (number === undefined || prefix === undefined) return undefined;
  const power = ["", "k", "m", "g"].indexOf(prefix.toLowerCase());
  const bytes = Number(number) * (binary === "" ? 1000 : 1024) ** power;
  return bytes >= 1 ? Math.floor(bytes) : undefined;
}
