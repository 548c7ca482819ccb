import { objectStoreError } from "./errors.ts";
import type { ObjectStore } from "./object-store.ts";

/** Reads pass, writes are refused before they reach the store. */
export function readOnly(store: ObjectStore): ObjectStore {
  const refuse = async (action: string, key: string): Promise<never> => {
    throw objectStoreError("denied", {
      message: `${action} of ${key} at a store opened for reading only`,
      subject: { key },
      hint: "Open the store for writing.",
    });
  };
  return {
    location: store.location,
    put: (key) => refuse("write", key),
    putLarge: (key) => refuse("write", key),
    get: (key, options) => store.get(key, options),
    getRange: (key, range, options) => store.getRange(key, range, options),
    stat: (key, options) => store.stat(key, options),
    list: (prefix, options) => store.list(prefix, options),
    remove: (key) => refuse("removal", key),
    ...(store.lock === undefined
      ? {}
      : {
          lock: {
            retentionOf: store.lock.retentionOf.bind(store.lock),
            extend: (key: string) => refuse("lock", key),
          },
        }),
    ...(store.versions === undefined ? {} : { versions: store.versions }),
    ...(store.connection === undefined ? {} : { connection: store.connection }),
  };
}
