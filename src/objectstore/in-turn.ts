import { throwIfAborted } from "../kernel/index.ts";

export type InTurn = <Result>(
  name: string,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
) => Promise<Result>;

/**
 * Work under one name runs one after the other, in the order in which it came; under different names at once. Who is
 * aborted while waiting leaves at once; those behind go on waiting for those before.
 */
export function createTurns(): InTurn {
  const last = new Map<string, Promise<unknown>>();
  return async (name, signal, work) => {
    const before = last.get(name) ?? Promise.resolve();
    const mine = (async () => {
      await unlessAborted(before, signal);
      return await work();
    })();
    const done = Promise.allSettled([before, mine]);
    last.set(name, done);
    try {
      return await mine;
    } finally {
      void done.then(() => {
        if (last.get(name) === done) last.delete(name);
      });
    }
  };
}

/** Waits for it, or leaves with `cancelled` when aborted before; it goes on without us. */
export async function unlessAborted(
  before: Promise<unknown>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const aborted = Promise.withResolvers<void>();
  const onAbort = (): void => aborted.resolve();
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted !== true) await Promise.race([before, aborted.promise]);
  signal?.removeEventListener("abort", onAbort);
  throwIfAborted(signal);
}
