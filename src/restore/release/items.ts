import { describeEntry, extensionOf } from "../archive/entry.ts";
import type { HeldEntry } from "../archive/sort.ts";
import type { ArchiveToc, TocEntry } from "../archive/toc.ts";
import { mappingOf } from "./compose.ts";
import type { ItemKind } from "./types.ts";

/**
 * What a restore of this archive leaves out, as items that can be named and released one by one. Pure, from the
 * snapshot alone: nothing that the restored database says can add an item or change one.
 */
export interface ArchiveItem {
  readonly id: string;
  readonly kind: ItemKind;
  readonly reason: string;
  /** The item's own first, then what goes with it, in the archive's order. */
  readonly entries: readonly TocEntry[];
  readonly needs: readonly string[];
}

const KINDS: Readonly<Record<string, ItemKind>> = {
  EXTENSION: "extension",
  SERVER: "foreign server",
  "USER MAPPING": "user mapping",
  PUBLICATION: "publication",
  SUBSCRIPTION: "subscription",
  TRIGGER: "trigger",
  RULE: "rule",
  "EVENT TRIGGER": "event trigger",
  "FOREIGN DATA WRAPPER": "foreign data wrapper",
  "PROCEDURAL LANGUAGE": "language",
};

export function itemsOf(toc: ArchiveToc, held: readonly HeldEntry[]): readonly ArchiveItem[] {
  const entries = new Map(toc.entries.map((entry) => [entry.dumpId, entry]));
  const heads = held.filter(({ entry }) => KINDS[entry.kind] !== undefined);
  const idOf = new Map(heads.map(({ entry }) => [entry.dumpId, identify(entry, entries)]));
  const servers = new Map(
    heads.flatMap(({ entry }) => (entry.kind === "SERVER" ? [[entry.tag, entry.dumpId]] : [])),
  );
  const parts = partsOf(held, idOf);
  return heads.map(({ entry, reason, roots }) => {
    const own = parts.get(entry.dumpId) ?? [];
    const server = entry.kind === "USER MAPPING" ? mappingOf(entry.definition)?.server : undefined;
    const wanted = [
      ...roots,
      ...own.flatMap((part) => part.roots),
      ...(server === undefined ? [] : [servers.get(server)]),
    ];
    const ids = wanted.flatMap((id) => (id === undefined ? [] : [idOf.get(id)]));
    const id = idOf.get(entry.dumpId) ?? "";
    const needs = new Set(ids.filter((need) => need !== undefined && need !== id));
    return {
      id,
      kind: KINDS[entry.kind] ?? "trigger",
      reason,
      entries: [entry, ...own.map((part) => part.entry)],
      needs: [...needs].filter((need) => need !== undefined),
    };
  });
}

/** Of each head what is no item of its own: members, comments, grants, what cannot be built without it. */
function partsOf(
  held: readonly HeldEntry[],
  heads: ReadonlyMap<number, string>,
): ReadonlyMap<number, readonly HeldEntry[]> {
  const headOf = new Map<number, number>();
  const parts = new Map<number, HeldEntry[]>();
  for (const back of held) {
    const { entry, roots } = back;
    if (heads.has(entry.dumpId)) {
      headOf.set(entry.dumpId, entry.dumpId);
      continue;
    }
    const above = [...entry.dependencies, ...roots].map((id) => headOf.get(id));
    // The last of several: what it needs before is a need of the item.
    const head = above.findLast((id) => id !== undefined);
    if (head === undefined) continue;
    headOf.set(entry.dumpId, head);
    const list = parts.get(head);
    if (list === undefined) parts.set(head, [back]);
    else list.push(back);
  }
  return parts;
}

function identify(entry: TocEntry, entries: ReadonlyMap<number, TocEntry>): string {
  return `${KINDS[entry.kind] ?? ""} ${nameOf(entry, entries)}`;
}

function nameOf(entry: TocEntry, entries: ReadonlyMap<number, TocEntry>): string {
  if (entry.kind === "EXTENSION") return spell(extensionOf(entry)?.name ?? entry.tag);
  if (entry.kind === "USER MAPPING") {
    const mapping = mappingOf(entry.definition);
    if (mapping === undefined) return describeEntry(entry);
    return `${mapping.user === undefined ? "PUBLIC" : spell(mapping.user)} on ${spell(mapping.server)}`;
  }
  const on = placeOf(entry, entries);
  if (on === undefined) return spell(entry.tag);
  const schema = entry.schema === undefined ? "" : `${spell(entry.schema)}.`;
  return `${schema}${spell(on.table)} ${spell(on.name)}`;
}

export interface Place {
  readonly table: string;
  readonly name: string;
}

/** Triggers and rules are tagged with their table's name and their own, a space between: both may hold spaces. */
export function placeOf(
  entry: TocEntry,
  entries: ReadonlyMap<number, TocEntry>,
): Place | undefined {
  if (entry.kind !== "TRIGGER" && entry.kind !== "RULE") return undefined;
  for (const id of entry.dependencies) {
    const on = entries.get(id);
    const isOn = on?.schema === entry.schema && /TABLE|VIEW/.test(on?.kind ?? "");
    if (on !== undefined && isOn && entry.tag.startsWith(`${on.tag} `)) {
      return { table: on.tag, name: entry.tag.slice(on.tag.length + 1) };
    }
  }
  return undefined;
}

/** As a person would type it; quoted where it could be taken for something else. */
export function spell(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
