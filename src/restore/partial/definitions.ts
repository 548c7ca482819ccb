import type { NamedTable } from "../../manifest/index.ts";
import type { ArchiveToc } from "../archive/toc.ts";
import { isSymbol, isWord, nameOf, tokenize } from "../tokens.ts";
import type { Token } from "../tokens.ts";

/**
 * Keys and foreign keys of the snapshot's tables, read from the archive's own entries by a closed grammar and built again
 * from the names alone: no text of the source is run. What the grammar does not take is not there, and not built.
 *
 *     ALTER TABLE [ONLY] schema.table ADD CONSTRAINT name
 *       PRIMARY KEY (columns) | UNIQUE [NULLS NOT DISTINCT] (columns)
 *       | FOREIGN KEY (columns) REFERENCES schema.table(columns) [MATCH FULL] …
 */
export interface KeyDefinition {
  readonly table: NamedTable;
  readonly primary: boolean;
  readonly columns: readonly string[];
}

export interface ForeignKeyDefinition {
  readonly name: string;
  readonly child: NamedTable;
  readonly parent: NamedTable;
  readonly columns: readonly string[];
  readonly parentColumns: readonly string[];
  readonly matchFull: boolean;
}

export interface Definitions {
  readonly keys: readonly KeyDefinition[];
  readonly foreignKeys: readonly ForeignKeyDefinition[];
}

export function readDefinitions({ entries }: ArchiveToc): Definitions {
  const keys: KeyDefinition[] = [];
  const foreignKeys: ForeignKeyDefinition[] = [];
  for (const { kind, definition } of entries) {
    if (kind !== "CONSTRAINT" && kind !== "FK CONSTRAINT") continue;
    const read = readConstraint(definition);
    if (read === undefined) continue;
    if ("primary" in read) keys.push(read);
    else foreignKeys.push(read);
  }
  return { keys, foreignKeys };
}

/** Storage parameters, which stand in quotes and matter to nobody here. */
const STORAGE = /\s+WITH \((?:[a-z_.]+='[^'"]*'(?:, )?)+\)(?=[\sA-Z]*;)/;

export function readConstraint(
  definition: string,
): KeyDefinition | ForeignKeyDefinition | undefined {
  const tokens = tokenize(definition.replace(STORAGE, ""));
  if (tokens === undefined) return undefined;
  const cursor = new Cursor(tokens);
  if (!cursor.words("ALTER", "TABLE")) return undefined;
  cursor.words("ONLY");
  const table = cursor.table();
  if (table === undefined || !cursor.words("ADD", "CONSTRAINT")) return undefined;
  const name = cursor.name();
  if (name === undefined) return undefined;
  const primary = cursor.words("PRIMARY", "KEY");
  if (primary || cursor.words("UNIQUE")) {
    cursor.words("NULLS", "NOT", "DISTINCT");
    const columns = cursor.names();
    return columns === undefined ? undefined : { table, primary, columns };
  }
  if (!cursor.words("FOREIGN", "KEY")) return undefined;
  const columns = cursor.names();
  if (columns === undefined || !cursor.words("REFERENCES")) return undefined;
  const parent = cursor.table();
  const parentColumns = cursor.names();
  if (parent === undefined || parentColumns?.length !== columns.length) return undefined;
  const matchFull = cursor.words("MATCH", "FULL");
  return { name, child: table, parent, columns, parentColumns, matchFull };
}

class Cursor {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** All of them, or none is passed. */
  words(...words: readonly string[]): boolean {
    const there = words.every((word, at) => isWord(this.#tokens[this.#at + at], word));
    if (there) this.#at += words.length;
    return there;
  }

  name(): string | undefined {
    const name = nameOf(this.#tokens[this.#at]);
    if (name !== undefined) this.#at += 1;
    return name;
  }

  table(): NamedTable | undefined {
    const schema = this.name();
    if (schema === undefined || !this.#symbol(".")) return undefined;
    const name = this.name();
    return name === undefined ? undefined : { schema, name };
  }

  names(): readonly string[] | undefined {
    if (!this.#symbol("(")) return undefined;
    const names: string[] = [];
    do {
      const name = this.name();
      if (name === undefined) return undefined;
      names.push(name);
    } while (this.#symbol(","));
    return this.#symbol(")") ? names : undefined;
  }

  #symbol(value: string): boolean {
    const there = isSymbol(this.#tokens[this.#at], value);
    if (there) this.#at += 1;
    return there;
  }
}
