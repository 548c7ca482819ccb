import { throwIfAborted } from "../kernel/index.ts";

export interface ParallelOptions {
  /** How many run at once. */
  readonly lanes: number;
  readonly signal: AbortSignal | undefined;
}

/** In no order. After the first failure nothing more is begun, and it is thrown when what runs has ended. */
export async function inParallel<Item>(
  items: Iterable<Item>,
  { lanes, signal }: ParallelOptions,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failure: { readonly thrown: unknown } | undefined;
  const lane = async (): Promise<void> => {
    while (failure === undefined) {
      const next = iterator.next();
      if (next.done === true) return;
      try {
        throwIfAborted(signal);
        await work(next.value);
      } catch (thrown) {
        failure ??= { thrown };
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  if (failure !== undefined) throw failure.thrown;
}
