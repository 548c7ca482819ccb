import { quoteIdentifier, quoteLiteral, quoteQualified } from "../../postgres/index.ts";
import { Cursor, lexStatements, render } from "./lex.ts";
import type { Lexeme } from "./lex.ts";

/**
 * Statements that only a superuser may run, made anew from what `pg_dump` wrote of them (R4). `undefined` where the text
 * is anything else than that: it is not run.
 */

const EVENTS: ReadonlySet<string> = new Set([
  "ddl_command_start",
  "ddl_command_end",
  "sql_drop",
  "table_rewrite",
  "login",
]);

export function composeEventTrigger(definition: string): readonly string[] | undefined {
  const statements = lexStatements(definition);
  const [create, alter, more] = statements ?? [];
  if (create === undefined || more !== undefined) return undefined;
  const made = createEventTrigger(new Cursor(create));
  if (made === undefined) return undefined;
  if (alter === undefined) return [made.sql];
  const cursor = new Cursor(alter);
  if (!cursor.words("ALTER EVENT TRIGGER") || cursor.name() !== made.name) return undefined;
  const state = ["DISABLE", "ENABLE REPLICA", "ENABLE ALWAYS"].find((words) => cursor.words(words));
  if (state === undefined || !cursor.ended) return undefined;
  return [made.sql, `ALTER EVENT TRIGGER ${quoteIdentifier(made.name)} ${state}`];
}

function createEventTrigger(
  cursor: Cursor,
): { readonly name: string; readonly sql: string } | undefined {
  if (!cursor.words("CREATE EVENT TRIGGER")) return undefined;
  const name = cursor.name();
  if (name === undefined || !cursor.words("ON")) return undefined;
  const event = cursor.name();
  if (event === undefined || !EVENTS.has(event)) return undefined;
  const tags: string[] = [];
  if (cursor.words("WHEN TAG IN")) {
    if (!cursor.symbol("(")) return undefined;
    do {
      const tag = cursor.string();
      if (tag === undefined) return undefined;
      tags.push(quoteLiteral(tag));
    } while (cursor.symbol(","));
    if (!cursor.symbol(")")) return undefined;
  }
  if (!cursor.words("EXECUTE FUNCTION") && !cursor.words("EXECUTE PROCEDURE")) return undefined;
  const schema = cursor.name();
  const dotted = cursor.symbol(".");
  const routine = dotted ? cursor.name() : undefined;
  const called = cursor.symbol("(") && cursor.symbol(")") && cursor.ended;
  if (schema === undefined || routine === undefined || !called) return undefined;
  const when = tags.length === 0 ? "" : ` WHEN TAG IN (${tags.join(", ")})`;
  const sql = `CREATE EVENT TRIGGER ${quoteIdentifier(name)} ON ${event}${when} EXECUTE FUNCTION ${quoteQualified(schema, routine)}()`;
  return { name, sql };
}

const PUBLICATION_OPTIONS: ReadonlySet<string> = new Set([
  "publish",
  "publish_via_partition_root",
  "publish_generated_columns",
]);

/** `CREATE PUBLICATION p [FOR ALL TABLES] [WITH (publish = '…', …)]` */
export function composePublication(definition: string): string | undefined {
  const cursor = onlyStatement(definition);
  if (cursor === undefined || !cursor.words("CREATE PUBLICATION")) return undefined;
  const name = cursor.name();
  if (name === undefined) return undefined;
  const all = cursor.words("FOR ALL TABLES") ? " FOR ALL TABLES" : "";
  const options: string[] = [];
  if (cursor.words("WITH")) {
    if (!cursor.symbol("(")) return undefined;
    do {
      const option = cursor.name();
      if (option === undefined || !PUBLICATION_OPTIONS.has(option)) return undefined;
      if (!cursor.symbol("=")) return undefined;
      const text = cursor.string();
      const word = text === undefined ? cursor.name() : undefined;
      if (text === undefined && (word === undefined || !/^[a-z]+$/.test(word))) return undefined;
      options.push(`${option} = ${text === undefined ? word : quoteLiteral(text).trim()}`);
    } while (cursor.symbol(","));
    if (!cursor.symbol(")")) return undefined;
  }
  if (!cursor.ended) return undefined;
  const using = options.length === 0 ? "" : ` WITH (${options.join(", ")})`;
  return `CREATE PUBLICATION ${quoteIdentifier(name)}${all}${using}`;
}

/** `ALTER PUBLICATION p ADD TABLE ONLY s.t [(a, b)] [WHERE (…)]`, `… ADD TABLES IN SCHEMA s` */
export function composePublicationMember(definition: string): string | undefined {
  const cursor = onlyStatement(definition);
  if (cursor === undefined || !cursor.words("ALTER PUBLICATION")) return undefined;
  const publication = cursor.name();
  if (publication === undefined) return undefined;
  const head = `ALTER PUBLICATION ${quoteIdentifier(publication)} ADD`;
  if (cursor.words("ADD TABLES IN SCHEMA")) {
    const schema = cursor.name();
    if (schema === undefined || !cursor.ended) return undefined;
    return `${head} TABLES IN SCHEMA ${quoteIdentifier(schema)}`;
  }
  if (!cursor.words("ADD TABLE ONLY")) return undefined;
  const schema = cursor.name();
  const table = cursor.symbol(".") ? cursor.name() : undefined;
  if (schema === undefined || table === undefined) return undefined;
  const columns = columnsOf(cursor);
  if (columns === undefined) return undefined;
  const list = columns.length === 0 ? "" : ` (${columns.map(quoteIdentifier).join(", ")})`;
  const filter = cursor.words("WHERE") ? cursor.rest() : [];
  if (!cursor.ended || !isBracketed(filter)) return undefined;
  const where = filter.length === 0 ? "" : ` WHERE ${render(filter)}`;
  return `${head} TABLE ONLY ${quoteQualified(schema, table)}${list}${where}`;
}

function columnsOf(cursor: Cursor): readonly string[] | undefined {
  const columns: string[] = [];
  if (!cursor.symbol("(")) return columns;
  do {
    const column = cursor.name();
    if (column === undefined) return undefined;
    columns.push(column);
  } while (cursor.symbol(","));
  return cursor.symbol(")") ? columns : undefined;
}

/** One expression in brackets from its first lexeme to its last. */
function isBracketed(lexemes: readonly Lexeme[]): boolean {
  let depth = 0;
  return lexemes.every(({ kind, value }, index) => {
    if (kind === "symbol" && value === "(") depth += 1;
    if (kind === "symbol" && value === ")") depth -= 1;
    return index === lexemes.length - 1 ? depth === 0 : depth > 0;
  });
}

/** `COMMENT ON … IS '…'` */
export function composeComment(definition: string): string | undefined {
  const [lexemes, more] = lexStatements(definition) ?? [];
  if (lexemes === undefined || more !== undefined) return undefined;
  const [is, text] = lexemes.slice(-2);
  const isComment = new Cursor(lexemes).words("COMMENT ON");
  return isComment && is?.value === "IS" && text?.kind === "string" ? render(lexemes) : undefined;
}

/**
 * `CREATE TRIGGER`, `CREATE RULE`, `CREATE USER MAPPING`: one statement of that kind, whatever it says in detail. None of
 * them runs a function of the source when it is made. After the first two their state, where it is not the usual one.
 */
export function composeActing(kind: string, definition: string): readonly string[] | undefined {
  const [create, alter, more] = lexStatements(definition) ?? [];
  const heads = ACTING_HEADS[kind] ?? [];
  if (create === undefined || more !== undefined) return undefined;
  if (!heads.some((head) => new Cursor(create).words(head))) return undefined;
  if (alter === undefined) return [render(create)];
  const state = composeState(new Cursor(alter), kind);
  return state === undefined ? undefined : [render(create), state];
}

const ACTING_HEADS: Readonly<Record<string, readonly string[]>> = {
  TRIGGER: ["CREATE TRIGGER", "CREATE CONSTRAINT TRIGGER"],
  RULE: ["CREATE RULE"],
  "USER MAPPING": ["CREATE USER MAPPING"],
};

const STATES = ["DISABLE", "ENABLE REPLICA", "ENABLE ALWAYS"];

/** `ALTER TABLE s.t ENABLE ALWAYS TRIGGER x`; any other ALTER TABLE could run what it pleases. */
function composeState(cursor: Cursor, kind: string): string | undefined {
  if (!cursor.words("ALTER TABLE")) return undefined;
  cursor.words("ONLY");
  const schema = cursor.name();
  const table = cursor.symbol(".") ? cursor.name() : undefined;
  const state = STATES.find((words) => cursor.words(words));
  const name = cursor.words(kind) ? cursor.name() : undefined;
  if (schema === undefined || table === undefined || state === undefined) return undefined;
  if (name === undefined || !cursor.ended) return undefined;
  return `ALTER TABLE ${quoteQualified(schema, table)} ${state} ${kind} ${quoteIdentifier(name)}`;
}

export interface Mapping {
  /** `undefined`: for everybody. */
  readonly user: string | undefined;
  readonly server: string;
}

/** Whose mapping it is; its options are not read. */
export function mappingOf(definition: string): Mapping | undefined {
  const cursor = onlyStatement(definition);
  if (cursor === undefined || !cursor.words("CREATE USER MAPPING FOR")) return undefined;
  const everybody = cursor.words("PUBLIC");
  const user = everybody ? undefined : cursor.name();
  const server = cursor.words("SERVER") ? cursor.name() : undefined;
  if (server === undefined || (!everybody && user === undefined)) return undefined;
  return { user, server };
}

function onlyStatement(definition: string): Cursor | undefined {
  const statements = lexStatements(definition);
  const [only, more] = statements ?? [];
  return only === undefined || more !== undefined ? undefined : new Cursor(only);
}
