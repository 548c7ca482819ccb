import { formatTime } from "../kernel/index.ts";

/** `2026-11-22 21:30:12Z` */
export function timeText(iso: string): string {
  return formatTime(new Date(iso));
}
