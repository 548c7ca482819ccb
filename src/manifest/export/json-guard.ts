import { manifestError } from "../errors.ts";

/**
 * Whether the bytes of a json value stay inside their place in the line: one value, its brackets closed in order and
 * its strings ended. The server checked the grammar; a source that lies must not reach the keys of our object.
 */
export interface JsonGuard {
  byte(byte: number): void;
  end(): void;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OBJECT = 0x7b;
const OBJECT_END = 0x7d;
const ARRAY = 0x5b;
const ARRAY_END = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;
/** Deeper than any parser goes. */
const MAX_DEPTH = 1_000_000;

export function createJsonGuard(column: string): JsonGuard {
  return new Guard(column);
}

class Guard implements JsonGuard {
  readonly #column: string;
  readonly #open: number[] = [];
  #inString = false;
  #afterBackslash = false;
  #begun = false;
  #closed = false;

  constructor(column: string) {
    this.#column = column;
  }

  byte(byte: number): void {
    if (this.#inString) this.#inText(byte);
    else if (byte > 0x20) this.#token(byte);
    else if (this.#open.length === 0 && this.#begun) this.#closed = true;
  }

  end(): void {
    if (this.#inString || this.#open.length > 0 || !this.#begun) throw this.#wrong();
    this.#begun = false;
    this.#closed = false;
  }

  #inText(byte: number): void {
    if (byte < 0x20) throw this.#wrong();
    if (this.#afterBackslash) this.#afterBackslash = false;
    else if (byte === BACKSLASH) this.#afterBackslash = true;
    else if (byte === QUOTE) {
      this.#inString = false;
      if (this.#open.length === 0) this.#closed = true;
    }
  }

  /** At the top only one value may stand, and nothing that separates. */
  #token(byte: number): void {
    const atTop = this.#open.length === 0;
    if (atTop && (this.#closed || byte === COMMA || byte === COLON)) throw this.#wrong();
    const opens = byte === QUOTE || byte === OBJECT || byte === ARRAY;
    if (atTop && opens && this.#begun) throw this.#wrong();
    this.#begun = true;
    if (byte === QUOTE) this.#inString = true;
    else if (byte === OBJECT || byte === ARRAY) {
      if (this.#open.length === MAX_DEPTH) throw this.#wrong();
      this.#open.push(byte === OBJECT ? OBJECT_END : ARRAY_END);
    } else if (byte === OBJECT_END || byte === ARRAY_END) {
      if (this.#open.pop() !== byte) throw this.#wrong();
      if (this.#open.length === 0) this.#closed = true;
    }
  }

  #wrong(): Error {
    return manifestError("damaged_copy", {
      message: `a value of column ${JSON.stringify(this.#column)} that is no JSON`,
    });
  }
}
