import type { Bytes } from "../../kernel/index.ts";
import { manifestError } from "../errors.ts";

/**
 * COPY text taken apart, by the rules of PostgreSQL's documentation of COPY: tab between values, newline after a row,
 * `\N` for NULL, and the escapes `\b \f \n \r \t \v`, `\DIGITS` (octal), `\xDIGITS` (hex), else the character itself.
 * A value is told piece by piece, so that none needs to lie in memory.
 */

export interface RowSink {
  /** A piece of the present value, already unescaped: `bytes` from `start` to `end`. */
  value(bytes: Bytes, start: number, end: number): void;
  endValue(isNull: boolean): void;
  endRow(): void;
}

export interface CopyTextReader {
  /** Any cut of the stream. */
  push(chunk: Bytes): void;
  /** A stream that ends inside a row throws `manifest.truncated_copy`. */
  finish(): void;
  rows(): bigint;
}

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BACKSLASH = 0x5c;
const DOT = 0x2e;
const UPPER_N = 0x4e;
const LOWER_X = 0x78;

/** Bytes at which a run of plain ones ends. */
const STOPS = new Uint8Array(256);
for (const byte of [TAB, NEWLINE, RETURN, BACKSLASH]) STOPS[byte] = 1;

const ESCAPES: ReadonlyMap<number, number> = new Map([
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, NEWLINE],
  [0x72, RETURN],
  [0x74, TAB],
  [0x76, 0x0b],
]);

type State =
  | { readonly in: "plain" }
  | { readonly in: "backslash" }
  | { readonly in: "null" }
  | { readonly in: "octal"; readonly code: number; readonly digits: number }
  | { readonly in: "hex"; readonly code: number; readonly digits: number };

const PLAIN: State = { in: "plain" };
const AFTER_BACKSLASH: State = { in: "backslash" };
const NULL_VALUE: State = { in: "null" };

export function createCopyTextReader(columns: number, sink: RowSink): CopyTextReader {
  return new Reader(columns, sink);
}

class Reader implements CopyTextReader {
  readonly #columns: number;
  readonly #sink: RowSink;
  readonly #byte = new Uint8Array(1);
  #state: State = PLAIN;
  #values = 0;
  #rowBegun = false;
  #valueBegun = false;
  #rows = 0n;

  constructor(columns: number, sink: RowSink) {
    this.#columns = columns;
    this.#sink = sink;
  }

  push(chunk: Bytes): void {
    for (let at = 0; at < chunk.byteLength;) {
      at = this.#state.in === "plain" ? this.#plain(chunk, at) : this.#escaped(chunk, at);
    }
  }

  finish(): void {
    if (this.#rowBegun) {
      throw manifestError("truncated_copy", { message: "COPY text ends inside a row" });
    }
  }

  rows(): bigint {
    return this.#rows;
  }

  #plain(chunk: Bytes, start: number): number {
    let end = start;
    while (end < chunk.byteLength && STOPS[chunk[end] ?? 0] === 0) end += 1;
    if (end > start) this.#value(chunk, start, end);
    if (end === chunk.byteLength) return end;
    const stop = chunk[end];
    if (stop === RETURN) throw damaged("a raw carriage return");
    this.#rowBegun = true;
    if (stop === BACKSLASH) this.#state = AFTER_BACKSLASH;
    else this.#endValue(stop === NEWLINE, false);
    return end + 1;
  }

  /** Gives the place of the next byte: the same one, where it is no part of the escape. */
  #escaped(chunk: Bytes, at: number): number {
    const byte = chunk[at] ?? 0;
    const state = this.#state;
    if (state.in === "backslash") return this.#begin(byte, at);
    if (state.in === "null") return this.#afterNull(byte, at);
    if (state.in !== "octal" && state.in !== "hex") return at;
    const [base, most] = state.in === "octal" ? [8, 3] : [16, 2];
    const digit = digitOf(byte, base);
    if (digit !== undefined && state.digits < most) {
      this.#state = { ...state, code: state.code * base + digit, digits: state.digits + 1 };
      return at + 1;
    }
    // `\x` without a digit is an x.
    this.#one(state.digits === 0 ? LOWER_X : state.code & 0xff);
    this.#state = PLAIN;
    return at;
  }

  #begin(byte: number, at: number): number {
    if (byte === DOT) throw damaged("an end-of-data marker");
    if (byte === UPPER_N && !this.#valueBegun) this.#state = NULL_VALUE;
    else if (byte === LOWER_X) this.#state = { in: "hex", code: 0, digits: 0 };
    else if (digitOf(byte, 8) !== undefined) {
      this.#state = { in: "octal", code: byte & 7, digits: 1 };
    } else {
      this.#one(ESCAPES.get(byte) ?? byte);
      this.#state = PLAIN;
    }
    return at + 1;
  }

  /** `\N` is NULL only when it is all of the value. */
  #afterNull(byte: number, at: number): number {
    this.#state = PLAIN;
    if (byte === TAB || byte === NEWLINE) {
      this.#endValue(byte === NEWLINE, true);
      return at + 1;
    }
    this.#one(UPPER_N);
    return at;
  }

  #one(byte: number): void {
    this.#byte[0] = byte;
    this.#value(this.#byte, 0, 1);
  }

  #value(bytes: Bytes, start: number, end: number): void {
    this.#rowBegun = true;
    this.#valueBegun = true;
    if (this.#values >= this.#columns) throw damaged("a row with too many values");
    this.#sink.value(bytes, start, end);
  }

  #endValue(endsRow: boolean, isNull: boolean): void {
    // A row of a table without columns is an empty line.
    const none = this.#columns === 0 && endsRow && !this.#valueBegun && !isNull;
    if (!none) {
      if (this.#values >= this.#columns) throw damaged("a row with too many values");
      this.#sink.endValue(isNull);
      this.#values += 1;
    }
    this.#valueBegun = false;
    if (!endsRow) return;
    if (this.#values !== this.#columns) throw damaged("a row with too few values");
    this.#sink.endRow();
    this.#rows += 1n;
    this.#values = 0;
    this.#rowBegun = false;
  }
}

function digitOf(byte: number, base: number): number | undefined {
  const digit = Number.parseInt(String.fromCharCode(byte), base);
  return Number.isNaN(digit) ? undefined : digit;
}

function damaged(what: string): Error {
  return manifestError("damaged_copy", { message: `COPY text with ${what}` });
}
