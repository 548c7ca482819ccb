import type { CheckablePack } from "../types.ts";

/**
 * Which packs are due, so that everything is read once within a time. Pure.
 *
 * The packs stand in a queue by the moment at which they were last known good: when a check read them, or when they were
 * stored, for a writer opens what it seals again. Each run takes from its front
 *
 *   as many bytes as the time since the run before is of the whole time (a missed day is made up by the next run),
 *   and in any case what would become too old before another run after as long a time.
 *
 * Packs that were there before the first run are too old from the start: for them the time begins with that run, so that
 * it does not have to read everything.
 */
export interface RollingHistory {
  /** When a check first remembered anything here; absent before. */
  readonly since?: Date;
  /** When one last did. */
  readonly lastAt?: Date;
  /** When the pack was last read and found good. */
  readonly readAt: (pack: string) => Date | undefined;
}

export interface RollingTime {
  readonly now: Date;
  /** Everything once in so long. */
  readonly withinMs: number;
}

/** What one run makes good where no run was before: a day's worth. */
const FIRST_RUN_MS = 24 * 60 * 60_000;

export function duePacks(
  packs: readonly CheckablePack[],
  history: RollingHistory,
  { now, withinMs }: RollingTime,
): readonly string[] {
  const nowMs = now.getTime();
  const sinceMs = history.since?.getTime() ?? nowMs;
  const elapsedMs =
    history.lastAt === undefined ? FIRST_RUN_MS : Math.max(0, nowMs - history.lastAt.getTime());
  const totalBytes = packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const dueBytes = totalBytes * Math.min(1, elapsedMs / withinMs);
  const horizonMs = nowMs + Math.min(elapsedMs, withinMs / 2);
  const queue = packs
    .map((pack) => {
      const readMs = history.readAt(pack.id)?.getTime();
      const goodMs = Math.max(readMs ?? 0, pack.storedAt.getTime());
      return { ...pack, goodMs, deadlineMs: Math.max(goodMs, readMs ?? sinceMs) + withinMs };
    })
    .sort((a, b) => a.goodMs - b.goodMs || (a.id < b.id ? -1 : 1));
  const due: string[] = [];
  let sumBytes = 0;
  for (const { id, sizeBytes, deadlineMs } of queue) {
    if (sumBytes >= dueBytes && deadlineMs > horizonMs) continue;
    due.push(id);
    sumBytes += sizeBytes;
  }
  return due;
}

export interface ReadCoverage {
  readonly withinMs: number;
  readonly totalBytes: number;
  /** Of packs that a check read and found good within that time. */
  readonly readBytes: number;
  /** The pack that was not read for the longest; its age counts from when it was stored where nobody read it yet. */
  readonly oldest?: { readonly pack: string; readonly ageMs: number; readonly everRead: boolean };
}

export function readCoverage(
  packs: readonly CheckablePack[],
  { readAt }: Pick<RollingHistory, "readAt">,
  { now, withinMs }: RollingTime,
): ReadCoverage {
  const nowMs = now.getTime();
  let [totalBytes, readBytes] = [0, 0];
  let oldest: ReadCoverage["oldest"];
  for (const { id, sizeBytes, storedAt } of packs) {
    const readMs = readAt(id)?.getTime();
    totalBytes += sizeBytes;
    if (readMs !== undefined && nowMs - readMs <= withinMs) readBytes += sizeBytes;
    const ageMs = Math.max(0, nowMs - (readMs ?? storedAt.getTime()));
    if (oldest === undefined || ageMs > oldest.ageMs) {
      oldest = { pack: id, ageMs, everRead: readMs !== undefined };
    }
  }
  return { withinMs, totalBytes, readBytes, ...(oldest === undefined ? {} : { oldest }) };
}
