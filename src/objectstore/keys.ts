import { objectStoreError } from "./errors.ts";

const PART = /^[A-Za-z0-9._-]+$/;
/** NAME_MAX of every file system in use. */
const MAX_PART_LENGTH = 255;
/** S3 allows 1024 bytes of key; the rest is for the prefix in front of it. */
const MAX_KEY_LENGTH = 900;

export function isKeyPart(part: string): boolean {
  return PART.test(part) && part !== "." && part !== ".." && part.length <= MAX_PART_LENGTH;
}

export function isKey(key: string): boolean {
  return key.length <= MAX_KEY_LENGTH && key.split("/").every(isKeyPart);
}

/** The key's parts; throws `invalid_key`. Nothing that passes can name a place outside the store. */
export function parseKey(key: string): readonly string[] {
  if (!isKey(key)) {
    throw objectStoreError("invalid_key", {
      message: `key ${JSON.stringify(key)} outside the allowed alphabet`,
      subject: { key },
    });
  }
  return key.split("/");
}

/** The folder's parts, none for `""`. */
export function parsePrefix(prefix: string): readonly string[] {
  if (prefix === "") return [];
  if (!prefix.endsWith("/") || !isKey(prefix.slice(0, -1))) {
    throw objectStoreError("invalid_key", {
      message: `prefix ${JSON.stringify(prefix)} is neither empty nor a folder with its trailing slash`,
      subject: { prefix },
    });
  }
  return prefix.slice(0, -1).split("/");
}

export function totalBytes(body: readonly { readonly byteLength: number }[]): number {
  let sum = 0;
  for (const part of body) sum += part.byteLength;
  return sum;
}
