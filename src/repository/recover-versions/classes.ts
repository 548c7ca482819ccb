import { hash } from "node:crypto";
import { isHexId } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";

/** What a key is, in the order in which it is put back: no snapshot is there before what it refers to. */
export const CLASSES = ["packs", "indexes", "keys", "records", "other", "snapshots"] as const;

export type ObjectClass = (typeof CLASSES)[number];

/** `undefined` of a writer's lock: those are nobody's past, and are left alone. */
export function classOf(key: string): ObjectClass | undefined {
  if (key === "config") return "keys";
  switch (key.slice(0, key.indexOf("/"))) {
    case "locks":
      return undefined;
    case "data":
      return "packs";
    case "index":
      return "indexes";
    case "keys":
      return "keys";
    case "snapshots":
      return "snapshots";
    case "sparekeep":
      return "records";
    default:
      return "other";
  }
}

/** The SHA-256 that the content must have; `undefined` where the name does not say it. */
export function hashNameOf(key: string): string | undefined {
  const kind = classOf(key);
  if (kind === undefined || kind === "other") return undefined;
  const id = key.slice(key.lastIndexOf("/") + 1);
  return isHexId(id) ? id : undefined;
}

export function isNamed(key: string, bytes: Bytes): boolean {
  const id = hashNameOf(key);
  return id === undefined || hash("sha256", bytes, "hex") === id;
}
