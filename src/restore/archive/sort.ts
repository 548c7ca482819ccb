import type { Limits } from "../../manifest/index.ts";
import { isWord, nameOf, tokenize } from "../tokens.ts";
import type { Placement } from "../furniture.ts";
import type { ArchiveToc, TocEntry } from "./toc.ts";

/**
 * Which step an entry of the archive belongs to, decided by its kind and its dependencies alone (R7).
 *
 * An entry without a section (comments, labels) goes where the last of what it depends on goes.
 */

export interface Withheld {
  readonly object: string;
  readonly reason: string;
}

export interface SortedArchive {
  readonly preData: readonly TocEntry[];
  readonly postData: readonly TocEntry[];
  readonly grants: readonly TocEntry[];
  /** Of these grants only what concerns roles that are not the target platform's. */
  readonly addedGrants: readonly TocEntry[];
  readonly withheld: readonly Withheld[];
}

/** Switched off until released (I5), or what no restore may bring (I6). */
const WITHHELD_KINDS: Readonly<Record<string, string>> = {
  "EVENT TRIGGER":
    "runs by itself on every schema change; create it again when the database is released",
  PUBLICATION: "sends changes elsewhere; create it again when the database is released",
  "PUBLICATION TABLE": "part of a publication",
  "PUBLICATION TABLES IN SCHEMA": "part of a publication",
  SUBSCRIPTION: "fetches changes from elsewhere; create it again when the database is released",
  "SUBSCRIPTION TABLE": "part of a subscription",
  "USER MAPPING": "logs in to a foreign server; create it again when the database is released",
  "PROCEDURAL LANGUAGE": "a language outside an extension, which only a superuser may install",
};

const WITHHELD_EXTENSIONS: Readonly<Record<string, string>> = {
  pg_cron: "runs jobs by itself; install it when the database is released",
  pg_net: "sends requests by itself; install it when the database is released",
  http: "sends requests; install it when the database is released",
  dblink: "opens connections elsewhere; a superuser has to install it",
  file_fdw: "reads files of the server; a superuser has to install it",
  adminpack: "writes files of the server; a superuser has to install it",
  plpython3u: "an untrusted language; a superuser has to install it",
  plperlu: "an untrusted language; a superuser has to install it",
  pltclu: "an untrusted language; a superuser has to install it",
};

/** Done otherwise, or no part of a schema: the database itself, rows, statistics, the session's head. */
const SKIPPED_KINDS = new Set([
  "ENCODING",
  "STDSTRINGS",
  "SEARCHPATH",
  "DATABASE",
  "DATABASE PROPERTIES",
  "TABLE DATA",
  "SEQUENCE SET",
  "BLOBS",
  "BLOB",
  "BLOB METADATA",
  "BLOB COMMENTS",
  "MATERIALIZED VIEW DATA",
  "STATISTICS DATA",
]);

export interface SortOptions {
  /** Of a point that holds the rows of some tables alone. */
  readonly limits?: Limits | undefined;
  /** Where the target holds something before. Then `"build"` is for entries that it says so of. */
  readonly decide?: ((entry: TocEntry) => Placement) | undefined;
}

export function sortArchive(
  toc: ArchiveToc,
  { limits, decide = (): Placement => "build" }: SortOptions = {},
): SortedArchive {
  const left = new Set<number>();
  const callOut = new Set(toc.entries.filter(callsOut).map(({ dumpId }) => dumpId));
  const late = new Set<number>();
  const sorted = { preData: new Array<TocEntry>(), postData: new Array<TocEntry>() };
  const grants: TocEntry[] = [];
  const addedGrants: TocEntry[] = [];
  const withheld: Withheld[] = [];
  for (const entry of toc.entries) {
    if (SKIPPED_KINDS.has(entry.kind) || isOfDatabase(entry)) continue;
    const placement = decide(entry);
    if (placement === "grants") addedGrants.push(entry);
    if (typeof placement === "object")
      withheld.push({ object: describeEntry(entry), reason: placement.reason });
    if (placement !== "build") {
      if (placement !== "grants") left.add(entry.dumpId);
      continue;
    }
    const reason = reasonToWithhold(entry, { left, callOut }) ?? dangling(entry, limits);
    if (reason !== undefined) {
      left.add(entry.dumpId);
      if (!followsItsObject(entry)) withheld.push({ object: describeEntry(entry), reason });
    } else if (entry.kind === "ACL" || entry.kind === "DEFAULT ACL") {
      grants.push(entry);
    } else if (isLate(entry, late)) {
      late.add(entry.dumpId);
      sorted.postData.push(entry);
    } else sorted.preData.push(entry);
    if (entry.tablespace !== undefined && reason === undefined) {
      withheld.push({
        object: `TABLESPACE ${entry.tablespace} of ${describeEntry(entry)}`,
        reason: "tablespaces are the server's; it is in the database's own",
      });
    }
  }
  return { ...sorted, grants, addedGrants, withheld };
}

/** Functions that send requests: a trigger that runs one is a webhook. */
function callsOut({ kind, schema }: TocEntry): boolean {
  return kind === "FUNCTION" && (schema === "supabase_functions" || schema === "net");
}

function reasonToWithhold(
  entry: TocEntry,
  { left, callOut }: Readonly<Record<"left" | "callOut", ReadonlySet<number>>>,
): string | undefined {
  if (entry.kind === "TRIGGER" && entry.dependencies.some((id) => callOut.has(id)))
    return "a webhook, which sends requests; create it again when the database is released";
  if (entry.kind === "EXTENSION") {
    const reason = WITHHELD_EXTENSIONS[extensionOf(entry)?.name ?? ""];
    if (reason !== undefined) return reason;
  }
  const own = WITHHELD_KINDS[entry.kind];
  if (own !== undefined) return own;
  const follows = followsItsObject(entry) && entry.dependencies.some((id) => left.has(id));
  return follows ? "part of something that was left out" : undefined;
}

/** The rows that it refers to are not in the point: it could not hold. */
function dangling(entry: TocEntry, limits: Limits | undefined): string | undefined {
  if (entry.kind !== "FK CONSTRAINT" || limits === undefined) return undefined;
  const found = limits.foreignKeys.some(
    ({ schema, table, name }) => entry.schema === schema && entry.tag === `${table} ${name}`,
  );
  return found
    ? "refers to a table whose rows are not in this point; add it again when they are there"
    : undefined;
}

/** Comments, labels and grants: nothing without the object that they are about. */
function followsItsObject(entry: TocEntry): boolean {
  return ["COMMENT", "SECURITY LABEL", "ACL"].includes(entry.kind);
}

function isOfDatabase(entry: TocEntry): boolean {
  const about = entry.kind === "COMMENT" || entry.kind === "SECURITY LABEL";
  return about && entry.tag.startsWith("DATABASE ");
}

function isLate(entry: TocEntry, late: ReadonlySet<number>): boolean {
  if (entry.section === "post-data") return true;
  return entry.section === "none" && entry.dependencies.some((id) => late.has(id));
}

/** `TABLE public.parts`, for people. */
export function describeEntry(entry: TocEntry): string {
  const name = entry.schema === undefined ? entry.tag : `${entry.schema}.${entry.tag}`;
  return `${entry.kind} ${name}`;
}

export interface ExtensionEntry {
  readonly name: string;
  readonly schema: string | undefined;
}

/** `CREATE EXTENSION IF NOT EXISTS name WITH SCHEMA schema;`, or `undefined` for any other text. */
export function extensionOf(entry: TocEntry): ExtensionEntry | undefined {
  const tokens = tokenize(entry.definition);
  const head = ["CREATE", "EXTENSION", "IF", "NOT", "EXISTS"];
  if (tokens === undefined || !head.every((word, at) => isWord(tokens[at], word))) return undefined;
  const name = nameOf(tokens[5]);
  const schema =
    isWord(tokens[6], "WITH") && isWord(tokens[7], "SCHEMA") ? nameOf(tokens[8]) : undefined;
  const length = schema === undefined ? 7 : 10;
  if (name === undefined || tokens.length !== length) return undefined;
  return { name, schema };
}
