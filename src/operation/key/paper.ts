import { createHash } from "node:crypto";
import type { Bytes } from "../../kernel/index.ts";
import { operationError } from "../errors.ts";

/**
 * A short binary file as lines that a person can type in (docs/spec/repository.md §paper):
 *
 *     12  ABCDE FGHIJ … 8 groups of 5   CHCK        number, 25 bytes in base32, 20 bits of SHA-256 over both
 *     end 12  CHECKSUM                              number of lines, 40 bits over all bytes
 *
 * RFC 4648's base32 has no 0, 1 and 8: typed for O, I and B they are read as those. `base32 -d` decodes it too.
 */
const LINE_CHARACTERS = 40;
const GROUP = 5;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const CHECK_CHARACTERS = 4;
const MAX_LINES = 200;

/** The length must be a multiple of 5, so that base32 needs no padding. */
export function formatPaper(bytes: Bytes): readonly string[] {
  const text = encodeBase32(bytes);
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += LINE_CHARACTERS) {
    const part = text.slice(at, at + LINE_CHARACTERS);
    const number = lines.length + 1;
    const groups = part.match(/.{1,5}/g) ?? [];
    const shown = groups.join(" ").padEnd((LINE_CHARACTERS / GROUP) * (GROUP + 1) - 1);
    lines.push(`${String(number).padStart(3)}  ${shown}   ${checkOf(number, part)}`);
  }
  return [...lines, `end  ${lines.length}  ${sumOf(bytes)}`];
}

/** The bytes of a text that holds such lines, whatever else it holds. Every line that is wrong is named. */
export function parsePaper(text: string): Bytes {
  const read = new Map<number, string>();
  const wrong = new Set<number>();
  let end: { readonly lines: number; readonly sum: string } | undefined;
  for (const line of text.split(/\r?\n/)) {
    const ended = /^\s*end\s+(\d{1,3})\s+(\S+)\s*$/i.exec(line);
    if (ended !== null) end = { lines: Number(ended[1]), sum: plain(ended[2] ?? "") };
    const numbered = /^\s*(\d{1,3})\s+(\S.*)$/.exec(line);
    if (numbered === null) continue;
    const number = Number(numbered[1]);
    const part = partOf(number, numbered[2] ?? "");
    if (part === undefined || (read.get(number) ?? part) !== part) wrong.add(number);
    else read.set(number, part);
  }
  if (end === undefined || end.lines > MAX_LINES)
    throw mistyped([], "its last line, end, is not right");
  const numbers = Array.from({ length: end.lines }, (_, index) => index + 1);
  const missing = numbers.filter((number) => wrong.has(number) || !read.has(number));
  if (missing.length > 0) throw mistyped(missing);
  const bytes = decodeBase32(numbers.map((number) => read.get(number)).join(""));
  if (sumOf(bytes) !== end.sum)
    throw mistyped([], "its last line, end, does not match the lines above");
  return bytes;
}

/** The characters of one line without its check; `undefined` where they do not match. */
function partOf(number: number, rest: string): string | undefined {
  const signs = plain(rest);
  const part = signs.slice(0, -CHECK_CHARACTERS);
  const known = part.split("").every((sign) => ALPHABET.includes(sign));
  const right = known && part !== "" && checkOf(number, part) === signs.slice(-CHECK_CHARACTERS);
  return right ? part : undefined;
}

function plain(typed: string): string {
  return typed
    .replaceAll(/\s/g, "")
    .toUpperCase()
    .replaceAll("0", "O")
    .replaceAll("1", "I")
    .replaceAll("8", "B");
}

function mistyped(lines: readonly number[], what?: string): Error {
  const named = `line${lines.length === 1 ? "" : "s"} ${lines.join(", ")} missing or mistyped`;
  return operationError("paper_mistyped", {
    message: `paper copy: ${what ?? named}`,
    subject: { lines: lines.join(", ") },
  });
}

function checkOf(number: number, part: string): string {
  return digestText(`sparekeep paper 1\n${number}\n${part}`).slice(0, CHECK_CHARACTERS);
}

function sumOf(bytes: Bytes): string {
  return digestText(bytes).slice(0, 2 * CHECK_CHARACTERS);
}

function digestText(input: Bytes | string): string {
  return encodeBase32(createHash("sha256").update(input).digest().subarray(0, 5));
}

function encodeBase32(bytes: Bytes): string {
  let text = "";
  for (let at = 0; at < bytes.byteLength; at += 5) {
    let value = 0n;
    for (let i = 0; i < 5; i += 1) value = (value << 8n) | BigInt(bytes[at + i] ?? 0);
    for (let shift = 35n; shift >= 0n; shift -= 5n) {
      text += ALPHABET.charAt(Number((value >> shift) & 31n));
    }
  }
  return text;
}

function decodeBase32(text: string): Bytes {
  const bytes = new Uint8Array(Math.floor(text.length / 8) * 5);
  for (let at = 0; at + 8 <= text.length; at += 8) {
    let value = 0n;
    for (let i = 0; i < 8; i += 1) {
      value = (value << 5n) | BigInt(ALPHABET.indexOf(text.charAt(at + i)));
    }
    for (let i = 0; i < 5; i += 1) {
      bytes[(at / 8) * 5 + i] = Number((value >> BigInt(32 - 8 * i)) & 255n);
    }
  }
  return bytes;
}
