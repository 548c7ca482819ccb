import { extensionOf } from "../archive/entry.ts";
import type { TocEntry } from "../archive/toc.ts";
import { quoteIdentifier } from "../../postgres/index.ts";
import {
  composeActing,
  composeComment,
  composeEventTrigger,
  composePublication,
  composePublicationMember,
} from "./compose.ts";

/** The statements of an item as its plan shows them: what a text in quotes may hide, nobody reads here (I10). */

export function shownStatements(entries: readonly TocEntry[]): readonly string[] {
  return entries.flatMap(shownEntry);
}

function shownEntry(entry: TocEntry): readonly string[] {
  const composed = composedStatements(entry);
  if (composed !== undefined) {
    return HOLDS_TEXTS.has(entry.kind) ? composed.map(hideTexts) : composed;
  }
  return [headOf(entry.definition)];
}

/** Passwords, addresses, headers. */
const HOLDS_TEXTS: ReadonlySet<string> = new Set(["TRIGGER", "RULE", "USER MAPPING"]);

/** Never composed: the archive's text itself, which the builder runs. */
export function isBuilt({ kind }: TocEntry): boolean {
  return !COMPOSED_KINDS.has(kind);
}

const COMPOSED_KINDS: ReadonlySet<string> = new Set([
  ...HOLDS_TEXTS,
  "EXTENSION",
  "EVENT TRIGGER",
  "PUBLICATION",
  "PUBLICATION TABLE",
  "PUBLICATION TABLES IN SCHEMA",
  "COMMENT",
  "ACL",
]);

/** What the admin runs in place of the archive's text; `undefined` for kinds whose text the builder runs. */
export function composedStatements(entry: TocEntry): readonly string[] | undefined {
  const one = (sql: string | undefined): readonly string[] | undefined =>
    sql === undefined ? undefined : [sql];
  switch (entry.kind) {
    case "EXTENSION":
      return one(createExtension(entry));
    case "EVENT TRIGGER":
      return composeEventTrigger(entry.definition);
    case "PUBLICATION":
      return one(composePublication(entry.definition));
    case "PUBLICATION TABLE":
    case "PUBLICATION TABLES IN SCHEMA":
      return one(composePublicationMember(entry.definition));
    case "TRIGGER":
    case "RULE":
    case "USER MAPPING":
      return composeActing(entry.kind, entry.definition);
    case "COMMENT":
      // An extension comes with its own.
      if (entry.tag.startsWith("EXTENSION ")) return [];
      return one(composeComment(entry.definition));
    default:
      return undefined;
  }
}

function createExtension(entry: TocEntry): string | undefined {
  const extension = extensionOf(entry);
  if (extension === undefined) return undefined;
  // Its script looks functions up in the schema that it is put into; what it makes is in a schema of its own.
  const schema = extension.name === "pg_cron" ? "pg_catalog" : extension.schema;
  const place = schema === undefined ? "" : ` WITH SCHEMA ${quoteIdentifier(schema)}`;
  return `CREATE EXTENSION ${quoteIdentifier(extension.name)}${place}`;
}

/** Of statements that we made: no text in them is quoted otherwise. */
export function hideTexts(sql: string): string {
  return sql.replaceAll(/'(?:[^']|'')*'/g, "'…'");
}

const MAX_HEAD = 160;

/** Of the archive's own text: what comes before any text in quotes, and no more than a line. */
function headOf(definition: string): string {
  const start = definition
    .slice(0, 4 * MAX_HEAD)
    .replaceAll(/\s+/g, " ")
    .trim();
  const end = start.search(/['$]/);
  const head = start.slice(0, end < 0 ? MAX_HEAD : Math.min(end, MAX_HEAD)).trimEnd();
  return head.length < definition.trim().length ? `${head} …` : head;
}
