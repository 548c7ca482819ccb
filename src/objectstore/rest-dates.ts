import type { IncomingHttpHeaders } from "node:http";
import { objectStoreError } from "./errors.ts";
import type { ObjectStat } from "./object-store.ts";

export type Dating = Pick<ObjectStat, "modifiedAt" | "seenOnly">;

/**
 * The protocol does not tell when an object was written. Where a server says so all the same (`Last-Modified`) that is
 * taken; else an object is as old as our first sight of it, by the server's own clock (`Date`), which is remembered, so
 * that a long-lived process sees locks age. Packs are not remembered: there may be millions, and nothing asks for theirs.
 */
export interface RestDates {
  of(key: string, headers: IncomingHttpHeaders): Dating;
  forget(key: string): void;
}

export function createRestDates(): RestDates {
  const known = new Map<string, Dating>();
  return {
    of: (key, headers) => {
      const told = parseDate(headers["last-modified"]);
      const before = known.get(key);
      if (told === undefined && before !== undefined) return before;
      const dating: Dating =
        told === undefined
          ? { modifiedAt: serverTime(headers), seenOnly: true }
          : { modifiedAt: told };
      if (!key.startsWith("data/")) known.set(key, dating);
      return dating;
    },
    forget: (key) => {
      known.delete(key);
    },
  };
}

function serverTime(headers: IncomingHttpHeaders): Date {
  const time = parseDate(headers.date);
  if (time !== undefined) return time;
  throw objectStoreError("invalid_location", {
    message: "rest: server that does not tell the time, by which locks are aged",
    hint: "Have the server or the proxy before it send a Date header.",
  });
}

function parseDate(text: string | undefined): Date | undefined {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) || ms <= 0 ? undefined : new Date(ms);
}
