import { expect, test } from "vitest";
import { createPace } from "./pace.ts";

const { signal } = new AbortController();
const KIB = 1024;

/** Time passes only where somebody sleeps, one after the other. */
function sleptClock(): { monotonicMs(): number; sleep(ms: number): Promise<void> } {
  let nowMs = 0;
  return {
    monotonicMs: () => nowMs,
    sleep: async (ms) => {
      await Promise.resolve();
      nowMs += ms;
    },
  };
}

test("all streams together keep to one rate, a second's worth ahead of it", async () => {
  const clock = sleptClock();
  const rate = 1024 * KIB;
  const pace = createPace(rate, clock);
  let [passed, most] = [0, 0];
  const stream = async (chunks: number, sizeBytes: number): Promise<void> => {
    for (let i = 0; i < chunks; i += 1) {
      await pace(sizeBytes, signal);
      passed += sizeBytes;
      most = Math.max(most, passed - (clock.monotonicMs() / 1000) * rate);
    }
  };
  await Promise.all([stream(100, 64 * KIB), stream(50, 256 * KIB), stream(3, 3 * rate)]);
  const total = 100 * 64 * KIB + 50 * 256 * KIB + 9 * rate;
  expect(passed).toBe(total);
  // What a stream was given, but not yet counted here, is one chunk of each.
  expect(most).toBeLessThanOrEqual(rate + 1);
  expect(clock.monotonicMs()).toBeGreaterThanOrEqual((total / rate - 1) * 1000);
  expect(clock.monotonicMs()).toBeLessThan((total / rate) * 1000);
});

test("without a rate nobody waits", async () => {
  const clock = sleptClock();
  await createPace(undefined, clock)(1e12, signal);
  expect(clock.monotonicMs()).toBe(0);
});

test("who waits leaves when the run ends", async () => {
  const ended = new AbortController();
  const clock = { monotonicMs: () => 0, sleep: () => Promise.reject(new Error("woken")) };
  ended.abort();
  await expect(createPace(1, clock)(2, ended.signal)).rejects.toMatchObject({
    code: "kernel.cancelled",
  });
});
