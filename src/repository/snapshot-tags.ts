import type { Snapshot } from "./types.ts";

/** What the tags of a snapshot of ours say; restic keeps tags and nothing else of what we would add. */

const INCOMPLETE = "outcome=incomplete";
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

/** The tags of a recovery point. */
export function tagsOf(point: {
  readonly plan: string;
  readonly source: string;
  readonly incomplete: boolean;
}): readonly string[] {
  const outcome = point.incomplete ? [INCOMPLETE] : [];
  return [`plan=${point.plan}`, `source=${point.source}`, ...outcome];
}

function tagValue(snapshot: Pick<Snapshot, "tags">, key: string): string | undefined {
  const tag = snapshot.tags.find((candidate) => candidate.startsWith(`${key}=`));
  return tag?.slice(key.length + 1);
}
