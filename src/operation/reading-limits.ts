import type { Source } from "../policy/index.ts";
import type { CaptureOptions } from "../source/index.ts";

/** `limits` of a source, as whoever reads it is told; what the policy leaves out is the reader's own default. */
export function readingLimits({ limits }: Pick<Source, "limits">): ReadingLimits {
  const { read, lock_patience: lockPatienceMs } = limits ?? {};
  return {
    ...(read === undefined ? {} : { readBytesPerSecond: read }),
    ...(lockPatienceMs === undefined ? {} : { lockPatienceMs }),
  };
}

export type ReadingLimits = Pick<CaptureOptions, "lockPatienceMs" | "readBytesPerSecond">;
