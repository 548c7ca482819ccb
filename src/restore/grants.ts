import { quoteIdentifier } from "../postgres/index.ts";
import { isSymbol, isWord, nameOf, splitStatements, tokenize } from "./tokens.ts";
import type { Token } from "./tokens.ts";

/**
 * The grants of an archive, read by a closed grammar (docs/spec/restore.md R4), because a superuser runs them:
 *
 *     (GRANT | REVOKE) privileges ON object (TO | FROM) grantees …
 *     ALTER DEFAULT PRIVILEGES FOR ROLE role [IN SCHEMA schema] (GRANT | REVOKE) …
 *     SET SESSION AUTHORIZATION role     RESET SESSION AUTHORIZATION
 *
 * None of these runs a function. A grant of a role (`GRANT admin TO me`) has no ON and is not understood.
 */

export interface GrantStatement {
  readonly sql: string;
  /** A grantor other than the owner: run under `SET ROLE`. */
  readonly grantor: string | undefined;
  /** On an object of the system (`pg_catalog`), which no restore changes. */
  readonly system: boolean;
  /** `ALTER DEFAULT PRIVILEGES FOR ROLE` this one. */
  readonly defaultsOf: string | undefined;
  readonly verb: "GRANT" | "REVOKE";
  /** Names as the catalog has them; PUBLIC is `public`, which no role can be called. */
  readonly grantees: readonly string[];
}

export interface GrantNames {
  /** Name of the database in the archive, and of the one restored into. */
  readonly sourceDatabase: string;
  readonly targetDatabase: string;
}

const OBJECT_KINDS = [
  ["TABLE"],
  ["SEQUENCE"],
  ["FUNCTION"],
  ["PROCEDURE"],
  ["ROUTINE"],
  ["SCHEMA"],
  ["TYPE"],
  ["DOMAIN"],
  ["LANGUAGE"],
  ["DATABASE"],
  ["FOREIGN", "DATA", "WRAPPER"],
  ["FOREIGN", "SERVER"],
  ["LARGE", "OBJECT"],
] as const;

const SYSTEM_SCHEMAS = new Set(["pg_catalog", "information_schema", "pg_toast"]);

/** `undefined` where any part of the text is outside the grammar. */
export function parseGrants(
  text: string,
  names: GrantNames,
): readonly GrantStatement[] | undefined {
  const tokens = tokenize(text);
  if (tokens === undefined) return undefined;
  const grants: GrantStatement[] = [];
  let grantor: string | undefined;
  for (const statement of splitStatements(tokens)) {
    const session = sessionChange(statement);
    if (session !== undefined) {
      grantor = session.role;
      continue;
    }
    const grant = parseDefaults(statement, text) ?? parseGrant(statement, text, names);
    if (grant === undefined) return undefined;
    grants.push({ ...grant, grantor });
  }
  return grantor === undefined ? grants : undefined;
}

function sessionChange(statement: readonly Token[]): { role: string | undefined } | undefined {
  const [verb, session, authorization, role] = statement;
  if (!isWord(session, "SESSION") || !isWord(authorization, "AUTHORIZATION")) return undefined;
  if (isWord(verb, "RESET") && statement.length === 3) return { role: undefined };
  if (!isWord(verb, "SET") || statement.length !== 4) return undefined;
  const name = nameOf(role);
  return name === undefined ? undefined : { role: name };
}

type Parsed = Omit<GrantStatement, "grantor">;

function parseGrant(
  statement: readonly Token[],
  text: string,
  names: GrantNames,
): Parsed | undefined {
  const parts = splitGrant(statement);
  if (parts === undefined) return undefined;
  const kind = OBJECT_KINDS.find((words) =>
    words.every((word, index) => isWord(parts.object[index], word)),
  );
  if (kind === undefined) return undefined;
  const identity = parts.object.slice(kind.length);
  if (identity.length === 0) return undefined;
  if (kind[0] === "DATABASE") return databaseGrant(statement, text, { ...parts, identity }, names);
  const schema = isSymbol(identity[1], ".") ? nameOf(identity[0]) : undefined;
  return {
    sql: textOf(statement, text),
    system: schema !== undefined && SYSTEM_SCHEMAS.has(schema),
    defaultsOf: undefined,
    ...whoOf(statement, parts),
  };
}

/** The database has another name here; its own is replaced as a token, not as text. */
function databaseGrant(
  statement: readonly Token[],
  text: string,
  parts: GrantParts & { readonly identity: readonly Token[] },
  names: GrantNames,
): Parsed | undefined {
  const { identity } = parts;
  const [database] = identity;
  if (database === undefined || identity.length !== 1) return undefined;
  if (nameOf(database) !== names.sourceDatabase) return undefined;
  const [first] = statement;
  const last = statement.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const sql =
    text.slice(first.start, database.start) +
    quoteIdentifier(names.targetDatabase) +
    text.slice(database.end, last.end);
  return { sql, system: false, defaultsOf: undefined, ...whoOf(statement, parts) };
}

function parseDefaults(statement: readonly Token[], text: string): Parsed | undefined {
  const head = ["ALTER", "DEFAULT", "PRIVILEGES", "FOR", "ROLE"];
  if (!head.every((word, index) => isWord(statement[index], word))) return undefined;
  const role = nameOf(statement[head.length]);
  let at = head.length + 1;
  if (isWord(statement[at], "IN") && isWord(statement[at + 1], "SCHEMA")) at += 3;
  const rest = statement.slice(at);
  const parts = splitGrant(rest);
  if (role === undefined || parts === undefined) return undefined;
  return {
    sql: textOf(statement, text),
    system: false,
    defaultsOf: role,
    ...whoOf(rest, parts),
  };
}

interface GrantParts {
  readonly object: readonly Token[];
  readonly grantees: readonly Token[];
}

function whoOf(
  [verb]: readonly Token[],
  { grantees }: GrantParts,
): Pick<GrantStatement, "verb" | "grantees"> {
  const end = grantees.findIndex((token) => isWord(token, "WITH", "GRANTED"));
  const named = end < 0 ? grantees : grantees.slice(0, end);
  const names = named.flatMap((token) => nameOf(token) ?? []);
  return { verb: isWord(verb, "GRANT") ? "GRANT" : "REVOKE", grantees: names };
}

function splitGrant(statement: readonly Token[]): GrantParts | undefined {
  if (!isWord(statement[0], "GRANT", "REVOKE")) return undefined;
  const on = indexOutside(statement, 1, "ON");
  if (on < 2) return undefined;
  const to = indexOutside(statement, on + 1, isWord(statement[0], "GRANT") ? "TO" : "FROM");
  if (to <= on + 1 || to === statement.length - 1) return undefined;
  const privileges = statement.slice(1, on);
  const grantees = statement.slice(to + 1);
  if (!privileges.every(isPrivilegePart) || !grantees.every(isGranteePart)) return undefined;
  return { object: statement.slice(on + 1, to), grantees };
}

const PRIVILEGE_WORDS = (
  "ALL PRIVILEGES SELECT INSERT UPDATE DELETE TRUNCATE REFERENCES TRIGGER MAINTAIN USAGE " +
  "EXECUTE CREATE CONNECT TEMPORARY TEMP GRANT OPTION FOR"
).split(" ");

/** Words outside the list can only be columns, which stand in parentheses; `splitGrant` keeps ON outside them. */
function isPrivilegePart(token: Token, index: number, all: readonly Token[]): boolean {
  if (token.kind === "symbol") return "(),".includes(token.value);
  const inParentheses = depthAt(all, index) > 0;
  return inParentheses ? token.kind !== "number" : isWord(token, ...PRIVILEGE_WORDS);
}

function isGranteePart(token: Token): boolean {
  return token.kind === "word" || token.kind === "name" || isSymbol(token, ",");
}

function depthAt(tokens: readonly Token[], index: number): number {
  let depth = 0;
  for (const token of tokens.slice(0, index)) {
    if (isSymbol(token, "(")) depth += 1;
    if (isSymbol(token, ")")) depth -= 1;
  }
  return depth;
}

function indexOutside(tokens: readonly Token[], from: number, word: string): number {
  let depth = 0;
  for (let index = from; index < tokens.length; index += 1) {
    const token = tokens[index];
    if (isSymbol(token, "(")) depth += 1;
    if (isSymbol(token, ")")) depth -= 1;
    if (depth === 0 && isWord(token, word)) return index;
  }
  return -1;
}

function textOf(statement: readonly Token[], text: string): string {
  return text.slice(statement[0]?.start ?? 0, statement.at(-1)?.end ?? 0);
}
