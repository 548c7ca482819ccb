import { instantsOf } from "./wall-time.ts";
import type { WallTime } from "./wall-time.ts";

export type ParsedMoment =
  | { readonly moment: Date }
  | { readonly problem: string; readonly fix: string };

const FORM = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:\d\d)?$/;
const MINUTE_MS = 60_000;

/**
 * `2026-11-20 14:31`, with seconds or without, in the time zone unless it ends with `Z` or an offset. Nothing is guessed:
 * no date alone, no other order. A time that clocks show twice is the earlier one.
 */
export function parseMoment(text: string, timezone: string): ParsedMoment {
  const [all, year, month, day, hour, minute, second = "0", zone] = FORM.exec(text.trim()) ?? [];
  const fix = 'Write for example "2026-11-20 14:31" or "2026-11-20T14:31:00Z".';
  if (all === undefined) return { problem: "no date with a time", fix };
  const wall: WallTime = {
    year: Number(year),
    month: Number(month),
    day: Number(day),
    hour: Number(hour),
    minute: Number(minute),
    second: Number(second),
  };
  const asUtc = dateOf(wall);
  if (asUtc === undefined) return { problem: "a date or time that does not exist", fix };
  if (zone !== undefined) {
    const offsetMs = offsetOf(zone);
    if (offsetMs === undefined) return { problem: "an offset that no zone has", fix };
    return { moment: new Date(asUtc.getTime() - offsetMs) };
  }
  const [first] = instantsOf(wall, timezone);
  if (first !== undefined) return { moment: first };
  return { problem: `a time that clocks skip in ${timezone}`, fix: "Name a time before it." };
}

/** `undefined` for the 31st of February and the like. */
function dateOf(wall: WallTime): Date | undefined {
  const { year, month, day, hour, minute, second } = wall;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date : undefined;
}

function offsetOf(zone: string): number | undefined {
  if (zone === "Z") return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(4));
  if (hours > 14 || minutes > 59) return undefined;
  const sign = zone.startsWith("-") ? -1 : 1;
  return sign * (hours * 60 + minutes) * MINUTE_MS;
}
