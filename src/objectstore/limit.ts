import { throwIfAborted } from "../kernel/index.ts";
import type { ObjectStore, WaitOptions } from "./object-store.ts";

/** At most `concurrency` calls reach the store at once; the others wait in order. */
export function withLimit(store: ObjectStore, concurrency: number): ObjectStore {
  const slots = createSlots(concurrency);
  const limited = async <Result>(
    options: WaitOptions | undefined,
    work: () => Promise<Result>,
  ): Promise<Result> => {
    await slots.acquire(options?.signal);
    try {
      return await work();
    } finally {
      slots.release();
    }
  };
  return {
    location: store.location,
    put: (key, body, options) => limited(options, () => store.put(key, body, options)),
    ...limitedPutLarge(store, limited),
    get: (key, options) => limited(options, () => store.get(key, options)),
    getRange: (key, range, options) => limited(options, () => store.getRange(key, range, options)),
    stat: (key, options) => limited(options, () => store.stat(key, options)),
    list: (prefix, options) => limitedList(store.list(prefix, options), options, limited),
    remove: (key, options) => limited(options, () => store.remove(key, options)),
    ...limitedExtras(store, limited),
  };
}

function limitedPutLarge({ putLarge }: ObjectStore, limited: Limited): Partial<ObjectStore> {
  if (putLarge === undefined) return {};
  return { putLarge: (key, body, options) => limited(options, () => putLarge(key, body, options)) };
}

function limitedExtras(store: ObjectStore, limited: Limited): Partial<ObjectStore> {
  const { lock, versions, connection, probe } = store;
  return {
    ...(lock === undefined
      ? {}
      : {
          lock: {
            retentionOf: (key, wait) => limited(wait, () => lock.retentionOf(key, wait)),
            extend: (key, until, wait) => limited(wait, () => lock.extend(key, until, wait)),
          },
        }),
    ...(versions === undefined
      ? {}
      : {
          versions: {
            ...versions,
            list: (prefix, wait) => limitedList(versions.list(prefix, wait), wait, limited),
            get: (key, version, wait) => limited(wait, () => versions.get(key, version, wait)),
            getRange: (key, version, range, wait) =>
              limited(wait, () => versions.getRange(key, version, range, wait)),
          },
        }),
    ...(connection === undefined ? {} : { connection }),
    ...(probe === undefined ? {} : { probe: (wait) => limited(wait, () => probe(wait)) }),
  };
}

type Limited = <Result>(
  options: WaitOptions | undefined,
  work: () => Promise<Result>,
) => Promise<Result>;

/** A slot for each step and none in between: who lists and reads what is listed must not wait for itself. */
async function* limitedList<Found>(
  objects: AsyncIterable<Found>,
  options: WaitOptions | undefined,
  limited: Limited,
): AsyncIterable<Found> {
  const iterator = objects[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await limited(options, () => iterator.next());
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    await iterator.return?.();
  }
}

interface Slots {
  acquire(signal: AbortSignal | undefined): Promise<void>;
  release(): void;
}

function createSlots(count: number): Slots {
  let free = count;
  const waiting = new Set<() => void>();
  return {
    acquire: async (signal) => {
      throwIfAborted(signal);
      if (free > 0) {
        free -= 1;
        return;
      }
      await waitForTurn(waiting, signal);
    },
    release: () => {
      const next = waiting.values().next().value;
      if (next === undefined) free += 1;
      else {
        // The slot goes straight to who waited longest.
        waiting.delete(next);
        next();
      }
    },
  };
}

async function waitForTurn(
  waiting: Set<() => void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const turn = Promise.withResolvers<boolean>();
  const onTurn = (): void => turn.resolve(true);
  const onAbort = (): void => {
    if (waiting.delete(onTurn)) turn.resolve(false);
  };
  waiting.add(onTurn);
  signal?.addEventListener("abort", onAbort, { once: true });
  const mine = await turn.promise;
  signal?.removeEventListener("abort", onAbort);
  if (!mine) throwIfAborted(signal);
}
