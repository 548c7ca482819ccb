import { extensionOf } from "./entry.ts";
import type { ArchiveToc, TocEntry } from "./toc.ts";
import { isReaching, REACHING } from "./withheld.ts";

/**
 * What of the source reaches outside of its database (I5, ADR 0017). Two questions with two kinds of answer:
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
  ["", /\bcopy\b[^;]*\bprogram\b/i],
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

function writes(
  entry: TocEntry,
  callers: ReadonlyMap<number, Caller & { readonly tag: string }>,
): HeldBack | undefined {
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

/** Functions that call out, and functions that call these. */
function findCallers(
  toc: ArchiveToc,
  extensions: ReadonlyMap<string, number>,
  bound: ReadonlyMap<number, ReadonlySet<number>>,
): ReadonlyMap<number, Caller & { readonly tag: string }> {
  const functions = toc.entries.filter(({ kind }) => CALLABLE.has(kind));
  const texts = new Map(functions.map((entry) => [entry.dumpId, bodyOf(entry)]));
  const relations = toc.entries.filter(
    ({ dumpId, kind }) => bound.has(dumpId) && /TABLE|VIEW/.test(kind),
  );
  const callers = new Map<number, Caller & { readonly tag: string }>();
  for (const entry of functions) {
    const text = texts.get(entry.dumpId) ?? "";
    const found = directCall(entry, text, extensions) ?? usesRelation(text, relations, bound);
    if (found !== undefined) callers.set(entry.dumpId, { ...found, tag: entry.tag });
  }
  for (let before = -1; before !== callers.size;) {
    before = callers.size;
    const names = [...callers].map(([id, { tag }]) => ({ id, pattern: callOf(tag) }));
    for (const entry of functions.filter(({ dumpId }) => !callers.has(dumpId))) {
      const text = texts.get(entry.dumpId) ?? "";
      const called = names.find(({ pattern }) => pattern.test(text));
      const caller = called === undefined ? undefined : callers.get(called.id);
      if (caller !== undefined) callers.set(entry.dumpId, { ...caller, tag: entry.tag });
    }
  }
  return callers;
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
  const [first] = found;
  if (first === undefined) return undefined;
  const roots = found.flatMap(({ extension }) => [...rootsOf(extension, extensions)]);
  const named = first.call.startsWith("copy") ? "COPY … PROGRAM" : shortCall(first.call);
  return { how: `calls ${named}`, roots: new Set(roots.filter((id) => id !== dumpId)) };
}

/** Foreign text: what a call is without its white space and quotes. */
function shortCall(text: string): string {
  const name = text.replaceAll(/[\s"(]/g, "");
  return name.length > 60 ? `${name.slice(0, 60)}…` : name;
}

function rootsOf(extension: string, extensions: ReadonlyMap<string, number>): ReadonlySet<number> {
  const id = extensions.get(extension);
  return new Set(id === undefined ? [] : [id]);
}

function usesRelation(
  text: string,
  relations: readonly TocEntry[],
  bound: ReadonlyMap<number, ReadonlySet<number>>,
): Caller | undefined {
  const used = relations.find(({ tag }) =>
    new RegExp(String.raw`(?<![\w$])${escaped(tag)}(?![\w$])`, "i").test(text),
  );
  if (used === undefined) return undefined;
  return { how: `uses ${used.tag}`, roots: bound.get(used.dumpId) ?? new Set() };
}

/** `out()` is called as `out (`, `"out"(`, `s.out(`. */
function callOf(tag: string): RegExp {
  const name = tag.slice(0, Math.max(tag.indexOf("("), 1));
  return new RegExp(String.raw`(?<![\w$])${escaped(name)}"?\s*\(`, "i");
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
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
