import type { TocEntry } from "./archive/toc.ts";

/**
 * The order of the post-data section on several sessions. Pure: `take` gives what may start now, `finish` frees it.
 *
 * An entry may start when everything that it depends on inside the section is finished (or failed: then it fails too,
 * by itself and with a reason), and when nobody who runs would wait for its tables. Of those that may, the one with the
 * most bytes under it goes first, then the archive's order.
 */

export interface Schedule {
  /** `"wait"`: something runs whose end may free more. `undefined`: all is done. */
  take(): TocEntry | "wait" | undefined;
  finish(entry: TocEntry): void;
}

/** Take no lock that keeps each other out: several on one table run side by side. */
const SHARING = new Set(["INDEX", "STATISTICS"]);

interface Waiting {
  readonly entry: TocEntry;
  readonly tables: readonly number[];
  readonly weight: number;
  readonly needs: readonly number[];
}

export function createSchedule(
  entries: readonly TocEntry[],
  tableOf: ReadonlyMap<number, { readonly sizeBytes: number }>,
): Schedule {
  const inside = new Set(entries.map((entry) => entry.dumpId));
  const waiting = new Map<number, Waiting>();
  for (const entry of entries) {
    const tables = entry.dependencies.filter((id) => tableOf.has(id));
    waiting.set(entry.dumpId, {
      entry,
      tables,
      weight: Math.max(0, ...tables.map((id) => tableOf.get(id)?.sizeBytes ?? 0)),
      needs: entry.dependencies.filter((id) => inside.has(id)),
    });
  }
  const unfinished = new Set(inside);
  const running = new Map<number, Waiting>();

  const ready = (candidate: Waiting): boolean =>
    candidate.needs.every((id) => !unfinished.has(id)) &&
    [...running.values()].every((other) => !collide(candidate, other));

  return {
    take() {
      let best: Waiting | undefined;
      for (const candidate of waiting.values()) {
        const heavier = best === undefined || candidate.weight > best.weight;
        if (heavier && ready(candidate)) best = candidate;
      }
      if (best === undefined && running.size > 0) return "wait";
      // Nothing runs and nothing is ready: a circle in a damaged archive. Its first entry says why it cannot be built.
      best ??= waiting.values().next().value;
      if (best === undefined) return undefined;
      waiting.delete(best.entry.dumpId);
      running.set(best.entry.dumpId, best);
      return best.entry;
    },
    finish(entry) {
      running.delete(entry.dumpId);
      unfinished.delete(entry.dumpId);
    },
  };
}

function collide(a: Waiting, b: Waiting): boolean {
  if (SHARING.has(a.entry.kind) && SHARING.has(b.entry.kind)) return false;
  return a.tables.some((table) => b.tables.includes(table));
}
