import { extensionOf } from "./entry.ts";
import type { ArchiveToc, TocEntry } from "./toc.ts";
import { isReaching, REACHING } from "./withheld.ts";

/**
 * What of the source reaches outside of its database (I5, ADR 0019). Two questions with two kinds of answer:
 *
 * 1. *What cannot be built without something that reaches out?* (a view over a foreign table, a rule that calls dblink)
 *    The archive's dependencies say so, exactly.
 * 2. *Which triggers and rules call out when a row is written?* What a function's text does is in no catalog, so it is
 *    read for the calls that reach out, and for calls of functions that have them. Too many are found rather than too
 *    few; one that builds the call at run time is not found. It cannot call out either: what it calls is not there
 *    before its extension is released.
 */
export interface HeldBack {
  readonly reason: string;
  /** Entries that it cannot do without: extensions, foreign servers. */
  readonly roots: readonly number[];
  /** Acts when rows are written: held back even where all its roots are there. */
  readonly onWrites?: true;
}

/** Nothing without what they depend on. Not tables: their rows are more than what reaches out. */
const BOUND_KINDS: ReadonlySet<string> = new Set([
  "SERVER",
  "FOREIGN TABLE",
  "VIEW",
  "MATERIALIZED VIEW",
  "FUNCTION",
  "PROCEDURE",
  "AGGREGATE",
  "RULE",
  "TRIGGER",
  "TABLE ATTACH",
  "INDEX",
  "STATISTICS",
]);

const CALLABLE: ReadonlySet<string> = new Set(["FUNCTION", "PROCEDURE"]);
const ON_WRITES: ReadonlySet<string> = new Set(["TRIGGER", "RULE"]);

/** Calls in the text of a function, by the extension that has them; of none of the archive's, where a platform has it. */
const CALLS: readonly (readonly [extension: string, call: RegExp])[] = [
  ["dblink", /\bdblink\w*"?\s*\(/i],
  ["http", /\bhttp(?:_(?:get|post|put|patch|delete|head))?"?\s*\(/i],
  ["pg_net", /\bnet"?\s*\.\s*"?\w+"?\s*\(/i],
  ["pg_net", /\bsupabase_functions"?\s*\.\s*"?\w+"?\s*\(/i],
  ["pg_cron", /\bcron"?\s*\.\s*"?\w+"?\s*\(/i],
  ["", /\baws_(?:lambda|s3)"?\s*\.\s*"?\w+"?\s*\(/i],
];

interface Caller {
  readonly how: string;
  readonly roots: ReadonlySet<number>;
}

export function findReach(toc: ArchiveToc): ReadonlyMap<number, HeldBack> {
  const extensions = reachingExtensions(toc);
  const bound = boundTo(toc, new Set(extensions.values()));
  const callers = findCallers(toc, extensions, bound);
  const held = new Map<number, HeldBack>();
  for (const entry of toc.entries) {
    const onWrites = ON_WRITES.has(entry.kind) ? writes(entry, callers) : undefined;
    const roots = bound.get(entry.dumpId);
    if (onWrites !== undefined) held.set(entry.dumpId, withRoots(onWrites, roots));
    else if (roots !== undefined) {
      const reason = "cannot be built without what reaches elsewhere, which is left out";
      const acts = ON_WRITES.has(entry.kind) ? { onWrites: true as const } : {};
      held.set(entry.dumpId, { reason, roots: [...roots], ...acts });
    } else if (isMemberGrant(toc, entry, extensions)) {
      const root = extensionOfMember(entry, extensions);
      const reason = "part of something that was left out";
      if (root !== undefined) held.set(entry.dumpId, { reason, roots: [root] });
    }
  }
  return held;
}

function withRoots(held: HeldBack, more: ReadonlySet<number> = new Set()): HeldBack {
  return { ...held, roots: [...new Set([...held.roots, ...more])] };
}

function reachingExtensions(toc: ArchiveToc): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const entry of toc.entries) {
    const name = entry.kind === "EXTENSION" ? extensionOf(entry)?.name : undefined;
    if (name !== undefined && isReaching(name)) found.set(name, entry.dumpId);
  }
  return found;
}

/** Every entry that depends on one of these, or on a foreign server, by what; the archive is in dependency order. */
function boundTo(
  toc: ArchiveToc,
  extensions: ReadonlySet<number>,
): ReadonlyMap<number, ReadonlySet<number>> {
  const bound = new Map<number, ReadonlySet<number>>();
  const servers = new Set(
    toc.entries.filter(({ kind }) => kind === "SERVER").map(({ dumpId }) => dumpId),
  );
  for (const { dumpId, kind, dependencies } of toc.entries) {
    if (!BOUND_KINDS.has(kind)) continue;
    const roots = new Set(
      dependencies.flatMap((id) =>
        extensions.has(id) || servers.has(id) ? [id] : [...(bound.get(id) ?? [])],
      ),
    );
    if (roots.size > 0) bound.set(dumpId, roots);
  }
  return bound;
}

function writes(entry: TocEntry, callers: ReadonlyMap<number, Caller>): HeldBack | undefined {
  for (const id of entry.dependencies) {
    const caller = callers.get(id);
    if (caller === undefined) continue;
    return {
      reason: `${caller.how} when a row is written; \`sparekeep release\` creates it`,
      roots: [...caller.roots],
      onWrites: true,
    };
  }
  return undefined;
}

/** Functions that call out, and functions that call these: each text is read once, then only names are looked up. */
function findCallers(
  toc: ArchiveToc,
  extensions: ReadonlyMap<string, number>,
  bound: ReadonlyMap<number, ReadonlySet<number>>,
): ReadonlyMap<number, Caller> {
  const functions = toc.entries.filter(({ kind }) => CALLABLE.has(kind));
  const relations = new Map(
    toc.entries
      .filter(({ dumpId, kind }) => bound.has(dumpId) && /TABLE|VIEW/.test(kind))
      .map(({ dumpId, tag }) => [tag.toLowerCase(), { tag, roots: bound.get(dumpId) }]),
  );
  const callers = new Map<number, Caller>();
  const callersOf = new Map<string, number[]>();
  const left: TocEntry[] = [];
  for (const entry of functions) {
    const text = bodyOf(entry);
    const { names, called } = wordsOf(text);
    for (const name of called) pushTo(callersOf, name, entry.dumpId);
    const used = [...names].map((name) => relations.get(name)).find((one) => one !== undefined);
    const found =
      directCall(entry, text, extensions) ??
      (used === undefined ? undefined : { how: `uses ${used.tag}`, roots: used.roots ?? NONE });
    if (found === undefined) continue;
    callers.set(entry.dumpId, found);
    left.push(entry);
  }
  const byId = new Map(functions.map((entry) => [entry.dumpId, entry]));
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const caller = callers.get(next.dumpId);
    for (const id of callersOf.get(calledName(next.tag)) ?? []) {
      const above = byId.get(id);
      if (caller === undefined || above === undefined || callers.has(id)) continue;
      callers.set(id, caller);
      left.push(above);
    }
  }
  return callers;
}

const NONE: ReadonlySet<number> = new Set();

function pushTo(map: Map<string, number[]>, key: string, value: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

const WORD = /"((?:[^"]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)/g;

/** Every name in a text, in small letters, and those with a bracket behind them, which may be calls. */
function wordsOf(text: string): { readonly names: Set<string>; readonly called: Set<string> } {
  const names = new Set<string>();
  const called = new Set<string>();
  for (const match of text.matchAll(WORD)) {
    const name = (match[1]?.replaceAll('""', '"') ?? match[2] ?? "").toLowerCase();
    names.add(name);
    BRACKET.lastIndex = match.index + match[0].length;
    if (BRACKET.test(text)) called.add(name);
  }
  return { names, called };
}

const BRACKET = /\s*\(/y;

function calledName(tag: string): string {
  return tag.slice(0, Math.max(tag.indexOf("("), 1)).toLowerCase();
}

function directCall(
  { schema, dumpId }: TocEntry,
  text: string,
  extensions: ReadonlyMap<string, number>,
): Caller | undefined {
  if (schema === "supabase_functions" || schema === "net") {
    return { how: "a webhook, which sends requests", roots: rootsOf("pg_net", extensions) };
  }
  const found = CALLS.flatMap(([extension, call]) => {
    const match = call.exec(text);
    return match === null ? [] : [{ extension, call: match[0] }];
  });
  if (runsProgram(text)) found.push({ extension: "", call: "COPY … PROGRAM" });
  const [first] = found;
  if (first === undefined) return undefined;
  const roots = found.flatMap(({ extension }) => [...rootsOf(extension, extensions)]);
  return {
    how: `calls ${shortCall(first.call)}`,
    roots: new Set(roots.filter((id) => id !== dumpId)),
  };
}

function runsProgram(text: string): boolean {
  return text.split(";").some((statement) => {
    const at = statement.search(/\bcopy\b/i);
    return at >= 0 && /\bprogram\b/i.test(statement.slice(at));
  });
}

/** Foreign text: what a call is without its white space and quotes. */
function shortCall(text: string): string {
  const name = text.replaceAll(/["(]|\s+/g, "");
  return name.length > 60 ? `${name.slice(0, 60)}…` : name;
}

function rootsOf(extension: string, extensions: ReadonlyMap<string, number>): ReadonlySet<number> {
  const id = extensions.get(extension);
  return new Set(id === undefined ? [] : [id]);
}

/** Without its head, whose name is no call. */
function bodyOf({ definition }: TocEntry): string {
  const at = definition.indexOf("\n    LANGUAGE ");
  return at < 0 ? definition : definition.slice(at);
}

/** A grant on what an extension brought: the archive does not hold the object that it is about. */
function isMemberGrant(
  toc: ArchiveToc,
  entry: TocEntry,
  extensions: ReadonlyMap<string, number>,
): boolean {
  if (entry.kind !== "ACL" || extensions.size === 0) return false;
  return entry.dependencies.every((id) => !knownIds(toc).has(id));
}

const idsOf = new WeakMap<ArchiveToc, ReadonlySet<number>>();

function knownIds(toc: ArchiveToc): ReadonlySet<number> {
  const known = idsOf.get(toc) ?? new Set(toc.entries.map(({ dumpId }) => dumpId));
  idsOf.set(toc, known);
  return known;
}

const GRANTED =
  /^(?:FOREIGN DATA WRAPPER|FUNCTION|PROCEDURE|SCHEMA|TABLE|SEQUENCE|TYPE|COLUMN) "?([^"(.]+)/;

function extensionOfMember(
  { tag, schema }: TocEntry,
  extensions: ReadonlyMap<string, number>,
): number | undefined {
  const name = GRANTED.exec(tag)?.[1] ?? "";
  for (const [extension, id] of extensions) {
    if (!isReaching(extension)) continue;
    const { schemas, names } = REACHING[extension];
    if ((schema !== undefined && schemas.includes(schema)) || names.test(name)) return id;
  }
  return undefined;
}
