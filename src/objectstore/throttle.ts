import type { Bytes } from "../kernel/index.ts";
import type { Bucket } from "./bucket.ts";
import { totalBytes } from "./keys.ts";
import type { ObjectStore, WaitOptions } from "./object-store.ts";
import type { Rates } from "./rates.ts";

/** What a page of a listing holds at most: so many more make one more call. */
const LISTED_PER_CALL = 1000;

/**
 * Rates for drivers that do not hold them themselves. Bytes are paid before they move, and after a `get`, whose size is
 * known only then: the next one waits for it. Within one call the driver moves them as fast as the line allows.
 */
export function withThrottle(store: ObjectStore, rates: Rates): ObjectStore {
  const { up, down, calls } = rates;
  const called = async <Result>(
    wait: WaitOptions | undefined,
    work: () => Promise<Result>,
  ): Promise<Result> => {
    await calls.take(1, wait?.signal);
    return await work();
  };
  return {
    location: store.location,
    put: async (key, body, options) => {
      await up.take(totalBytes(body), options?.signal);
      await called(options, () => store.put(key, body, options));
    },
    ...throttledPutLarge(store, rates, called),
    get: async (key, wait) => {
      const bytes = await called(wait, () => store.get(key, wait));
      await down.take(bytes.byteLength, wait?.signal);
      return bytes;
    },
    getRange: async (key, range, wait) => {
      await down.take(range.length, wait?.signal);
      return await called(wait, () => store.getRange(key, range, wait));
    },
    stat: (key, wait) => called(wait, () => store.stat(key, wait)),
    list: (prefix, wait) => throttledList(store.list(prefix, wait), calls, wait),
    remove: (key, wait) => called(wait, () => store.remove(key, wait)),
    ...throttledExtras(store, rates, called),
  };
}

type Called = <Result>(
  wait: WaitOptions | undefined,
  work: () => Promise<Result>,
) => Promise<Result>;

/** Paid for piece by piece, as it moves. */
function throttledPutLarge(
  { putLarge }: ObjectStore,
  { up }: Rates,
  called: Called,
): Partial<ObjectStore> {
  if (putLarge === undefined) return {};
  return {
    putLarge: (key, body, options) => {
      const open = async function* (): AsyncGenerator<Bytes, void, undefined> {
        for await (const part of body.open()) {
          await up.take(part.byteLength, options?.signal);
          yield part;
        }
      };
      return called(options, () => putLarge(key, { ...body, open }, options));
    },
  };
}

function throttledExtras(
  { lock, versions, connection, probe }: ObjectStore,
  { down, calls }: Rates,
  called: Called,
): Partial<ObjectStore> {
  return {
    ...(lock === undefined
      ? {}
      : {
          lock: {
            retentionOf: (key, wait) => called(wait, () => lock.retentionOf(key, wait)),
            extend: (key, retention, wait) => called(wait, () => lock.extend(key, retention, wait)),
          },
        }),
    ...(versions === undefined
      ? {}
      : {
          versions: {
            ...versions,
            list: (prefix, wait) => throttledList(versions.list(prefix, wait), calls, wait),
            get: async (key, version, wait) => {
              const bytes = await called(wait, () => versions.get(key, version, wait));
              await down.take(bytes.byteLength, wait?.signal);
              return bytes;
            },
            getRange: async (key, version, range, wait) => {
              await down.take(range.length, wait?.signal);
              return await called(wait, () => versions.getRange(key, version, range, wait));
            },
          },
        }),
    ...(connection === undefined ? {} : { connection }),
    ...(probe === undefined ? {} : { probe: (wait) => called(wait, () => probe(wait)) }),
  };
}

async function* throttledList<Found>(
  objects: AsyncIterable<Found>,
  calls: Bucket,
  wait: WaitOptions | undefined,
): AsyncIterable<Found> {
  await calls.take(1, wait?.signal);
  let count = 0;
  for await (const found of objects) {
    count += 1;
    if (count % LISTED_PER_CALL === 0) await calls.take(1, wait?.signal);
    yield found;
  }
}
