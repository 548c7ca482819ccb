import { GetBucketVersioningCommand, GetObjectLockConfigurationCommand } from "@aws-sdk/client-s3";
import { AppError } from "../kernel/index.ts";
import { ask, waits } from "./s3-client.ts";
import type { S3Access } from "./s3-client.ts";

/** `unknown` where these credentials may not ask, or the server does not know the question. */
export interface BucketFacts {
  /** `suspended`: what was kept before is still there, and nothing new is kept. */
  readonly versioned: boolean | "suspended" | "unknown";
  readonly locks: boolean | "unknown";
}

/** What the bucket is configured to be. Also the first word with the server: wrong names and keys show here. */
export async function readBucketFacts(
  access: S3Access,
  signal: AbortSignal | undefined,
): Promise<BucketFacts> {
  const [versioned, locks] = await Promise.all([
    readVersioning(access, signal),
    readObjectLock(access, signal),
  ]);
  return { versioned, locks };
}

async function readVersioning(
  access: S3Access,
  signal: AbortSignal | undefined,
): Promise<BucketFacts["versioned"]> {
  const command = new GetBucketVersioningCommand({ Bucket: access.bucket });
  try {
    const { Status: status } = await ask(access, { action: "ask the versioning of", key: "" }, () =>
      access.client.send(command, waits(signal)),
    );
    return status === "Suspended" ? "suspended" : status === "Enabled";
  } catch (thrown) {
    return unlessUnknown(thrown);
  }
}

async function readObjectLock(
  access: S3Access,
  signal: AbortSignal | undefined,
): Promise<boolean | "unknown"> {
  const command = new GetObjectLockConfigurationCommand({ Bucket: access.bucket });
  try {
    const answer = await ask(access, { action: "ask the Object Lock of", key: "" }, () =>
      access.client.send(command, waits(signal)),
    );
    return answer.ObjectLockConfiguration?.ObjectLockEnabled === "Enabled";
  } catch (thrown) {
    const name = thrown instanceof AppError ? thrown.subject["answer"] : undefined;
    if (name === "ObjectLockConfigurationNotFoundError") return false;
    return unlessUnknown(thrown);
  }
}

/** A key that is refused altogether is an error; one that only may not ask this leaves the answer open. */
function unlessUnknown(thrown: unknown): "unknown" {
  if (!(thrown instanceof AppError)) throw thrown;
  const { code, subject } = thrown;
  const mayNotAsk = code === "objectstore.denied" && MAY_NOT_ASK.has(subject["answer"] ?? "");
  if (mayNotAsk || code === "objectstore.unsupported" || code === "objectstore.not_found") {
    return "unknown";
  }
  throw thrown;
}

const MAY_NOT_ASK = new Set<unknown>(["AccessDenied", "AllAccessDisabled", "Forbidden"]);
