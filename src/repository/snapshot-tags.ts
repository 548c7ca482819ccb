import type { Snapshot } from "./types.ts";

/** What the tags of a snapshot of ours say; restic keeps tags and nothing else of what we would add. */

const OF_TABLES = "scope=tables";
const INCOMPLETE = "outcome=incomplete";
/** Of a store that has no room for records: there is nowhere else to say it. */
const GUARD_DOUBT = "guard=suspect";
const SCHEMA_ONLY = "capture=schema";
/** Restic's word as well: what was gone was cut out. */
export const REPAIRED_TAG = "repaired";

/** `undefined`: another tool's. */
export function planOf(snapshot: Pick<Snapshot, "tags">): string | undefined {
  return tagValue(snapshot, "plan");
}

export function sourceOf(snapshot: Pick<Snapshot, "tags">): string | undefined {
  return tagValue(snapshot, "source");
}

/** Ours say their plan; one without is another tool's, and nothing is claimed about it. */
export function outcomeOf(snapshot: Pick<Snapshot, "tags">): "complete" | "incomplete" | "foreign" {
  if (planOf(snapshot) === undefined) return "foreign";
  const lacks = snapshot.tags.includes(INCOMPLETE) || snapshot.tags.includes(REPAIRED_TAG);
  return lacks ? "incomplete" : "complete";
}

/** What a point holds: the whole of its source, or the rows of some tables alone. */
export function scopeOf(snapshot: Pick<Snapshot, "tags">): "everything" | "tables" | undefined {
  if (planOf(snapshot) === undefined) return undefined;
  return snapshot.tags.includes(OF_TABLES) ? "tables" : "everything";
}

/** A guard spoke when the point was made, and only the point itself could say so. */
export function isTaggedSuspect({ tags }: { readonly tags?: readonly string[] }): boolean {
  return tags?.includes(GUARD_DOUBT) === true;
}

/** Definitions without rows: no whole backup of its source. */
export function holdsSchemaOnly({ tags }: Pick<Snapshot, "tags">): boolean {
  return tags.includes(SCHEMA_ONLY);
}

/** The tags of a recovery point. */
export function tagsOf(point: {
  readonly plan: string;
  readonly source: string;
  readonly incomplete: boolean;
  readonly ofTables?: boolean;
  /** Only where no record can say it. */
  readonly suspect?: boolean;
  readonly schemaOnly?: boolean;
}): readonly string[] {
  const outcome = point.incomplete ? [INCOMPLETE] : [];
  const scope = point.ofTables === true ? [OF_TABLES] : [];
  const doubt = point.suspect === true ? [GUARD_DOUBT] : [];
  const only = point.schemaOnly === true ? [SCHEMA_ONLY] : [];
  return [`plan=${point.plan}`, `source=${point.source}`, ...scope, ...outcome, ...doubt, ...only];
}

function tagValue(snapshot: Pick<Snapshot, "tags">, key: string): string | undefined {
  const tag = snapshot.tags.find((candidate) => candidate.startsWith(`${key}=`));
  return tag?.slice(key.length + 1);
}
