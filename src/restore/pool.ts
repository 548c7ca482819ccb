import { AppError, toAppError } from "../kernel/index.ts";
import type { Connection } from "../postgres/index.ts";
import { FRESH_SETTINGS, openBuilder } from "./context.ts";
import type { Work } from "./context.ts";

/**
 * Runs `work` over a queue on up to `connections` builder sessions. The first error stops all: the others are
 * cancelled and waited for, and that error is thrown, so that nothing runs on after this has returned.
 */
export async function runOnSessions<Item>(
  work: Work,
  next: () => Promise<Item | undefined> | Item | undefined,
  run: (connection: Connection, item: Item, signal: AbortSignal) => Promise<void>,
  wanted: number,
): Promise<void> {
  const stop = new AbortController();
  const signal =
    work.signal === undefined ? stop.signal : AbortSignal.any([work.signal, stop.signal]);
  const worker = async (): Promise<void> => {
    await using connection = await openBuilder(work.builderUrl, signal);
    for (;;) {
      const item = await next();
      if (item === undefined) return;
      await connection.query(FRESH_SETTINGS);
      await run(connection, item, signal);
    }
  };
  const count = Math.max(1, Math.min(work.options.connections, wanted));
  const errors: unknown[] = [];
  await Promise.all(
    Array.from({ length: count }, async () => {
      try {
        await worker();
      } catch (error) {
        errors.push(error);
        stop.abort();
      }
    }),
  );
  const cause = errors.find((error) => !isCancelled(error)) ?? errors[0];
  if (cause !== undefined) throw toAppError(cause);
}

function isCancelled(error: unknown): boolean {
  return error instanceof AppError && error.kind === "cancelled";
}

export function queueOf<Item>(items: readonly Item[]): () => Item | undefined {
  let at = 0;
  return () => {
    const item = items[at];
    at += 1;
    return item;
  };
}
