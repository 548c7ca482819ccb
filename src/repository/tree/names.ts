import { hash } from "node:crypto";
import { equalBytes } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { utf8LengthAt } from "./go-json.ts";

/**
 * How a true name is stored as a node's name. docs/spec/repository.md §names
 *
 *   /  NUL  %      ->  %2F  %00  %25       everywhere
 *   .  ..          ->  %2E  %2E%2E         as a whole name
 *   (empty)        ->  %empty
 *   over 255 bytes ->  first bytes of the above ‖ %~ ‖ 32 hex digits of SHA-256(true name)
 *
 * An escaped `%` is always followed by 2F, 00, 25, 2E, `empty` or `~`, so `%-` is free for shards and no two true names
 * share a stored one. Whatever is stored under another name keeps its true one in the extended attribute below.
 */
export const NAME_ATTRIBUTE = "user.sparekeep.name";
export const MAX_NAME_BYTES = 255;
const SHORTENED_TAIL_BYTES = 34;

const PERCENT = 0x25;
const NEEDS_ESCAPE = /[%/\0]/;

export function storedNameOf(name: Bytes): Bytes {
  const key = latin1(name);
  const stored = storedKeyOf(key);
  return stored === key ? name : Buffer.from(stored, "latin1");
}

/** The same for names as Latin-1 strings, a character a byte: the same string where nothing is escaped. */
export function storedKeyOf(name: string): string {
  if (name === "") return "%empty";
  if (name === ".") return "%2E";
  if (name === "..") return "%2E%2E";
  const escaped = NEEDS_ESCAPE.test(name) ? name.replaceAll(/[%/\0]/g, escapeChar) : name;
  return escaped.length <= MAX_NAME_BYTES ? escaped : shorten(escaped, name);
}

function escapeChar(char: string): string {
  if (char === "/") return "%2F";
  return char === "%" ? "%25" : "%00";
}

function shorten(escaped: string, name: string): string {
  const digest = hash("sha256", Buffer.from(name, "latin1")).slice(0, SHORTENED_TAIL_BYTES - 2);
  const room = MAX_NAME_BYTES - SHORTENED_TAIL_BYTES;
  const head = wholeUnits(Buffer.from(escaped, "latin1"), room);
  return `${latin1(head)}%~${digest}`;
}

/** The longest prefix of at most `limit` bytes that splits neither a character nor an escape. */
function wholeUnits(bytes: Bytes, limit: number): Bytes {
  let at = 0;
  for (;;) {
    const unit = bytes[at] === PERCENT ? 3 : Math.max(1, utf8LengthAt(bytes, at));
    if (at + unit > limit) return bytes.subarray(0, at);
    at += unit;
  }
}

/**
 * The true name of a node. The attribute is believed only where it leads back to the stored name: a foreign or hostile
 * tree cannot pass one entry off as another.
 */
export function trueNameOf(stored: Bytes, attribute: Bytes | undefined): Bytes {
  if (attribute === undefined || !stored.includes(PERCENT)) return stored;
  return equalBytes(storedNameOf(attribute), stored) ? attribute : stored;
}

/** Whether a file system can hold the name as it is. */
export function isUsableName(name: Bytes): boolean {
  const text = latin1(name);
  if (text === "" || text === "." || text === "..") return false;
  return name.byteLength <= MAX_NAME_BYTES && !/[/\0]/.test(text);
}

/** What an escaped name looks like: a true name of this look is itself restored in escaped form, so none collide. */
const LOOKS_ESCAPED = /%(?:2F|00|25|2E|empty|~)/;

/** A name to restore under: the true one wherever a file system can hold it. One to one. */
export function fileNameOf(name: Bytes): Bytes {
  return isUsableName(name) && !LOOKS_ESCAPED.test(latin1(name)) ? name : storedNameOf(name);
}

export function latin1(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
