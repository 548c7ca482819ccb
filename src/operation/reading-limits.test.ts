import { expect, test } from "vitest";
import { readingLimits } from "./reading-limits.ts";

test("limits of a source are the reader's, and what the policy leaves out is its own default", () => {
  expect(readingLimits({ limits: { read: 1_000, lock_patience: 2_000 } })).toEqual({
    readBytesPerSecond: 1_000,
    lockPatienceMs: 2_000,
  });
  expect(readingLimits({ limits: {} })).toEqual({});
  expect(readingLimits({})).toEqual({});
});
