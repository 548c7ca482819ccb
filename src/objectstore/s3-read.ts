import { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
} from "@aws-sdk/client-s3";
import type { GetObjectCommandOutput } from "@aws-sdk/client-s3";
import { AppError, throwIfAborted } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { readBody } from "./body.ts";
import { objectStoreError } from "./errors.ts";
import { MAX_ANSWER_BYTES } from "./http.ts";
import { isKey } from "./keys.ts";
import { truncated } from "./memory.ts";
import type { ByteRange, ObjectStat } from "./object-store.ts";
import { ask, waits } from "./s3-client.ts";
import type { S3Access } from "./s3-client.ts";

export interface Wanted {
  readonly key: string;
  /** The newest one by default. */
  readonly version?: string;
  readonly signal?: AbortSignal | undefined;
}

export async function getObject(access: S3Access, wanted: Wanted): Promise<Bytes> {
  const answer = await request(access, wanted, undefined);
  return bodyOf(answer, wanted);
}

export async function getObjectRange(
  access: S3Access,
  wanted: Wanted,
  range: ByteRange,
): Promise<Bytes> {
  // HTTP knows no empty range.
  if (range.length === 0) return emptyRange(access, wanted, range);
  const answer = await request(access, wanted, range).catch((thrown: unknown) => {
    const sizeBytes = unsatisfiable(thrown);
    throw sizeBytes === undefined ? thrown : truncated(wanted.key, range, sizeBytes);
  });
  const { ContentRange: given } = answer;
  if (given !== undefined && !new RegExp(`^bytes ${range.offset}-`).test(given)) {
    throw otherRange(wanted.key, range);
  }
  const bytes = await bodyOf(answer, wanted);
  if (given !== undefined && bytes.byteLength > range.length) throw otherRange(wanted.key, range);
  // A server that does not know ranges answers with the whole object.
  const start = given === undefined ? range.offset : 0;
  const cut = bytes.subarray(start, start + range.length);
  if (cut.byteLength < range.length) {
    throw truncated(wanted.key, range, range.offset + cut.byteLength);
  }
  return cut;
}

function otherRange(key: string, { offset, length }: ByteRange): Error {
  return objectStoreError("unavailable", {
    message: `read of ${key} answered with another range`,
    subject: { key, offset, length },
  });
}

async function request(
  access: S3Access,
  wanted: Wanted,
  range: ByteRange | undefined,
): Promise<GetObjectCommandOutput> {
  const command = new GetObjectCommand({
    ...addressOf(access, wanted),
    ...(range === undefined
      ? {}
      : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }),
  });
  return await ask(access, { action: "read", key: wanted.key }, () =>
    access.client.send(command, waits(wanted.signal)),
  );
}

function addressOf(
  { bucket, prefix }: S3Access,
  { key, version }: Wanted,
): { Bucket: string; Key: string; VersionId?: string } {
  return {
    Bucket: bucket,
    Key: prefix + key,
    ...(version === undefined ? {} : { VersionId: version }),
  };
}

async function bodyOf(answer: GetObjectCommandOutput, { key, signal }: Wanted): Promise<Bytes> {
  const { Body: body, ContentLength: sizeBytes } = answer;
  if (body === undefined || sizeBytes === undefined) {
    throw objectStoreError("unavailable", {
      message: `answer without a body or its length for ${key}`,
      subject: { key },
    });
  }
  if (sizeBytes > MAX_ANSWER_BYTES) {
    if (body instanceof Readable) body.destroy();
    throw objectStoreError("unavailable", {
      message: `answer of ${sizeBytes} bytes for ${key}, more than any object of a repository has`,
      subject: { key, sizeBytes },
    });
  }
  return readBody(body, { key, sizeBytes, signal });
}

/** The size of the object where the server says that the range lies behind its end. */
function unsatisfiable(thrown: unknown): number | undefined {
  if (!(thrown instanceof AppError) || thrown.subject["status"] !== 416) return undefined;
  const actual: unknown =
    thrown.cause instanceof Error ? Reflect.get(thrown.cause, "ActualObjectSize") : 0;
  return Number(actual ?? 0);
}

async function emptyRange(access: S3Access, wanted: Wanted, range: ByteRange): Promise<Bytes> {
  const command = new HeadObjectCommand(addressOf(access, wanted));
  const found = await ask(access, { action: "read", key: wanted.key }, () =>
    access.client.send(command, waits(wanted.signal)),
  );
  const sizeBytes = found.ContentLength ?? 0;
  if (range.offset > sizeBytes) throw truncated(wanted.key, range, sizeBytes);
  return new Uint8Array();
}

export async function statObject(
  access: S3Access,
  { key, signal }: Wanted,
): Promise<ObjectStat | undefined> {
  const command = new HeadObjectCommand({ Bucket: access.bucket, Key: access.prefix + key });
  try {
    const found = await ask(access, { action: "look at", key }, () =>
      access.client.send(command, waits(signal)),
    );
    return statOf(key, found.ContentLength, found.LastModified);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "objectstore.not_found") return undefined;
    throw thrown;
  }
}

export function statOf(
  key: string,
  sizeBytes: number | undefined,
  modifiedAt: Date | undefined,
): ObjectStat {
  if (sizeBytes === undefined || modifiedAt === undefined) {
    throw objectStoreError("unavailable", {
      message: `answer without size or date for ${key}`,
      subject: { key },
    });
  }
  // A listing may say milliseconds where the answer for one object cannot.
  return { key, sizeBytes, modifiedAt: new Date(Math.floor(modifiedAt.getTime() / 1000) * 1000) };
}

export async function* listObjects(
  access: S3Access,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncIterable<ObjectStat> {
  let token: string | undefined;
  do {
    throwIfAborted(signal);
    const command = new ListObjectsV2Command({
      Bucket: access.bucket,
      Prefix: access.prefix + prefix,
      // Keys of others may hold what XML cannot.
      EncodingType: "url",
      ...(token === undefined ? {} : { ContinuationToken: token }),
    });
    const page = await ask(access, { action: "list", key: prefix }, () =>
      access.client.send(command, waits(signal)),
    );
    for (const { Key: found, Size: size, LastModified: modifiedAt } of page.Contents ?? []) {
      throwIfAborted(signal);
      const key = ownKey(access, found);
      if (key !== undefined) yield statOf(key, size, modifiedAt);
    }
    token = nextPlace(page.IsTruncated, page.NextContinuationToken, token, prefix);
  } while (token !== undefined);
}

/** The key below our prefix. Names outside our alphabet (folder marks of consoles) are others': none of our objects. */
export function ownKey({ prefix }: S3Access, found: string | undefined): string | undefined {
  if (found === undefined) return undefined;
  const name = decoded(found);
  const key = name.slice(prefix.length);
  return name.startsWith(prefix) && isKey(key) ? key : undefined;
}

export function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", "%20"));
  } catch {
    // No encoding at all, so a key of others; it is outside our alphabet either way.
    return text;
  }
}

/**
 * What a page does not say about its end is not taken for the end: a page for people, or nothing at all, would be an empty
 * listing, and one that says "there is more" and not where, or the same place again, a shorter or an endless one.
 */
export function nextPlace(
  isTruncated: boolean | undefined,
  place: string | undefined,
  before: string | undefined,
  prefix: string,
): string | undefined {
  if (isTruncated === false) return undefined;
  if (isTruncated === true && place !== undefined && place !== "" && place !== before) return place;
  throw objectStoreError("unavailable", {
    message: `listing of ${prefix === "" ? "all" : prefix} that breaks off`,
    subject: { prefix },
  });
}

export async function removeObject(
  access: S3Access,
  { key, version, signal }: Wanted,
): Promise<void> {
  const command = new DeleteObjectCommand(
    addressOf(access, { key, ...(version === undefined ? {} : { version }) }),
  );
  try {
    await ask(access, { action: "remove", key }, () => access.client.send(command, waits(signal)));
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "objectstore.not_found") throw thrown;
  }
}
