import { z } from "zod";
import { parseByteRate, parseSpan } from "./duration.ts";
import { readBy } from "./read-by.ts";

/** How a source is read, so that the application does not feel it. docs/spec/capture.md */
export interface SourceLimits {
  /** Bytes a second of all that one run reads from the database. */
  readonly read?: number | undefined;
  /** Milliseconds that another session may wait for a lock of ours. */
  readonly lock_patience?: number | undefined;
}

const LONGEST_PATIENCE_MS = 3_600_000;

const patience = readBy(
  "no patience between 1 second and 1 hour",
  'Write for example "5 seconds".',
  parsePatience,
);
const readRate = readBy("no rate", 'Write for example "20 MiB/s".', parseByteRate);

export const sourceLimits = z.strictObject({
  read: readRate.optional(),
  lock_patience: patience.optional(),
});

function parsePatience(text: string): number | undefined {
  const span = parseSpan(text);
  if (span === undefined || span.years + span.months + span.days > 0) return undefined;
  const ms = ((span.hours * 60 + span.minutes) * 60 + span.seconds) * 1000;
  return ms > LONGEST_PATIENCE_MS ? undefined : ms;
}
