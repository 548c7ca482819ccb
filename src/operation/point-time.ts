import type { DatabaseManifest } from "../manifest/index.ts";

/**
 * From when a point is: when its run began, or earlier where it was read from a standby that was behind by then. Retention
 * and every look at how old the newest point is count from it.
 */
export function pointTime(startedAt: Date, { snapshot }: Pick<DatabaseManifest, "snapshot">): Date {
  const takenAt = new Date(snapshot.takenAt);
  return takenAt < startedAt ? takenAt : startedAt;
}
