import type { AppError, Bytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import type { HttpAnswer } from "./http.ts";
import { truncated } from "./memory.ts";
import type { ByteRange, ObjectStat } from "./object-store.ts";

export function rangeHeader({ offset, length }: ByteRange): Readonly<Record<string, string>> {
  return { range: `bytes=${offset}-${offset + length - 1}` };
}

/** Exactly the range that was asked for, from whatever the server made of it. */
export function rangeOf(
  answer: HttpAnswer,
  key: string,
  range: ByteRange,
  errorOf: (
    answer: HttpAnswer,
    what: string,
    subject: Readonly<Record<string, string>>,
  ) => AppError,
): Bytes {
  const { offset, length } = range;
  const { status, body, headers } = answer;
  if (status === 416) throw truncated(key, range, totalOf(answer) ?? offset);
  if (status === 200) {
    // The server knows no ranges and gave everything.
    if (body.byteLength < offset + length) throw truncated(key, range, body.byteLength);
    return body.subarray(offset, offset + length);
  }
  if (status !== 206) throw errorOf(answer, `read of ${key}`, { key });
  if (body.byteLength < length) throw truncated(key, range, offset + body.byteLength);
  const start = /^bytes (\d+)-/.exec(headers["content-range"] ?? "")?.[1];
  if (Number(start) === offset && body.byteLength === length) return body;
  throw objectStoreError("unavailable", {
    message: `read of ${key} answered with another range`,
    subject: { key, offset, length },
  });
}

/** HTTP has no empty range: it is judged by a look at the object. */
export function emptyRange(found: ObjectStat | undefined, key: string, range: ByteRange): Bytes {
  if (found === undefined) {
    throw objectStoreError("not_found", { message: `no object ${key}`, subject: { key } });
  }
  if (range.offset > found.sizeBytes) throw truncated(key, range, found.sizeBytes);
  return new Uint8Array();
}

/** The size of the object, which an answer 416 names. */
function totalOf(answer: HttpAnswer): number | undefined {
  const total = /^bytes \*\/(\d+)$/.exec(answer.headers["content-range"] ?? "")?.[1];
  return total === undefined ? undefined : Number(total);
}
