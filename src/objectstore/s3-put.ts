import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import type { PutObjectCommandInput, PutObjectCommandOutput } from "@aws-sdk/client-s3";
import { GIB } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { totalBytes } from "./keys.ts";
import { tooLarge } from "./large.ts";
import type { LargeBody, PutOptions } from "./object-store.ts";
import { ask, waits } from "./s3-client.ts";
import type { S3Access } from "./s3-client.ts";
import { statObject } from "./s3-read.ts";

export interface PutRequest extends Pick<PutOptions, "tier"> {
  readonly signal?: AbortSignal | undefined;
  /** `If-None-Match: *`. Means nothing to a server that ignores it. */
  readonly conditional?: boolean;
}

const MAX_PUT_BYTES = 5 * GIB;

/**
 * One PutObject, whatever the size: it takes 5 GiB, a pack has at most 128 MiB, and an upload in parts that breaks off
 * leaves parts behind that are paid for. The server verifies Content-MD5, which every server knows and Object Lock asks
 * for; its answer is compared besides.
 */
export async function putObject(
  access: S3Access,
  key: string,
  body: readonly Bytes[] | LargeBody,
  options: PutRequest = {},
): Promise<void> {
  const { signal, conditional = false } = options;
  const digest = "open" in body ? Buffer.from(body.md5) : md5Of(body);
  const sizeBytes = "open" in body ? body.sizeBytes : totalBytes(body);
  if (sizeBytes > MAX_PUT_BYTES) throw tooLarge(key, sizeBytes);
  const source = sourceOf(body);
  const command = new PutObjectCommand({
    Bucket: access.bucket,
    Key: access.prefix + key,
    Body: sizeBytes === 0 ? "" : source.stream,
    ContentLength: sizeBytes,
    ContentMD5: digest.toString("base64"),
    ContentType: "application/octet-stream",
    ...(conditional ? { IfNoneMatch: "*" } : {}),
    ...storageClassOf(access, options),
    ...encryptionOf(access),
  });
  const { StorageClass: storageClass } = command.input;
  const answer = await ask(access, { action: "write", key, conditional, storageClass }, () =>
    source.until(signal, (wait) => access.client.send(command, waits(wait))),
  );
  if (!confirms(answer, digest)) await requireSize(access, key, sizeBytes, signal);
}

interface Source {
  readonly stream: Readable;
  until<Answer>(
    signal: AbortSignal | undefined,
    send: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer>;
}

/** The SDK waits for ever for a body that broke off: its request is ended, and the reason told in place of that. */
function sourceOf(body: readonly Bytes[] | LargeBody): Source {
  const stream = Readable.from("open" in body ? body.open() : nonEmpty(body));
  const broken = new AbortController();
  let failed: Error | undefined;
  stream.on("error", (error) => {
    failed ??= error;
    broken.abort();
  });
  return {
    stream,
    until: async (signal, send) => {
      const signals = [broken.signal, ...(signal === undefined ? [] : [signal])];
      try {
        return await send(AbortSignal.any(signals));
      } catch (thrown) {
        throw broken.signal.aborted && signal?.aborted !== true ? (failed ?? thrown) : thrown;
      } finally {
        stream.destroy();
      }
    },
  };
}

function nonEmpty(body: readonly Bytes[]): readonly Bytes[] {
  return body.filter((part) => part.byteLength > 0);
}

function md5Of(body: readonly Bytes[]): Buffer {
  const hash = createHash("md5");
  for (const part of body) hash.update(part);
  return hash.digest();
}

function storageClassOf(
  { settings }: S3Access,
  { tier }: PutRequest,
): Pick<PutObjectCommandInput, "StorageClass"> {
  if (tier !== "bulk" || settings.storageClass === undefined) return {};
  return isClassName(settings.storageClass) ? { StorageClass: settings.storageClass } : {};
}

/** The SDK lists AWS's classes; other servers have names of their own. storage-class.ts has judged them. */
function isClassName(name: string): name is NonNullable<PutObjectCommandInput["StorageClass"]> {
  return name !== "";
}

function encryptionOf({
  settings: { encryption },
}: S3Access): Pick<PutObjectCommandInput, "ServerSideEncryption" | "SSEKMSKeyId"> {
  if (encryption === undefined) return {};
  if (encryption.kind === "aes256") return { ServerSideEncryption: "AES256" };
  return {
    ServerSideEncryption: "aws:kms",
    ...(encryption.keyId === undefined ? {} : { SSEKMSKeyId: encryption.keyId }),
  };
}

/** An ETag that is the MD5 of what was sent covers the size too. Under KMS, and at some servers, it is something else. */
function confirms({ ETag: tag }: PutObjectCommandOutput, digest: Buffer): boolean {
  return tag?.replaceAll('"', "") === digest.toString("hex");
}

async function requireSize(
  access: S3Access,
  key: string,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const found = await statObject(access, { key, signal });
  if (found?.sizeBytes === sizeBytes) return;
  throw objectStoreError("unavailable", {
    message: `${found?.sizeBytes ?? "no"} bytes of ${key} in the store where ${sizeBytes} were written`,
    subject: { key, sizeBytes },
  });
}
