import type { Limits } from "../../manifest/index.ts";
import type { Placement } from "../furniture.ts";
import { describeEntry, extensionOf } from "./entry.ts";
import { findReach } from "./reach.ts";
import type { HeldBack } from "./reach.ts";
import type { ArchiveToc, TocEntry } from "./toc.ts";
import { isReaching, WITHHELD_EXTENSIONS, WITHHELD_KINDS } from "./withheld.ts";

export { describeEntry, extensionOf } from "./entry.ts";

/**
 * Which step an entry of the archive belongs to, decided by its kind and its dependencies alone (R7).
 *
 * An entry without a section (comments, labels) goes where the last of what it depends on goes.
 */

export interface Withheld {
  readonly object: string;
  readonly reason: string;
}

/** Left out by I5 or I6, its comment and grants with it: what `release` turns on, or says why not. */
export interface HeldEntry {
  readonly entry: TocEntry;
  readonly reason: string;
  /** Entries that it cannot do without. */
  readonly roots: readonly number[];
}

export interface SortedArchive {
  readonly preData: readonly TocEntry[];
  readonly postData: readonly TocEntry[];
  readonly grants: readonly TocEntry[];
  /** Of these grants only what concerns roles that are not the target platform's. */
  readonly addedGrants: readonly TocEntry[];
  readonly withheld: readonly Withheld[];
  readonly held: readonly HeldEntry[];
}

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
  const reach = findReach(toc);
  const there = new Set<number>();
  const held: HeldEntry[] = [];
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
    if (placement === "there") there.add(entry.dumpId);
    if (placement === "there" && reachesOut(entry)) {
      const reason = "is there already: what calls it calls out as soon as it runs";
      withheld.push({ object: describeEntry(entry), reason });
    }
    if (placement !== "build") {
      if (placement !== "grants") left.add(entry.dumpId);
      continue;
    }
    const back = holdBack(entry, left, missing(reach.get(entry.dumpId), there));
    if (back !== undefined) held.push({ entry, reason: back.reason, roots: back.roots });
    const reason = back?.reason ?? dangling(entry, limits);
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
  return { ...sorted, grants, addedGrants, withheld, held };
}

function reachesOut(entry: TocEntry): boolean {
  return entry.kind === "EXTENSION" && isReaching(extensionOf(entry)?.name ?? "");
}

/** What a platform has at the target already holds nothing back, but for what acts by itself. */
function missing(back: HeldBack | undefined, there: ReadonlySet<number>): HeldBack | undefined {
  const isMissing = back?.onWrites === true || back?.roots.some((id) => !there.has(id)) === true;
  return isMissing ? back : undefined;
}

function holdBack(
  entry: TocEntry,
  left: ReadonlySet<number>,
  reach: HeldBack | undefined,
): HeldBack | undefined {
  if (entry.kind === "EXTENSION") {
    const reason = WITHHELD_EXTENSIONS[extensionOf(entry)?.name ?? ""];
    if (reason !== undefined) return { reason, roots: [] };
  }
  const own = WITHHELD_KINDS[entry.kind];
  if (own !== undefined) return { reason: own, roots: reach?.roots ?? [] };
  if (reach !== undefined) return reach;
  const roots = followsItsObject(entry) ? entry.dependencies.filter((id) => left.has(id)) : [];
  return roots.length > 0 ? { reason: "part of something that was left out", roots } : undefined;
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
