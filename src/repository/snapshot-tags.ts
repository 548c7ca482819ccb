import type { Snapshot } from "./types.ts";

/** What the tags of a snapshot of ours say; restic keeps tags and nothing else of what we would add. */

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
  /** Only where no record can say it. */
  readonly suspect?: boolean;
  readonly schemaOnly?: boolean;
}): readonly string[] {
  const outcome = point.incomplete ? [INCOMPLETE] : [];
  const only = point.schemaOnly === true ? [SCHEMA_ONLY] : [];
  const doubt = point.suspect === true ? [GUARD_DOUBT] : [];
  return [`plan=${point.plan}`, `source=${point.source}`, ...outcome, ...doubt, ...only];
}

function tagValue(snapshot: Pick<Snapshot, "tags">, key: string): string | undefined {
  const tag = snapshot.tags.find((candidate) => candidate.startsWith(`${key}=`));
  return tag?.slice(key.length + 1);
}
