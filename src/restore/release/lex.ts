import { quoteIdentifier, quoteLiteral } from "../../postgres/index.ts";

/**
 * The tokens of a definition that a superuser is to run: understood one by one and put together again by us, so that
 * nothing but what was understood reaches the server (R4). Comments and dollar quotes are not, nor prefixes of strings
 * but the server's own `E'\\'`. Else a backslash is one, as the archive's `standard_conforming_strings` says.
 */
export interface Lexeme {
  readonly kind: "word" | "name" | "string" | "number" | "symbol";
  /** Words as they stand, names and strings without their quotes. */
  readonly value: string;
}

const PATTERN =
  /\s+|[eE]'(?<escaped>(?:[^'\\]|''|\\\\)*)'|(?<word>[A-Za-z_][\w$]*)|"(?<name>(?:[^"]|"")+)"|'(?<string>(?:[^']|'')*)'|(?<number>\d+(?:\.\d+)?)|(?<symbol>::|[(),.;[\]]|[-+*/<>=~!@#%^&|?]+)/y;

/** Statements between semicolons outside of brackets; `undefined` where the text holds anything else. */
export function lexStatements(text: string): readonly (readonly Lexeme[])[] | undefined {
  const statements: Lexeme[][] = [[]];
  PATTERN.lastIndex = 0;
  let touches = false;
  let depth = 0;
  while (PATTERN.lastIndex < text.length) {
    const match = PATTERN.exec(text);
    if (match === null) return undefined;
    const lexeme = lexemeOf(match);
    // `E'…'` and `U&"…"` are read otherwise than what is between their quotes.
    const quoted = lexeme?.kind === "name" || lexeme?.kind === "string";
    if (quoted && touches) return undefined;
    touches = lexeme !== undefined && (lexeme.kind !== "symbol" || lexeme.value === "&");
    if (lexeme === undefined) continue;
    if (/--|\/\*/.test(lexeme.value) && lexeme.kind === "symbol") return undefined;
    if (lexeme.kind === "symbol") depth += DEPTH[lexeme.value] ?? 0;
    if (depth < 0) return undefined;
    if (lexeme.kind === "symbol" && lexeme.value === ";" && depth === 0) statements.push([]);
    else statements.at(-1)?.push(lexeme);
  }
  return depth === 0 ? statements.filter((statement) => statement.length > 0) : undefined;
}

const DEPTH: Readonly<Record<string, number>> = { "(": 1, ")": -1 };

function lexemeOf(match: RegExpExecArray): Lexeme | undefined {
  const { escaped, word, name, string, number, symbol } = match.groups ?? {};
  if (escaped !== undefined) {
    const value = escaped.replaceAll("''", "'").replaceAll("\\\\", "\\");
    return { kind: "string", value };
  }
  if (word !== undefined) return { kind: "word", value: word };
  if (name !== undefined) return { kind: "name", value: name.replaceAll('""', '"') };
  if (string !== undefined) return { kind: "string", value: string.replaceAll("''", "'") };
  if (number !== undefined) return { kind: "number", value: number };
  if (symbol !== undefined) return { kind: "symbol", value: symbol };
  return undefined;
}

export function render(lexemes: readonly Lexeme[]): string {
  return lexemes.map(renderOne).join(" ");
}

function renderOne({ kind, value }: Lexeme): string {
  if (kind === "name") return quoteIdentifier(value);
  if (kind === "string") return quoteLiteral(value).trim();
  return value;
}

/** Reads one statement from left to right. Each `take…` moves on where it succeeds. */
export class Cursor {
  readonly #lexemes: readonly Lexeme[];
  #at = 0;

  constructor(lexemes: readonly Lexeme[]) {
    this.#lexemes = lexemes;
  }

  get ended(): boolean {
    return this.#at >= this.#lexemes.length;
  }

  /** These words, all of them, in any case. */
  words(text: string): boolean {
    const wanted = text.split(" ");
    const found = wanted.every((word, index) => {
      const lexeme = this.#lexemes[this.#at + index];
      return lexeme?.kind === "word" && lexeme.value.toUpperCase() === word;
    });
    if (found) this.#at += wanted.length;
    return found;
  }

  symbol(value: string): boolean {
    const lexeme = this.#lexemes[this.#at];
    const found = lexeme?.kind === "symbol" && lexeme.value === value;
    if (found) this.#at += 1;
    return found;
  }

  name(): string | undefined {
    const lexeme = this.#lexemes[this.#at];
    if (lexeme?.kind !== "name" && lexeme?.kind !== "word") return undefined;
    this.#at += 1;
    return lexeme.kind === "word" ? lexeme.value.toLowerCase() : lexeme.value;
  }

  string(): string | undefined {
    const lexeme = this.#lexemes[this.#at];
    if (lexeme?.kind !== "string") return undefined;
    this.#at += 1;
    return lexeme.value;
  }

  /** Everything that is left. */
  rest(): readonly Lexeme[] {
    const rest = this.#lexemes.slice(this.#at);
    this.#at = this.#lexemes.length;
    return rest;
  }
}
