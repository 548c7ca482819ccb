import { throwIfAborted } from "../kernel/index.ts";
import type { Bytes, Clock } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { parseKey, parsePrefix, totalBytes } from "./keys.ts";
import type {
  ByteRange,
  ObjectStat,
  ObjectStore,
  PutOptions,
  WaitOptions,
} from "./object-store.ts";

interface StoredObject {
  readonly bytes: Bytes;
  readonly modifiedAt: Date;
}

export interface MemoryStore extends ObjectStore {
  /** An independent store that holds what this one holds now: what a crash at this moment leaves. */
  fork(): MemoryStore;
}

export interface MemoryStoreOptions {
  readonly clock: Pick<Clock, "now">;
  /** Puts beyond it fail with `full`, as on a full disk. */
  readonly capacityBytes?: number;
}

/** For tests and for pipelines that need no disk. Keeps copies, so that callers may reuse their buffers. */
export function createMemoryStore(options: MemoryStoreOptions): MemoryStore {
  return storeOver(new Map(), options);
}

function storeOver(objects: Map<string, StoredObject>, options: MemoryStoreOptions): MemoryStore {
  return {
    location: "memory:",
    fork: () => storeOver(new Map(objects), options),
    put: async (key, body, put) => putObject(objects, options, key, body, put),
    get: async (key, wait) => Buffer.from(existing(objects, key, wait).bytes),
    getRange: async (key, range, wait) => readRange(key, existing(objects, key, wait).bytes, range),
    stat: async (key, wait) => {
      begin(key, wait);
      const object = objects.get(key);
      return object === undefined ? undefined : statOf(key, object);
    },
    list: (prefix, wait) => listObjects(objects, prefix, wait),
    remove: async (key, wait) => {
      begin(key, wait);
      objects.delete(key);
    },
  };
}

function begin(key: string, options: WaitOptions | undefined): void {
  throwIfAborted(options?.signal);
  parseKey(key);
}

function existing(
  objects: ReadonlyMap<string, StoredObject>,
  key: string,
  options: WaitOptions | undefined,
): StoredObject {
  begin(key, options);
  const object = objects.get(key);
  if (object === undefined) {
    throw objectStoreError("not_found", { message: `no object ${key}`, subject: { key } });
  }
  return object;
}

function putObject(
  objects: Map<string, StoredObject>,
  options: MemoryStoreOptions,
  key: string,
  body: readonly Bytes[],
  put: PutOptions | undefined,
): void {
  begin(key, put);
  if (put?.ifAbsent === true && objects.has(key)) {
    throw objectStoreError("exists", { message: `object ${key} already there`, subject: { key } });
  }
  const usedBytes = totalBytes(Array.from(objects.values(), (object) => object.bytes));
  const freedBytes = objects.get(key)?.bytes.byteLength ?? 0;
  const sizeBytes = totalBytes(body);
  if (usedBytes - freedBytes + sizeBytes > (options.capacityBytes ?? Infinity)) {
    throw objectStoreError("full", {
      message: `no space left for object ${key}`,
      subject: { key, sizeBytes },
    });
  }
  objects.set(key, { bytes: Buffer.concat(body), modifiedAt: options.clock.now() });
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

function statOf(key: string, object: StoredObject): ObjectStat {
  return { key, sizeBytes: object.bytes.byteLength, modifiedAt: object.modifiedAt };
}

async function* listObjects(
  objects: ReadonlyMap<string, StoredObject>,
  prefix: string,
  options: WaitOptions | undefined,
): AsyncIterable<ObjectStat> {
  parsePrefix(prefix);
  for (const [key, object] of objects) {
    throwIfAborted(options?.signal);
    if (key.startsWith(prefix)) yield statOf(key, object);
  }
}
