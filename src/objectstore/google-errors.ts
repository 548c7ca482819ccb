import type { AppError } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { statusError } from "./http.ts";
import type { HttpAnswer } from "./http.ts";

/** Reasons that Google gives with 403 for what passes. */
const PASSING = new Set(["rateLimitExceeded", "userRateLimitExceeded"]);
const FULL = new Set(["quotaExceeded", "storageQuotaExceeded"]);

/** By status, and by the `reason` in Google's body where one status means several things. */
export function googleError(
  answer: HttpAnswer,
  what: string,
  subject: Readonly<Record<string, string>>,
): AppError {
  const { status } = answer;
  const { reason, message } = said(answer);
  const detail = {
    message: `${what} answered with ${status}${reason === undefined ? "" : ` (${reason})`}`,
    subject: { ...subject, status },
  };
  if (status === 412) return objectStoreError("exists", detail);
  if (status === 403 && reason !== undefined && PASSING.has(reason)) {
    return objectStoreError("unavailable", detail);
  }
  if (status === 403 && reason !== undefined && FULL.has(reason)) {
    return objectStoreError("full", detail);
  }
  if (status === 400) {
    // Bytes that do not match their checksum were spoilt on the way; anything else will be refused again.
    const spoilt = /\b(?:md5|crc32c|hash)/i.test(message ?? "");
    return objectStoreError(spoilt ? "unavailable" : "denied", detail);
  }
  return statusError(answer, what, subject);
}

/** `reason` is one of Google's words; the message is foreign text, looked at and not repeated. */
function said({ body }: HttpAnswer): { readonly reason?: string; readonly message?: string } {
  const error = fieldOf(parse(body), "error");
  const list = fieldOf(error, "errors");
  const first: unknown = Array.isArray(list) ? list[0] : undefined;
  const reason = fieldOf(first, "reason");
  const message = fieldOf(error, "message");
  return {
    ...(typeof reason === "string" && /^[A-Za-z]{1,60}$/.test(reason) ? { reason } : {}),
    ...(typeof message === "string" ? { message } : {}),
  };
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString()) as unknown;
  } catch {
    // Downloads are refused in plain text: then the status says all.
    return undefined;
  }
}

export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return new Map(Object.entries(value)).get(name);
}
