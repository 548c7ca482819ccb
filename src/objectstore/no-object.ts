import { objectStoreError } from "./errors.ts";

export function noObject(key: string, version?: string): Error {
  return objectStoreError("not_found", {
    message: version === undefined ? `no object ${key}` : `no version ${version} of ${key}`,
    subject: version === undefined ? { key } : { key, version },
  });
}
