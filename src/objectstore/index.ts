/**
 * Bytes by key: the interface, its drivers and wrappers. Imports only the kernel. docs/spec/objectstore.md
 *
 * A *driver* (fs, memory) speaks to one kind of store and wraps its errors once, where they enter. A *wrapper* is an
 * ObjectStore around another one and adds one habit. Every driver and wrapper passes the suite of `testing/`.
 *
 *   put: 1. refuse a key outside the alphabet
 *        2. write all bytes where no reader looks, compare the size, make them durable
 *        3. give them their name in one step, make the name durable
 *   get: the object as it was put, or an error that says whether trying again can help (its kind)
 */
export type * from "./object-store.ts";
export { objectStoreError } from "./errors.ts";
export { createFsStore } from "./fs.ts";
export type { FsStoreOptions } from "./fs.ts";
export { createMemoryStore } from "./memory.ts";
export type { MemoryStore, MemoryStoreOptions } from "./memory.ts";
export type { DeleteVersionOptions } from "./memory-versions.ts";
export { openObjectStore } from "./open.ts";
export type { OpenStoreContext } from "./drivers.ts";
export { probeStore } from "./probe.ts";
export { STORAGE_CLASSES, findStorageClass } from "./storage-class.ts";
export type { StorageClass } from "./storage-class.ts";
export { putLarge, readLarge } from "./large.ts";
export { withRetry } from "./retry.ts";
export type { RetryOptions } from "./retry.ts";
export { readOnly } from "./readonly.ts";
export { withLimit } from "./limit.ts";
export { asOf, requireVersions } from "./as-of.ts";
export { keyHistories } from "./key-history.ts";
export type { KeyHistory } from "./key-history.ts";
export { createBucket } from "./bucket.ts";
export type { Bucket } from "./bucket.ts";
export { createRates } from "./rates.ts";
export type { Rates } from "./rates.ts";
export { withThrottle } from "./throttle.ts";
export { withStoreBeside } from "./beside.ts";
export type {
  AccessKey,
  GoogleSettings,
  RestSettings,
  S3Settings,
  ServerSideEncryption,
  StoreLimits,
  StoreSettings,
  TlsSettings,
} from "./settings.ts";
