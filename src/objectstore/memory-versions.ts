import { throwIfAborted } from "../kernel/index.ts";
import type { Bytes, Clock } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { parseKey, parsePrefix } from "./keys.ts";
import { noObject } from "./no-object.ts";
import type {
  LockMode,
  ObjectLock,
  ObjectVersion,
  ObjectVersions,
  Retention,
  WaitOptions,
} from "./object-store.ts";

/** One version of a key; without bytes it is a mark of removal. Never changed: a lock replaces it. */
export interface MemoryVersion {
  readonly version: string;
  readonly bytes?: Bytes;
  readonly modifiedAt: Date;
  readonly retention?: Retention;
}

/** By key, the newest first; never an empty list. */
export type MemoryObjects = Map<string, readonly MemoryVersion[]>;

export interface DeleteVersionOptions {
  /** Asks for the right to pass over governance mode; granted only where the store was made with it. */
  readonly bypassGovernance?: boolean;
}

/** What the key shows now: nothing below a mark of removal. */
export function shown(
  objects: MemoryObjects,
  key: string,
): (MemoryVersion & { readonly bytes: Bytes }) | undefined {
  const newest = objects.get(key)?.[0];
  return newest?.bytes === undefined ? undefined : { ...newest, bytes: newest.bytes };
}

export function memoryVersions(
  objects: MemoryObjects,
  readRange: (
    key: string,
    bytes: Bytes,
    range: { readonly offset: number; readonly length: number },
  ) => Bytes,
): ObjectVersions {
  const bytesOf = (key: string, version: string, wait: WaitOptions | undefined): Bytes => {
    throwIfAborted(wait?.signal);
    parseKey(key);
    const bytes = objects.get(key)?.find((found) => found.version === version)?.bytes;
    if (bytes === undefined) throw noObject(key, version);
    return bytes;
  };
  return {
    list: (prefix, wait) => listVersions(objects, prefix, wait),
    get: async (key, version, wait) => Buffer.from(bytesOf(key, version, wait)),
    getRange: async (key, version, range, wait) =>
      readRange(key, bytesOf(key, version, wait), range),
  };
}

async function* listVersions(
  objects: MemoryObjects,
  prefix: string,
  options: WaitOptions | undefined,
): AsyncIterable<ObjectVersion> {
  parsePrefix(prefix);
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  for (const key of keys) {
    const newest = objects.get(key)?.[0];
    for (const { version, bytes, modifiedAt } of objects.get(key) ?? []) {
      throwIfAborted(options?.signal);
      yield {
        key,
        version,
        sizeBytes: bytes?.byteLength ?? 0,
        modifiedAt,
        newest: version === newest?.version,
        removed: bytes === undefined,
      };
    }
  }
}

export function memoryLock(objects: MemoryObjects): ObjectLock {
  const newest = (key: string, wait: WaitOptions | undefined): MemoryVersion => {
    throwIfAborted(wait?.signal);
    parseKey(key);
    const found = shown(objects, key);
    if (found === undefined) throw noObject(key);
    return found;
  };
  return {
    retentionOf: async (key, wait) => newest(key, wait).retention,
    extend: async (key, retention, wait) => {
      const locked = { ...newest(key, wait) };
      const longer = longerOf(locked.retention, retention);
      objects.set(key, [{ ...locked, retention: longer }, ...(objects.get(key) ?? []).slice(1)]);
    },
  };
}

/** Neither a mode nor a time is ever weakened. */
function longerOf(there: Retention | undefined, wanted: Retention): Retention {
  if (there === undefined) return wanted;
  const compliance = there.mode === "compliance" || wanted.mode === "compliance";
  const mode: LockMode = compliance ? "compliance" : "governance";
  return { mode, until: there.until > wanted.until ? there.until : wanted.until };
}

/** For good, as whoever holds the right to delete versions may; a lock that holds is `denied`. */
export function deleteVersion(
  objects: MemoryObjects,
  { key, version, mayBypass }: { key: string; version: string; mayBypass: boolean },
  clock: Pick<Clock, "now">,
): void {
  const versions = objects.get(key) ?? [];
  const retention = versions.find((found) => found.version === version)?.retention;
  const holds = retention !== undefined && retention.until > clock.now();
  if (holds && (retention.mode === "compliance" || !mayBypass)) {
    throw objectStoreError("denied", {
      message: `version ${version} of ${key} locked until ${retention.until.toISOString()}`,
      subject: { key, version },
    });
  }
  const left = versions.filter((found) => found.version !== version);
  if (left.length === 0) objects.delete(key);
  else objects.set(key, left);
}
