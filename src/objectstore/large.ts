import { createHash } from "node:crypto";
import { equalBytes, MIB, throwIfAborted } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import type { LargeBody, ObjectStore, PutOptions, WaitOptions } from "./object-store.ts";

/** What a store that takes no streams is given at once. */
const AT_ONCE_BYTES = 128 * MIB;
const READ_BYTES = 8 * MIB;

/** As `put`, for what does not fit into memory. */
export async function putLarge(
  store: ObjectStore,
  key: string,
  body: LargeBody,
  options: PutOptions = {},
): Promise<void> {
  if (store.putLarge !== undefined) return store.putLarge(key, body, options);
  if (body.sizeBytes > AT_ONCE_BYTES) throw tooLarge(key, body.sizeBytes);
  const parts: Bytes[] = [];
  for await (const part of body.open()) parts.push(part);
  await store.put(key, parts, options);
}

/** Piece by piece, of an object of so many bytes; each is asked for when the one before was taken. */
export async function* readLarge(
  store: Pick<ObjectStore, "getRange">,
  key: string,
  sizeBytes: number,
  options: WaitOptions = {},
): AsyncGenerator<Bytes, void, undefined> {
  for (let offset = 0; offset < sizeBytes; offset += READ_BYTES) {
    throwIfAborted(options.signal);
    const length = Math.min(READ_BYTES, sizeBytes - offset);
    yield await store.getRange(key, { offset, length }, options);
  }
}

/** Whether these very bytes lie there: a write whose answer was lost may have arrived. */
export async function holdsLarge(
  store: ObjectStore,
  key: string,
  body: LargeBody,
  options: WaitOptions = {},
): Promise<boolean> {
  const found = await store.stat(key, options);
  if (found?.sizeBytes !== body.sizeBytes) return false;
  const md5 = createHash("md5");
  for await (const part of readLarge(store, key, body.sizeBytes, options)) md5.update(part);
  return equalBytes(md5.digest(), body.md5);
}

export function tooLarge(key: string, sizeBytes: number): Error {
  return objectStoreError("too_large", {
    message: `object ${key} of ${sizeBytes} bytes, more than this store takes at once`,
    subject: { key, sizeBytes },
  });
}
