import { throwIfAborted } from "../kernel/index.ts";
import type { Bytes, Clock } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { parseKey, parsePrefix, totalBytes } from "./keys.ts";
import { deleteVersion, memoryLock, memoryVersions, shown } from "./memory-versions.ts";
import type { DeleteVersionOptions, MemoryObjects, MemoryVersion } from "./memory-versions.ts";
import { noObject } from "./no-object.ts";
import type {
  ByteRange,
  ObjectStat,
  ObjectStore,
  PutOptions,
  WaitOptions,
} from "./object-store.ts";

export interface MemoryStore extends ObjectStore {
  /** An independent store that holds what this one holds now: what a crash at this moment leaves. */
  fork(): MemoryStore;
  /** For good, as an intruder with that right would; `denied` while a lock holds. */
  deleteVersion(key: string, version: string, options?: DeleteVersionOptions): Promise<void>;
}

export interface MemoryStoreOptions {
  readonly clock: Pick<Clock, "now">;
  /** Puts beyond it fail with `full`, as on a full disk. */
  readonly capacityBytes?: number;
  /** Older versions stay; a removal leaves a mark. */
  readonly versioned?: boolean;
  /** Versions can be locked, by this store's clock; implies `versioned`. */
  readonly objectLock?: boolean;
  /** Whoever asks may pass over governance mode. */
  readonly mayBypassGovernance?: boolean;
}

interface State {
  readonly objects: MemoryObjects;
  made: number;
}

/** For tests and for pipelines that need no disk. Keeps copies, so that callers may reuse their buffers. */
export function createMemoryStore(options: MemoryStoreOptions): MemoryStore {
  return storeOver({ objects: new Map(), made: 0 }, options);
}

function storeOver(state: State, options: MemoryStoreOptions): MemoryStore {
  const { objects } = state;
  return {
    location: "memory:",
    fork: () => storeOver({ ...state, objects: new Map(objects) }, options),
    put: async (key, body, put) => putObject(state, options, key, body, put),
    get: async (key, wait) => Buffer.from(existing(objects, key, wait)),
    getRange: async (key, range, wait) => readRange(key, existing(objects, key, wait), range),
    stat: async (key, wait) => {
      begin(key, wait);
      const object = shown(objects, key);
      return object === undefined ? undefined : statOf(key, object);
    },
    list: (prefix, wait) => listObjects(objects, prefix, wait),
    remove: async (key, wait) => {
      begin(key, wait);
      removeObject(state, options, key);
    },
    ...(keepsVersions(options) ? { versions: memoryVersions(objects, readRange) } : {}),
    ...(options.objectLock === true ? { lock: memoryLock(objects) } : {}),
    deleteVersion: async (key, version, { bypassGovernance = false } = {}) => {
      const mayBypass = bypassGovernance && options.mayBypassGovernance === true;
      deleteVersion(objects, { key, version, mayBypass }, options.clock);
    },
  };
}

function keepsVersions(options: MemoryStoreOptions): boolean {
  return options.versioned === true || options.objectLock === true;
}

function begin(key: string, options: WaitOptions | undefined): void {
  throwIfAborted(options?.signal);
  parseKey(key);
}

function existing(objects: MemoryObjects, key: string, options: WaitOptions | undefined): Bytes {
  begin(key, options);
  const object = shown(objects, key);
  if (object === undefined) throw noObject(key);
  return object.bytes;
}

function putObject(
  state: State,
  options: MemoryStoreOptions,
  key: string,
  body: readonly Bytes[],
  put: PutOptions | undefined,
): void {
  begin(key, put);
  const { objects } = state;
  const replaced = shown(objects, key);
  if (put?.ifAbsent === true && replaced !== undefined) {
    throw objectStoreError("exists", { message: `object ${key} already there`, subject: { key } });
  }
  const freedBytes = keepsVersions(options) ? 0 : (replaced?.bytes.byteLength ?? 0);
  const sizeBytes = totalBytes(body);
  const { capacityBytes = Infinity } = options;
  if (capacityBytes !== Infinity && usedBytes(objects) - freedBytes + sizeBytes > capacityBytes) {
    throw objectStoreError("full", {
      message: `no space left for object ${key}`,
      subject: { key, sizeBytes },
    });
  }
  addVersion(state, options, key, { bytes: Buffer.concat(body) });
}

function usedBytes(objects: MemoryObjects): number {
  let sum = 0;
  for (const versions of objects.values()) {
    for (const { bytes } of versions) sum += bytes?.byteLength ?? 0;
  }
  return sum;
}

function removeObject(state: State, options: MemoryStoreOptions, key: string): void {
  if (!keepsVersions(options)) state.objects.delete(key);
  else if (shown(state.objects, key) !== undefined) addVersion(state, options, key, {});
}

function addVersion(
  state: State,
  options: MemoryStoreOptions,
  key: string,
  content: { readonly bytes?: Bytes },
): void {
  state.made += 1;
  const version: MemoryVersion = {
    ...content,
    version: `v${state.made}`,
    modifiedAt: options.clock.now(),
  };
  const older = keepsVersions(options) ? (state.objects.get(key) ?? []) : [];
  state.objects.set(key, [version, ...older]);
}

function readRange(key: string, bytes: Bytes, range: ByteRange): Bytes {
  if (range.offset + range.length > bytes.byteLength) throw truncated(key, range, bytes.byteLength);
  return Buffer.from(bytes.subarray(range.offset, range.offset + range.length));
}

export function truncated(key: string, range: ByteRange, sizeBytes: number): Error {
  return objectStoreError("truncated", {
    message: `object ${key} ends at byte ${sizeBytes}, before byte ${range.offset + range.length}`,
    subject: { key, sizeBytes, offset: range.offset, length: range.length },
  });
}

function statOf(key: string, object: { bytes: Bytes; modifiedAt: Date }): ObjectStat {
  return { key, sizeBytes: object.bytes.byteLength, modifiedAt: object.modifiedAt };
}

async function* listObjects(
  objects: MemoryObjects,
  prefix: string,
  options: WaitOptions | undefined,
): AsyncIterable<ObjectStat> {
  parsePrefix(prefix);
  for (const key of objects.keys()) {
    throwIfAborted(options?.signal);
    const object = key.startsWith(prefix) ? shown(objects, key) : undefined;
    if (object !== undefined) yield statOf(key, object);
  }
}
