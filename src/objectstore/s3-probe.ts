import {
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectRetentionCommand,
} from "@aws-sdk/client-s3";
import type { RandomBytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import type { StoreFacts } from "./object-store.ts";
import { probeKey, probeLock } from "./probe.ts";
import type { LockProbe } from "./probe.ts";
import type { BucketFacts } from "./s3-bucket.ts";
import { ask, waits } from "./s3-client.ts";
import type { S3Access } from "./s3-client.ts";
import { putObject } from "./s3-put.ts";
import type { Puts } from "./s3-puts.ts";

/** Long enough to try a removal in, short enough that what is left can be removed soon. */
const LOCKED_MS = 60_000;

export interface S3Probe {
  readonly access: S3Access;
  readonly bucket: BucketFacts;
  readonly puts: Puts;
  readonly random: RandomBytes;
}

export async function probeS3(
  { access, bucket, puts, random }: S3Probe,
  signal: AbortSignal | undefined,
): Promise<StoreFacts> {
  const conditionalWrites = await puts.conditionalWrites(signal);
  const { locks } = bucket;
  const versioned = bucket.versioned === "suspended" ? false : bucket.versioned;
  if (locks !== true) {
    const lock = locks === false ? "none" : "unknown";
    return { conditionalWrites, versioned, lock, lockBypass: "unknown" };
  }
  const lock = await probeLock(probeKey(random), lockProbe(access, signal));
  return { conditionalWrites, versioned, ...lock };
}

function lockProbe(access: S3Access, signal: AbortSignal | undefined): LockProbe {
  const address = (key: string) => ({ Bucket: access.bucket, Key: access.prefix + key });
  return {
    putLocked: async (key) => {
      await putObject(access, key, [Buffer.from("locked")], { signal });
      const found = await ask(access, { action: "look at", key }, () =>
        access.client.send(new HeadObjectCommand(address(key)), waits(signal)),
      );
      const { VersionId: version, LastModified: writtenAt } = found;
      if (version === undefined || writtenAt === undefined) {
        throw objectStoreError("unavailable", { message: `answer without version of ${key}` });
      }
      // By the store's clock, which is the one that ends the lock.
      const until = new Date(writtenAt.getTime() + LOCKED_MS);
      const command = new PutObjectRetentionCommand({
        ...address(key),
        VersionId: version,
        Retention: { Mode: "GOVERNANCE", RetainUntilDate: until },
      });
      await ask(access, { action: "lock", key }, () => access.client.send(command, waits(signal)));
      return version;
    },
    removeVersion: async (key, version, bypass) => {
      const command = new DeleteObjectCommand({
        ...address(key),
        VersionId: version,
        ...(bypass ? { BypassGovernanceRetention: true } : {}),
      });
      await ask(access, { action: "remove", key }, () =>
        access.client.send(command, waits(signal)),
      );
    },
  };
}
