import type { ObjectStore, WaitOptions } from "./object-store.ts";

const BESIDE = "sparekeep/";

/**
 * Records and journal of a repository in a second store, for a main store that has no place for them (rest:). Everything
 * below `sparekeep/` lives in the second one, everything else in the main one; nothing else of the second one is seen.
 */
export function withStoreBeside(main: ObjectStore, beside: ObjectStore): ObjectStore {
  const storeOf = (key: string): ObjectStore => (key.startsWith(BESIDE) ? beside : main);
  return {
    location: main.location,
    put: (key, body, options) => storeOf(key).put(key, body, options),
    get: (key, wait) => storeOf(key).get(key, wait),
    getRange: (key, range, wait) => storeOf(key).getRange(key, range, wait),
    stat: (key, wait) => storeOf(key).stat(key, wait),
    list: (prefix, wait) =>
      prefix === "" ? listBoth(main, beside, wait) : storeOf(prefix).list(prefix, wait),
    remove: (key, wait) => storeOf(key).remove(key, wait),
    ...(main.lock === undefined ? {} : { lock: main.lock }),
    ...(main.versions === undefined ? {} : { versions: main.versions }),
    ...(main.connection === undefined ? {} : { connection: main.connection }),
    ...(main.probe === undefined ? {} : { probe: main.probe }),
  };
}

async function* listBoth(
  main: ObjectStore,
  beside: ObjectStore,
  wait: WaitOptions | undefined,
): ReturnType<ObjectStore["list"]> {
  for await (const found of main.list("", wait)) {
    // A main store that can hold them may hold old ones: what is shown is what get() gives.
    if (!found.key.startsWith(BESIDE)) yield found;
  }
  yield* beside.list(BESIDE, wait);
}
