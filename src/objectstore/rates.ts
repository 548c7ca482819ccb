import type { Clock } from "../kernel/index.ts";
import { createBucket } from "./bucket.ts";
import type { Bucket } from "./bucket.ts";
import type { StoreLimits } from "./settings.ts";

/** What may pass in a second, shared by all calls of a store. */
export interface Rates {
  readonly up: Bucket;
  readonly down: Bucket;
  readonly calls: Bucket;
}

const UNBOUNDED: Bucket = { take: async () => undefined };

/** `undefined` where nothing is limited. */
export function createRates(
  limits: StoreLimits,
  clock: Pick<Clock, "monotonicMs" | "sleep">,
): Rates | undefined {
  const { uploadBytesPerSecond, downloadBytesPerSecond, requestsPerSecond } = limits;
  const all = [uploadBytesPerSecond, downloadBytesPerSecond, requestsPerSecond];
  if (all.every((rate) => rate === undefined)) return undefined;
  const bucket = (rate: number | undefined): Bucket =>
    rate === undefined ? UNBOUNDED : createBucket(rate, clock);
  return {
    up: bucket(uploadBytesPerSecond),
    down: bucket(downloadBytesPerSecond),
    calls: bucket(requestsPerSecond),
  };
}
