import { COMMON_PAIRS, COMMON_WORDS } from "./strength-words.ts";

/**
 * How hard a password is to guess offline, from below: whatever has a pattern counts as the pattern, not as its letters.
 * A key file can be tried on any number of machines for as long as they like, so what a login form may call strong is weak
 * here. Pure.
 *
 * 1. from left to right the cheapest pattern that begins here: a common word, a name that is known, a repetition, a run
 *    (abc, 321), a walk over the keyboard, a year
 * 2. between them, words of any language by their pairs of letters
 * 3. what is left, each character by the alphabet that the leftovers use
 */

/** About six random words of a list of 7776, less what short lists and carelessness cost. */
export const WEAK_BITS = 64;
const SHORTEST = 12;
const LONGEST_JUDGED = 256;

export interface PasswordStrength {
  /** Guesses needed, as a power of two; an estimate from below. */
  readonly bits: number;
  /** Why it is refused; missing where it is good enough. Never repeats a part of the password. */
  readonly weakness?: string;
}

/** The password as it is, in small letters, and with signs that stand for letters as those; all of one length. */
interface Forms {
  readonly text: string;
  readonly plain: string;
  readonly folded: string;
}

interface Part {
  readonly length: number;
  readonly bits: number;
  readonly reason: string;
}

/** `names`: what anybody who knows the place would try first: host, user, policy, destination. */
export function judgePassword(password: string, names: readonly string[]): PasswordStrength {
  const text = password.slice(0, LONGEST_JUDGED);
  const patterns: Part[] = [];
  let left = "";
  let bits = 0;
  const forms = { text, plain: text.split("").map(lower).join(""), folded: fold(text) };
  const words = dictionaryOf(names);
  for (let at = 0; at < text.length;) {
    const part = cheapestAt(forms, at, words);
    if (part === undefined) {
      left += text.charAt(at);
      at += 1;
      continue;
    }
    // Where it stands among the rest is something to guess too.
    bits += part.bits + 1;
    patterns.push(part);
    at += part.length;
    left += "\0";
  }
  bits += leftoverBits(left);
  const weakness = weaknessOf(password, bits, patterns);
  return { bits: Math.round(bits), ...(weakness === undefined ? {} : { weakness }) };
}

function weaknessOf(password: string, bits: number, patterns: readonly Part[]): string | undefined {
  const length = Array.from(password).length;
  if (length < SHORTEST) return `of ${length} characters, fewer than ${SHORTEST}`;
  if (bits >= WEAK_BITS) return undefined;
  const reasons = [...new Set(patterns.map(({ reason }) => reason))];
  const made = reasons.length === 0 ? "too little that is random" : reasons.join(", ");
  return `that about 2^${Math.round(bits)} guesses find (${made}), fewer than 2^${WEAK_BITS}`;
}

type Dictionary = readonly {
  readonly word: string;
  readonly bits: number;
  readonly reason: string;
}[];

const COMMON: Dictionary = COMMON_WORDS.map((word, rank) => ({
  word,
  bits: 3 + Math.log2(rank + 1),
  reason: "a common word",
})).sort(byLength);

function dictionaryOf(names: readonly string[]): Dictionary {
  if (names.length === 0) return COMMON;
  const reason = "a name of this machine, user or policy";
  const known = [...new Set(names.flatMap(namesIn))].map((word) => ({ word, bits: 3, reason }));
  return [...known, ...COMMON].sort(byLength);
}

function byLength(a: { readonly word: string }, b: { readonly word: string }): number {
  return b.word.length - a.word.length;
}

function namesIn(name: string): readonly string[] {
  const folded = fold(name);
  return [folded, ...folded.split(/[^a-z0-9]+/)].filter((part) => part.length >= 3);
}

const LOOKALIKES: Readonly<Record<string, string>> = {
  "0": "o",
  "1": "l",
  "3": "e",
  "4": "a",
  "5": "s",
  "7": "t",
  "@": "a",
  $: "s",
  "!": "i",
};

/** Small letters, and digits and signs that stand for letters as the letters. One character stays one. */
function fold(text: string): string {
  return text
    .split("")
    .map((sign) => LOOKALIKES[sign] ?? lower(sign))
    .join("");
}

function lower(sign: string): string {
  const small = sign.toLowerCase();
  return small.length === 1 ? small : sign;
}

/** The longest pattern that begins at `at`, and of equally long ones the cheapest. */
function cheapestAt(forms: Forms, at: number, words: Dictionary): Part | undefined {
  const { text, plain } = forms;
  const parts = [
    wordAt(forms, at, words),
    repetitionAt(text, at),
    runAt(text, at),
    walkAt(plain, at),
    interleavedAt(forms, at),
    yearAt(text, at),
  ].filter((part) => part !== undefined);
  return parts.sort((a, b) => b.length - a.length || a.bits - b.bits)[0];
}

function wordAt({ text, plain, folded }: Forms, at: number, words: Dictionary): Part | undefined {
  for (const { word, bits, reason } of words) {
    const asIs = plain.startsWith(word, at);
    if (!asIs && !folded.startsWith(word, at)) continue;
    const written = text.slice(at, at + word.length);
    const disguise = (asIs ? 0 : 1.5) + (/[A-Z]/.test(written) ? 1 : 0);
    return { length: word.length, bits: bits + disguise, reason };
  }
  return undefined;
}

/** A piece of up to half the rest that comes at least twice in a row, three times where it is one character. */
function repetitionAt(text: string, at: number): Part | undefined {
  let best: Part | undefined;
  for (let size = 1; size <= (text.length - at) / 2; size += 1) {
    const piece = text.slice(at, at + size);
    let times = 1;
    while (text.startsWith(piece, at + times * size)) times += 1;
    if (times < (size < 3 ? 3 : 2)) continue;
    const length = times * size;
    if (best !== undefined && best.length >= length) continue;
    const bits = (size === 1 ? 6 : judgePassword(piece, []).bits) + Math.log2(times);
    best = { length, bits, reason: "a repetition" };
  }
  return best;
}

/** Characters one after another, or every second one, forwards or backwards, at least four: abcd, 4321, aceg. */
function runAt(text: string, at: number): Part | undefined {
  const step = text.charCodeAt(at + 1) - text.charCodeAt(at);
  if (![1, 2].includes(Math.abs(step)) || !/[a-z0-9]/i.test(text.charAt(at))) return undefined;
  let length = 2;
  while (text.charCodeAt(at + length) - text.charCodeAt(at + length - 1) === step) length += 1;
  if (length < 4) return undefined;
  return { length, bits: 4 + Math.log2(length), reason: "characters in their order" };
}

const ROWS = [
  "`1234567890-=",
  "qwertyuiop[]",
  "asdfghjkl;'",
  "zxcvbnm,./",
  "!@#$%^&*()_+",
  "qwertzuiop",
  "yxcvbnm",
  "azertyuiop",
  "qsdfghjklm",
  "wxcvbn",
  // Downwards, column by column.
  "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
  "qazwsxedcrfvtgbyhnujmikolp",
  "147258369",
];
const WALKS = ROWS.flatMap((row) => [row, row.split("").reverse().join("")]);

/** Neighbours on a keyboard, at least four. */
function walkAt(plain: string, at: number): Part | undefined {
  let length = 0;
  for (const walk of WALKS) {
    const start = walk.indexOf(plain.charAt(at));
    if (start < 0) continue;
    let same = 1;
    while (start + same < walk.length && plain[at + same] === walk[start + same]) same += 1;
    length = Math.max(length, same);
  }
  if (length < 4) return undefined;
  return { length, bits: 6 + Math.log2(length), reason: "neighbours on the keyboard" };
}

/** Two such in turn: 1a2b3c4d, aAbBcCdD, qpwoeiru. */
function interleavedAt({ text, plain }: Forms, at: number): Part | undefined {
  const lengths = [at, at + 1].map((start) => {
    const half = everySecond(text, start);
    const run = runAt(half, 0)?.length ?? 0;
    return Math.max(run, walkAt(everySecond(plain, start), 0)?.length ?? 0);
  });
  const half = Math.min(...lengths);
  if (half < 4) return undefined;
  return { length: 2 * half, bits: 12 + 2 * Math.log2(half), reason: "characters in their order" };
}

function everySecond(text: string, start: number): string {
  let half = "";
  for (let at = start; at < text.length; at += 2) half += text.charAt(at);
  return half;
}

/** 1900 to 2099, with day and month before or after where they are there. */
function yearAt(text: string, at: number): Part | undefined {
  const date = /^(?:\d{1,2}[-./]?\d{1,2}[-./]?)?(?:19|20)\d\d(?:[-./]?\d{1,2}[-./]?\d{1,2})?/;
  const found = date.exec(text.slice(at))?.[0];
  if (found === undefined) return undefined;
  return { length: found.length, bits: found.length > 4 ? 15 : 7, reason: "a year or a date" };
}

/** What no pattern took, in stretches; words in it by their pairs of letters, the rest by its alphabet. */
function leftoverBits(left: string): number {
  let bits = 0;
  let rest = "";
  let at = 0;
  const disguised = left.split("").map((sign) => LOOKALIKES[sign] ?? sign);
  for (const stretch of disguised.join("").split(/([A-Z]?[a-z]{2,}|[A-Z]{3,})/)) {
    const written = left.slice(at, at + stretch.length);
    const letters = /^[a-z]{3,}$/i.test(stretch);
    const disguise = written === stretch ? 0 : 2;
    if (letters && isAlone(left, at, stretch.length)) bits += WORD_BITS + disguise;
    else if (letters && isWordlike(stretch)) bits += wordBits(stretch.length) + disguise;
    else rest += written;
    at += stretch.length;
  }
  const signs = rest.replaceAll("\0", "");
  return bits + signs.length * Math.log2(Math.max(2, alphabetOf(signs)));
}

/** Few letters between spaces or the ends: a word of a phrase, whatever language. */
function isAlone(text: string, at: number, length: number): boolean {
  const before = text.charAt(at - 1);
  const after = text.charAt(at + length);
  return length <= 10 && /^[ \0]?$/.test(before) && /^[ \0]?$/.test(after);
}

/** Most of its pairs are those of written text. Of random letters four in ten are. */
function isWordlike(letters: string): boolean {
  const small = letters.toLowerCase();
  let common = 0;
  for (let at = 0; at + 1 < small.length; at += 1) {
    if (COMMON_PAIRS.has(small.slice(at, at + 2))) common += 1;
  }
  return common / (small.length - 1) >= 0.7;
}

/** A word of a list of some thousands. */
const WORD_BITS = 11;

/** Longer stretches are several words, of six letters on average. */
function wordBits(length: number): number {
  return Math.min(4.7 * length, WORD_BITS * Math.max(1, length / 6));
}

function alphabetOf(signs: string): number {
  const classes: readonly (readonly [RegExp, number])[] = [
    [/[a-z]/, 26],
    [/[A-Z]/, 26],
    [/[0-9]/, 10],
    [/[^a-zA-Z0-9]/, 10],
  ];
  return classes.reduce((sum, [pattern, size]) => sum + (pattern.test(signs) ? size : 0), 0);
}
