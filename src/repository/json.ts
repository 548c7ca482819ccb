import type { Bytes } from "../kernel/index.ts";
import { isHexId } from "../kernel/index.ts";

/** Guards over foreign JSON. Each answers `undefined` for what is not the thing; callers name what is damaged. */

export type JsonObject = Readonly<Record<string, unknown>>;

export function parseJson(bytes: Bytes): unknown {
  if (isBomb(bytes)) return undefined;
  try {
    const parsed: unknown = JSON.parse(textOf(bytes));
    return parsed;
  } catch {
    // The only failure is text that is no JSON; `undefined` is not a JSON value, so it cannot be mistaken for one.
    return undefined;
  }
}

/** Up to here objects cannot take more than some tens of megabytes. */
const SMALL_BYTES = 1024 * 1024;
/** What restic and we write has one of them in 20 bytes and more: ids are 64 digits. */
const BYTES_PER_VALUE = 10;

/** Of `{},{},…` 256 MiB become gigabytes of objects. What is large and made of little else than brackets is no file of ours. */
function isBomb(bytes: Bytes): boolean {
  if (bytes.byteLength <= SMALL_BYTES) return false;
  let values = 0;
  for (let at = 0; at < bytes.byteLength; at += 1) {
    const byte = bytes[at];
    if (byte === COMMA || byte === BRACE || byte === BRACKET) values += 1;
  }
  return values * BYTES_PER_VALUE > bytes.byteLength;
}

const COMMA = 0x2c;
const BRACE = 0x7b;
const BRACKET = 0x5b;

export function textOf(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

export function objectOf(value: unknown): JsonObject | undefined {
  return isObject(value) ? value : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function arrayOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

export function stringOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** A non-negative integer up to `max`. */
export function countOf(value: unknown, max: number = Number.MAX_SAFE_INTEGER): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= max
    ? value
    : undefined;
}

export function hexIdOf(value: unknown): string | undefined {
  return typeof value === "string" && isHexId(value) ? value : undefined;
}

/** Go's `[]string` with `omitempty`: absent and null are the empty list. */
export function stringListOf(value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return [];
  const list = arrayOf(value);
  if (list === undefined) return undefined;
  const strings = list.filter((item) => typeof item === "string");
  return strings.length === list.length ? strings : undefined;
}

/** Go's time in JSON: RFC 3339 with up to nanoseconds; we keep milliseconds. */
export function timeOf(value: unknown): Date | undefined {
  if (typeof value !== "string") return undefined;
  const match = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d+)?(Z|[+-]\d{2}:\d{2})$/.exec(value);
  if (match === null) return undefined;
  const fraction = (match[2] ?? ".0").slice(0, 4);
  const time = new Date(`${match[1] ?? ""}${fraction}${match[3] ?? ""}`);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** Standard base64 with padding, as Go's decoder demands it. */
export function base64Of(value: unknown): Bytes | undefined {
  if (typeof value !== "string" || value.length % 4 !== 0) return undefined;
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(value)) return undefined;
  return Buffer.from(value, "base64");
}
