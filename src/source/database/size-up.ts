import { AppError } from "../../kernel/index.ts";
import type { CaptureContext } from "./context.ts";
import type { TableWork } from "./copy-tables.ts";
import { estimateSizes, readSizes } from "./relations.ts";
import type { Relation } from "./relations.ts";

/** Largest first, so that no session is left alone with the largest at the end. */
export async function sizeUp(
  context: CaptureContext,
  tables: readonly Relation[],
): Promise<readonly TableWork[]> {
  const oids = tables.map((table) => table.oid);
  const sizes = await context.control
    .run((session) => readSizes(session, oids))
    .catch((error: unknown) => {
      if (!isLockTimeout(error)) throw error;
      // A lock that came meanwhile: its table will say so; the others need a size only to be ordered and split.
      return context.control.run((session) => estimateSizes(session, oids));
    });
  // A table dropped by now has no size; its copy finds out and says so.
  const work = tables.map((table) => ({
    table,
    size: sizes.get(table.oid) ?? { heapBytes: 0, toastBytes: 0 },
  }));
  const bytes = (one: TableWork): number => one.size.heapBytes + one.size.toastBytes;
  return work.toSorted((a, b) => bytes(b) - bytes(a));
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof AppError && error.code === "postgres.lock_timeout";
}
