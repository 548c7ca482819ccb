import { randomBytes } from "node:crypto";
import { Secret, systemClock } from "../../src/kernel/index.ts";
import type { Clock } from "../../src/kernel/index.ts";
import { openObjectStore } from "../../src/objectstore/index.ts";
import type { ObjectStore, S3Settings, TlsSettings } from "../../src/objectstore/index.ts";
import type { CephUser } from "./ceph.ts";

export interface OpenS3 {
  readonly user: CephUser;
  readonly s3?: S3Settings;
  readonly tls?: TlsSettings;
  /** Of whatever is retried; by default patience takes no time. */
  readonly onRetry?: (code: string) => void;
}

/** Waiting takes no time and is counted all the same: patience is spent at once. */
function createImpatientClock(): Clock {
  let sleptMs = 0;
  return {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + sleptMs,
    sleep: async (ms) => {
      sleptMs += ms;
    },
  };
}

export function openS3(location: string, options: OpenS3): Promise<ObjectStore> {
  const { user, s3, tls, onRetry } = options;
  const credentials = { id: new Secret(user.accessKey), secret: new Secret(user.secretKey) };
  return openObjectStore(location, {
    clock: createImpatientClock(),
    random: randomBytes,
    settings: { s3: { credentials, ...s3 }, ...(tls === undefined ? {} : { tls }) },
    ...(onRetry === undefined ? {} : { onRetry: (error) => onRetry(error.code) }),
  });
}
