import { throwIfAborted } from "../kernel/index.ts";
import type { RandomBytes } from "../kernel/index.ts";
import { parseKey, parsePrefix } from "./keys.ts";
import type { ConnectionFacts, ObjectStore, WaitOptions } from "./object-store.ts";
import type { BucketFacts } from "./s3-bucket.ts";
import type { S3Access } from "./s3-client.ts";
import { objectLockOf, objectVersionsOf } from "./s3-extras.ts";
import { probeS3 } from "./s3-probe.ts";
import { createPuts } from "./s3-puts.ts";
import { getObject, getObjectRange, listObjects, removeObject, statObject } from "./s3-read.ts";

export interface S3StoreOptions {
  /** For people. */
  readonly location: string;
  readonly access: S3Access;
  readonly bucket: BucketFacts;
  readonly random: RandomBytes;
  readonly connection: () => ConnectionFacts;
}

/** S3 and what speaks its protocol. docs/spec/objectstore.md §s3 */
export function createS3Store(options: S3StoreOptions): ObjectStore {
  const { access, bucket } = options;
  const puts = createPuts(access, options.random);
  const wanted = (key: string, wait: WaitOptions | undefined) => {
    throwIfAborted(wait?.signal);
    parseKey(key);
    return { key, signal: wait?.signal };
  };
  return {
    location: options.location,
    put: async (key, body, put) => {
      wanted(key, put);
      await puts.put(key, body, put);
    },
    putLarge: async (key, body, put) => {
      wanted(key, put);
      await puts.put(key, body, put);
    },
    get: async (key, wait) => getObject(access, wanted(key, wait)),
    getRange: async (key, range, wait) => getObjectRange(access, wanted(key, wait), range),
    stat: async (key, wait) => statObject(access, wanted(key, wait)),
    list: (prefix, wait) => {
      parsePrefix(prefix);
      return listObjects(access, prefix, wait?.signal);
    },
    remove: async (key, wait) => removeObject(access, wanted(key, wait)),
    ...(bucket.locks === true ? { lock: objectLockOf(access) } : {}),
    ...versionsOf(access, bucket),
    connection: options.connection,
    probe: (wait) => probeS3({ access, bucket, puts, random: options.random }, wait?.signal),
  };
}

function versionsOf(access: S3Access, { versioned }: BucketFacts): Pick<ObjectStore, "versions"> {
  if (versioned === true) return { versions: objectVersionsOf(access) };
  if (versioned !== "suspended") return {};
  return { versions: { ...objectVersionsOf(access), suspended: true } };
}
