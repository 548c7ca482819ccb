import { isHexId } from "../kernel/index.ts";
import { parseKey, parsePrefix } from "./keys.ts";

/**
 * The protocol knows `config` and files named by an id in five folders, packs in one flat folder: `data/2b/2b9f…` is
 * `data/2b9f…` on the wire. Any other key is held by no such server.
 */
const FLAT = ["keys", "locks", "snapshots", "index"] as const;
const PACKS = "data" as const;

export type RestType = (typeof FLAT)[number] | typeof PACKS;

/** Relative to the repository's URL; `undefined` for a key that the protocol has no place for. */
export function restPath(key: string): string | undefined {
  const [folder = "", second = "", third, ...rest] = parseKey(key);
  if (key === "config") return key;
  if (rest.length > 0) return undefined;
  if (folder === PACKS) {
    if (third === undefined || !isHexId(third) || !third.startsWith(second)) return undefined;
    return second.length === 2 ? `${PACKS}/${third}` : undefined;
  }
  const known = FLAT.some((type) => type === folder);
  return known && third === undefined && isHexId(second) ? key : undefined;
}

export function restKey(type: RestType, name: string): string | undefined {
  if (!isHexId(name)) return undefined;
  return type === PACKS ? `${PACKS}/${name.slice(0, 2)}/${name}` : `${type}/${name}`;
}

/** What is to be asked for a listing of `prefix`; what comes back is filtered by it. */
export function restTypes(prefix: string): {
  readonly types: readonly RestType[];
  config: boolean;
} {
  const [folder, second] = parsePrefix(prefix);
  const all: readonly RestType[] = [...FLAT, PACKS];
  if (folder === undefined) return { types: all, config: true };
  const types = all.filter((type) => type === folder);
  return { types: second === undefined || folder === PACKS ? types : [], config: false };
}
