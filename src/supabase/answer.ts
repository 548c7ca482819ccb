import type { AppError } from "../kernel/index.ts";
import { supabaseError } from "./errors.ts";

/**
 * Guards over what the API answered. Each refuses what it does not understand, by place, and never by value: an answer may
 * hold secrets.
 */
export interface Place {
  /** The request, `backups`. */
  readonly what: string;
  /** Inside the answer: `.backups[3].status`. */
  readonly path: string;
}

export type Fields = Readonly<Record<string, unknown>>;

export function at(place: Place, step: string | number): Place {
  const suffix = typeof step === "number" ? `[${step}]` : `.${step}`;
  return { ...place, path: `${place.path}${suffix}` };
}

export function refuse(place: Place, expected: string): AppError {
  const where = place.path === "" ? "its root" : place.path;
  return supabaseError("answer_invalid", {
    message: `answer to ${place.what} with something else than ${expected} at ${where}`,
    subject: { request: place.what, place: where },
  });
}

export function fieldsOf(value: unknown, place: Place): Fields {
  if (!isFields(value)) throw refuse(place, "an object");
  return value;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function listOf<Item>(
  value: unknown,
  place: Place,
  parse: (item: unknown, place: Place) => Item,
): readonly Item[] {
  if (!Array.isArray(value)) throw refuse(place, "a list");
  return value.map((item: unknown, index) => parse(item, at(place, index)));
}

export function textOf(fields: Fields, key: string, place: Place): string {
  const value = fields[key];
  if (typeof value !== "string") throw refuse(at(place, key), "a text");
  return value;
}

export function flagOf(fields: Fields, key: string, place: Place): boolean {
  const value = fields[key];
  if (typeof value !== "boolean") throw refuse(at(place, key), "true or false");
  return value;
}

export function oneOf<const Choice extends string>(
  fields: Fields,
  key: string,
  choices: readonly Choice[],
  place: Place,
): Choice {
  const value = fields[key];
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw refuse(at(place, key), `one of ${choices.length} known words`);
  return found;
}

const LAST_SECOND = 253_402_300_799;

/** Seconds since 1970; `undefined` where the key is absent. */
export function unixTimeOf(fields: Fields, key: string, place: Place): Date | undefined {
  const value = fields[key];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > LAST_SECOND)
    throw refuse(at(place, key), "seconds since 1970");
  return new Date(value * 1000);
}

const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)?$/;

/** ISO 8601; without an offset the API means UTC. */
export function timeOf(fields: Fields, key: string, place: Place): Date {
  const text = textOf(fields, key, place);
  const zoned = /(?:Z|[+-]\d\d(?::?\d\d)?)$/.test(text.slice(19)) ? text : `${text}Z`;
  const iso = zoned
    .replace(" ", "T")
    .replace(/([+-]\d\d)$/, "$1:00")
    .replace(/([+-]\d\d)(\d\d)$/, "$1:$2");
  const time = new Date(TIME.test(text) ? iso : Number.NaN);
  if (Number.isNaN(time.getTime())) throw refuse(at(place, key), "a time");
  return time;
}
