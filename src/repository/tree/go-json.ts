import type { Bytes } from "../../kernel/index.ts";
import { isYoung } from "./young-characters.ts";

/**
 * Strings exactly as Go's encoding/json and strconv.Quote write them: restic's `rewrite` decodes a tree, encodes it
 * again and refuses it when the hash changes. docs/spec/repository.md §tree
 */

const SIMPLE_NAME = /^[\x20-\x7e]*$/;
const NEEDS_CARE = /["\\<>&]/;
/** Go's unicode.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
/* oxlint-disable-next-line no-control-regex -- control characters are what it looks for */
const JSON_SPECIAL = /[\u0000-\u001f"\\<>&\u2028\u2029]/g;

/** A JSON string as Go's encoder writes it, HTML escaping on. `text` holds no lone surrogates. */
export function goJsonString(text: string): string {
  return `"${text.replaceAll(JSON_SPECIAL, escapeJson)}"`;
}

function escapeJson(char: string): string {
  switch (char) {
    case '"':
      return '\\"';
    case "\\":
      return "\\\\";
    case "\n":
      return "\\n";
    case "\r":
      return "\\r";
    case "\t":
      return "\\t";
    default:
      return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  }
}

/** A node's name as JSON: quoted by strconv.Quote, the outer quotes dropped, then encoded as JSON. */
export function goJsonName(name: Bytes): string {
  const view = Buffer.from(name.buffer, name.byteOffset, name.byteLength);
  const text = view.toString("latin1");
  if (SIMPLE_NAME.test(text) && !NEEDS_CARE.test(text)) return `"${text}"`;
  return goJsonString(goQuote(view));
}

/** strconv.Quote without the outer quotes, over bytes that need not be UTF-8. */
export function goQuote(name: Bytes): string {
  let out = "";
  for (let at = 0; at < name.byteLength;) {
    const length = utf8LengthAt(name, at);
    if (length === 0) {
      out += `\\x${hex(name[at] ?? 0, 2)}`;
      at += 1;
      continue;
    }
    out += quoteRune(Buffer.from(name.subarray(at, at + length)).toString("utf8"));
    at += length;
  }
  return out;
}

const NAMED: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

function quoteRune(rune: string): string {
  const named = NAMED[rune];
  if (named !== undefined) return named;
  const code = rune.codePointAt(0) ?? 0;
  if (PRINTABLE.test(rune) && !isYoung(code)) return rune;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  return code < 0x1_0000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}

/** Length of the well-formed UTF-8 sequence at `at`, 0 when there is none: surrogates and overlong forms are none. */
export function utf8LengthAt(bytes: Bytes, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const next = bytes[at + 1] ?? 0;
  if (lead >= 0xc2 && lead <= 0xdf) return isTail(next) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const least = lead === 0xe0 ? 0xa0 : 0x80;
    const most = lead === 0xed ? 0x9f : 0xbf;
    return next >= least && next <= most && isTail(bytes[at + 2]) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const least = lead === 0xf0 ? 0x90 : 0x80;
    const most = lead === 0xf4 ? 0x8f : 0xbf;
    const fits = next >= least && next <= most;
    return fits && isTail(bytes[at + 2]) && isTail(bytes[at + 3]) ? 4 : 0;
  }
  return 0;
}

function isTail(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte <= 0xbf;
}

const UNNAMED: Readonly<Record<string, number>> = {
  '"': 0x22,
  "'": 0x27,
  "\\": 0x5c,
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
};

/** strconv.Unquote of `"…"`; `undefined` where Go would refuse it. */
export function goUnquote(quoted: string): Bytes | undefined {
  if (!quoted.includes("\\")) {
    return /["\n]/.test(quoted) ? undefined : Buffer.from(quoted, "utf8");
  }
  const parts: Bytes[] = [];
  const escape =
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))|[^\\]+|\\/gsu;
  for (const match of quoted.matchAll(escape)) {
    const bytes = unquoteOne(match);
    if (bytes === undefined) return undefined;
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

function unquoteOne(match: RegExpExecArray): Bytes | undefined {
  const [whole, byte, short, long, octal, named] = match;
  if (byte !== undefined) return Buffer.from([Number.parseInt(byte, 16)]);
  if (short !== undefined || long !== undefined) {
    const code = Number.parseInt(short ?? long ?? "", 16);
    if (code > 0x10_ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined;
    return Buffer.from(String.fromCodePoint(code), "utf8");
  }
  if (octal !== undefined) {
    const value = Number.parseInt(octal, 8);
    return value > 255 ? undefined : Buffer.from([value]);
  }
  if (named !== undefined) {
    // In a double-quoted string Go knows no escaped single quote.
    const value = named === "'" ? undefined : UNNAMED[named];
    return value === undefined ? undefined : Buffer.from([value]);
  }
  return whole === "\\" || /["\n]/.test(whole) ? undefined : Buffer.from(whole, "utf8");
}

/** Go's time.Time in JSON: RFC 3339, UTC, fraction without trailing zeros; years beyond four digits pinned as restic does. */
export function goTime(time: Date): string {
  const year = time.getUTCFullYear();
  const fitting = new Date(time);
  if (year < 0) fitting.setUTCFullYear(0);
  if (year > 9999) fitting.setUTCFullYear(9999);
  return `"${fitting.toISOString().replace(/\.?0*Z$/, "Z")}"`;
}
