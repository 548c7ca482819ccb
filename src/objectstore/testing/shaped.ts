import { createHash } from "node:crypto";
import { parseKey, parsePrefix } from "../keys.ts";
import type { ObjectStat, ObjectStore } from "../object-store.ts";

/**
 * The contract's arbitrary keys, for a store that holds those of a repository alone: each is given the shape of one
 * (`data/2b/2b9f…`, `index/9c…`), one to one and with the same folders. Nothing else is changed, what is listed and was
 * not put through here fails.
 */
export function withRepositoryKeys(inner: ObjectStore): ObjectStore {
  const original = new Map<string, string>();
  const shape = (key: string): string => {
    const shaped = shapeOf(parseKey(key));
    original.set(shaped, key);
    return shaped;
  };
  return {
    location: inner.location,
    put: async (key, body, options) => inner.put(shape(key), body, options),
    get: async (key, wait) => inner.get(shape(key), wait),
    getRange: async (key, range, wait) => inner.getRange(shape(key), range, wait),
    stat: async (key, wait) => {
      const found = await inner.stat(shape(key), wait);
      return found === undefined ? undefined : { ...found, key };
    },
    list: async function* (prefix, wait): AsyncIterable<ObjectStat> {
      for await (const found of inner.list(shapeOfPrefix(prefix), wait)) {
        const key = original.get(found.key);
        if (key === undefined) throw new Error(`${found.key} was never put`);
        if (key.startsWith(prefix)) yield { ...found, key };
      }
    },
    remove: async (key, wait) => inner.remove(shape(key), wait),
    ...(inner.connection === undefined ? {} : { connection: inner.connection }),
  };
}

const FLAT = ["keys", "locks", "snapshots", "index"];

function shapeOf(parts: readonly string[]): string {
  const [folder = "", second = ""] = parts;
  const id = createHash("sha256").update(parts.join("/")).digest("hex");
  if (parts.length === 1) return folder === "config" ? folder : `keys/${id}`;
  if (folder === "data") {
    const fan = /^[0-9a-f]{2}$/.test(second) ? second : id.slice(0, 2);
    return `data/${fan}/${fan}${id.slice(2)}`;
  }
  return `${FLAT.includes(folder) ? folder : "snapshots"}/${id}`;
}

function shapeOfPrefix(prefix: string): string {
  const [folder, second = ""] = parsePrefix(prefix);
  if (folder === undefined || folder === "data") {
    return /^[0-9a-f]{2}$/.test(second) ? `data/${second}/` : prefix;
  }
  return prefix;
}
