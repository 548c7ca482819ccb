import { AppError, isAbort, kernelError } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
const DENIED = new Set(["EACCES", "EPERM", "EROFS"]);
/** A file where a folder should be, or the other way round: in both cases there is no such object. */
const MISSING = new Set(["ENOENT", "ENOTDIR", "EISDIR"]);

export function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}

export function isMissing(thrown: unknown): boolean {
  return MISSING.has(errnoOf(thrown) ?? "");
}

function denial(errno: string, what: string): { message: string; hint?: string } {
  if (errno !== "EROFS") return { message: `no right to ${what}` };
  return {
    message: `read-only file system, no way to ${what}`,
    hint: "Mount it for writing; after an error of the disk the system may have mounted it read only.",
  };
}

/** Wraps what the file system threw, once, where it enters. What is not known to be final may pass: `unavailable`. */
export function fsError(thrown: unknown, action: string, key: string): AppError {
  if (thrown instanceof AppError) return thrown;
  if (isAbort(thrown)) return kernelError("cancelled", { message: "cancelled", cause: thrown });
  const errno = errnoOf(thrown) ?? "";
  const detail = { subject: { key, errno }, cause: thrown };
  if (MISSING.has(errno)) {
    return objectStoreError("not_found", { ...detail, message: `no object ${key}` });
  }
  if (errno === "EEXIST") {
    return objectStoreError("exists", { ...detail, message: `object ${key} already there` });
  }
  if (FULL.has(errno)) {
    return objectStoreError("full", { ...detail, message: `no space left to ${action} ${key}` });
  }
  if (DENIED.has(errno)) {
    return objectStoreError("denied", { ...detail, ...denial(errno, `${action} ${key}`) });
  }
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return objectStoreError("unavailable", { ...detail, message: `${action} of ${key}: ${reason}` });
}
