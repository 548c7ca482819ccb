/**
 * The few tokens that `pg_dump` needs to write grants and extensions. Everything else (strings, dollar quotes,
 * comments, backslashes, `U&"…"`) is not understood, so that nothing can hide in it.
 */

export interface Token {
  readonly kind: "word" | "name" | "number" | "symbol";
  /** Words upper-case, names without their quotes. */
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

const PATTERN =
  /\s+|(?<word>[A-Za-z_][A-Za-z0-9_$]*)|"(?<name>(?:[^"]|"")+)"|(?<number>[0-9]+)|(?<symbol>[(),.;[\]])/y;

/** `undefined` where the text holds anything else. */
export function tokenize(text: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  PATTERN.lastIndex = 0;
  while (PATTERN.lastIndex < text.length) {
    const start = PATTERN.lastIndex;
    const match = PATTERN.exec(text);
    if (match === null) return undefined;
    const token = tokenOf(match, start);
    if (token !== undefined) tokens.push(token);
  }
  return hidesUnicodeEscape(tokens) ? undefined : tokens;
}

function tokenOf(match: RegExpExecArray, start: number): Token | undefined {
  const { word, name, number, symbol } = match.groups ?? {};
  const at = { start, end: start + match[0].length };
  if (word !== undefined) return { kind: "word", value: word.toUpperCase(), ...at };
  if (name !== undefined) return { kind: "name", value: name.replaceAll('""', '"'), ...at };
  if (number !== undefined) return { kind: "number", value: number, ...at };
  if (symbol !== undefined) return { kind: "symbol", value: symbol, ...at };
  return undefined;
}

/** `a"b"` is two tokens to PostgreSQL too, but nobody writes it: refused, so that no prefix form can matter. */
function hidesUnicodeEscape(tokens: readonly Token[]): boolean {
  return tokens.some((token, index) => {
    const before = tokens[index - 1];
    return token.kind === "name" && before?.end === token.start && before.kind !== "symbol";
  });
}

/** Statements between semicolons, empty ones left out. */
export function splitStatements(tokens: readonly Token[]): readonly (readonly Token[])[] {
  const statements: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === "symbol" && token.value === ";") statements.push([]);
    else statements.at(-1)?.push(token);
  }
  return statements.filter((statement) => statement.length > 0);
}

export function isWord(token: Token | undefined, ...words: readonly string[]): boolean {
  return token?.kind === "word" && words.includes(token.value);
}

export function isSymbol(token: Token | undefined, value: string): boolean {
  return token?.kind === "symbol" && token.value === value;
}

/** The name that a token is when it stands where a name does: unquoted words fold to lower case. */
export function nameOf(token: Token | undefined): string | undefined {
  if (token?.kind === "name") return token.value;
  if (token?.kind === "word") return token.value.toLowerCase();
  return undefined;
}
