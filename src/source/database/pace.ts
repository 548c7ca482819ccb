import type { Clock } from "../../kernel/index.ts";
import { createBucket } from "../../objectstore/index.ts";

/** Bytes that were read, of whatever stream. */
export type Pace = (sizeBytes: number, signal: AbortSignal) => Promise<void>;

/**
 * One for a whole run: the sum over all its streams keeps to the rate, with a second's worth ahead of it. What has come is
 * not passed on before it may be, so its stream fills up, its socket is paused, and the server stops sending: nothing is
 * gathered here.
 */
export function createPace(
  bytesPerSecond: number | undefined,
  clock: Pick<Clock, "monotonicMs" | "sleep">,
): Pace {
  if (bytesPerSecond === undefined) return async () => undefined;
  const bucket = createBucket(bytesPerSecond, clock);
  return (sizeBytes, signal) => bucket.take(sizeBytes, signal);
}
