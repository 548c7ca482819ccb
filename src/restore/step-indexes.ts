import { AppError } from "../kernel/index.ts";
import { describeEntry } from "./archive/sort.ts";
import type { TocEntry } from "./archive/toc.ts";
import { orIssue } from "./context.ts";
import type { Work } from "./context.ts";
import { runOnSessions } from "./pool.ts";
import { createSchedule } from "./schedule.ts";
import { itemOf, restoreEntry, restoreInOrder } from "./step-schema.ts";

/** The post-data section: heavy work on N sessions, then what only changes the catalog, in the archive's order. */

const HEAVY = new Set(["INDEX", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "STATISTICS"]);

export async function restorePostData(work: Work): Promise<void> {
  const entries = work.archive.postData.filter((entry) => !work.ledger.has(itemOf(entry)));
  const early = heavyOnes(entries);
  const late = entries.filter((entry) => !early.includes(entry));
  const totalBytes = work.archive.postData.length;
  let doneBytes = totalBytes - entries.length;
  const report = (current: string): void =>
    work.report({ step: "indexes", doneBytes, totalBytes, current });
  const again = await runHeavy(work, early, (entry) => {
    doneBytes += 1;
    report(describeEntry(entry));
  });
  const rest = [...again, ...late].toSorted(byArchive(entries));
  doneBytes -= again.length;
  await restoreInOrder(work, rest, (count) => {
    doneBytes += count;
    report("");
  });
}

/** Heavy entries that wait for no light one: a constraint on an attached index has to keep its place. */
function heavyOnes(entries: readonly TocEntry[]): readonly TocEntry[] {
  const later = new Set<number>();
  for (const entry of entries) {
    const waits = entry.dependencies.some((id) => later.has(id));
    if (waits || !HEAVY.has(entry.kind)) later.add(entry.dumpId);
  }
  return entries.filter((entry) => !later.has(entry.dumpId));
}

function byArchive(entries: readonly TocEntry[]): (a: TocEntry, b: TocEntry) => number {
  const place = new Map(entries.map((entry, index) => [entry.dumpId, index]));
  return (a, b) => (place.get(a.dumpId) ?? 0) - (place.get(b.dumpId) ?? 0);
}

/** Gives back what lost a deadlock or a lock to its neighbours: to be tried again alone. */
async function runHeavy(
  work: Work,
  entries: readonly TocEntry[],
  onDone: (entry: TocEntry) => void,
): Promise<readonly TocEntry[]> {
  const schedule = createSchedule(entries, tablesByDumpId(work));
  const again: TocEntry[] = [];
  let changed = Promise.withResolvers<void>();
  const next = async (): Promise<TocEntry | undefined> => {
    for (;;) {
      const taken = schedule.take();
      if (taken !== "wait") return taken;
      await changed.promise;
    }
  };
  const wake = (): void => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  await runOnSessions(
    work,
    next,
    async (connection, entry) => {
      try {
        await orIssue(work, { code: "entry_failed", object: describeEntry(entry) }, async () => {
          try {
            await restoreEntry(work, connection, entry);
          } catch (error) {
            if (!lostToNeighbour(error)) throw error;
            again.push(entry);
          }
        });
      } finally {
        schedule.finish(entry);
        wake();
      }
      onDone(entry);
    },
    entries.length,
  );
  return again;
}

function lostToNeighbour(error: unknown): boolean {
  return (
    error instanceof AppError && ["40P01", "55P03"].includes(String(error.subject["sqlstate"]))
  );
}

/** Tables and materialised views of the archive, with the bytes of their rows. */
function tablesByDumpId(work: Work): ReadonlyMap<number, { readonly sizeBytes: number }> {
  const sizes = new Map<string, number>();
  for (const table of work.options.manifest.database.tables) {
    const sizeBytes = table.parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    sizes.set(JSON.stringify([table.schema, table.name]), sizeBytes);
  }
  const tables = work.archive.preData.filter((entry) =>
    ["TABLE", "MATERIALIZED VIEW"].includes(entry.kind),
  );
  return new Map(
    tables.map((entry) => [
      entry.dumpId,
      { sizeBytes: sizes.get(JSON.stringify([entry.schema, entry.tag])) ?? 0 },
    ]),
  );
}
