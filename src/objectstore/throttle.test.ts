import { randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import { createBucket } from "./bucket.ts";
import { createPace } from "./pace.ts";
import { createMemoryStore, createRates, openObjectStore, withThrottle } from "./index.ts";
import type { ObjectStore, StoreLimits } from "./index.ts";
import {
  codeOf,
  createTemporaryFolder,
  describeObjectStore,
  listKeys,
  patternBytes,
} from "./testing/index.ts";
import { createSleptClock } from "./testing/slept-clock.ts";

const RATES = {
  uploadBytesPerSecond: 1_000_000,
  downloadBytesPerSecond: 500_000,
  requestsPerSecond: 7,
};

function throttled(
  inner: ObjectStore,
  limits: StoreLimits,
  clock = createSleptClock(),
): ObjectStore {
  const rates = createRates(limits, clock);
  if (rates === undefined) throw new Error("nothing to limit");
  return withThrottle(inner, rates);
}

describeObjectStore("throttle", async () => ({
  store: throttled(createMemoryStore({ clock: systemClock }), RATES),
  [Symbol.asyncDispose]: async () => {},
}));

interface Grant {
  readonly atMs: number;
  readonly amount: number;
}

/** The most that passed in any span, above what the rate allows in it. */
function mostAboveRate(grants: readonly Grant[], ratePerSecond: number): number {
  let most = 0;
  for (const [first, { atMs: fromMs }] of grants.entries()) {
    let sum = 0;
    for (const { atMs, amount } of grants.slice(first)) {
      sum += amount;
      most = Math.max(most, sum - ((atMs - fromMs) / 1000) * ratePerSecond);
    }
  }
  return most;
}

describe("a bucket", () => {
  test("lets no span of time pass more than its rate and one second's burst", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5_000 }),
        // In hundredths of a burst, so that a run is never more than some dozen pieces.
        fc.array(fc.record({ share: fc.nat({ max: 800 }), idleMs: fc.nat({ max: 4_000 }) }), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.boolean(),
        async (rate, shares, atOnce) => {
          const takes = shares.map(({ share, idleMs }) => ({
            amount: Math.floor((rate * share) / 100),
            idleMs,
          }));
          const clock = createSleptClock();
          const bucket = createBucket(rate, clock);
          const grants: Grant[] = [];
          const take = async (amount: number): Promise<void> => {
            // In pieces no larger than the burst, as the bucket itself takes them: each is seen when it passes.
            for (let left = amount; left > 0; left -= rate) {
              const piece = Math.min(left, rate);
              await bucket.take(piece);
              grants.push({ atMs: clock.monotonicMs(), amount: piece });
            }
          };
          if (atOnce) await Promise.all(takes.map(({ amount }) => take(amount)));
          else {
            for (const { amount, idleMs } of takes) {
              await take(amount);
              if (idleMs > 0) await clock.sleep(idleMs);
            }
          }
          expect(mostAboveRate(grants, rate)).toBeLessThanOrEqual(rate * (1 + 1e-6));
          const total = takes.reduce((sum, { amount }) => sum + amount, 0);
          expect(grants.reduce((sum, { amount }) => sum + amount, 0)).toBe(total);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("does not let those who wait longer than they must", async () => {
    const clock = createSleptClock();
    const bucket = createBucket(1_000, clock);
    await bucket.take(16_000);
    expect(clock.passed()).toBe(15_000);
  });

  test("takes less than one a second, too", async () => {
    const clock = createSleptClock();
    const bucket = createBucket(0.25, clock);
    for (let call = 0; call < 5; call += 1) await bucket.take(1);
    expect(clock.passed()).toBe(16_000);
  });

  test("lets a small one through between two pieces of a large one", async () => {
    const clock = createSleptClock();
    const bucket = createBucket(1_000, clock);
    const order: string[] = [];
    const large = bucket.take(10_000).then(() => order.push("large"));
    const small = bucket.take(10).then(() => order.push("small"));
    await Promise.all([large, small]);
    expect(order).toEqual(["small", "large"]);
  });

  test("lets go of who is aborted, and loses no turn by it", async () => {
    const clock = createSleptClock();
    const bucket = createBucket(10, clock);
    await bucket.take(10);
    const control = new AbortController();
    const first = codeOf(() => bucket.take(1_000, control.signal));
    const behind = codeOf(() => bucket.take(1_000, control.signal));
    const last = bucket.take(10);
    control.abort();
    expect([await first, await behind]).toEqual(["kernel.cancelled", "kernel.cancelled"]);
    await last;
    expect(clock.passed()).toBeLessThanOrEqual(2_000);
    expect(await codeOf(() => bucket.take(1, control.signal))).toBe("kernel.cancelled");
  });
});

describe("a throttled store", () => {
  test("pays for what it moves: up before, down after a get and before a range", async () => {
    const clock = createSleptClock();
    const rates = { uploadBytesPerSecond: 100, downloadBytesPerSecond: 50 };
    const store = throttled(createMemoryStore({ clock: systemClock }), rates, clock);
    await store.put("a", [patternBytes(600), patternBytes(400)]);
    expect(clock.passed()).toBe(9_000);
    await store.get("a");
    expect(clock.passed()).toBe(9_000 + 19_000);
    await store.getRange("a", { offset: 0, length: 100 });
    expect(clock.passed()).toBe(9_000 + 19_000 + 2_000);
  });

  test("counts calls, and a listing by its pages", async () => {
    const clock = createSleptClock();
    const inner = createMemoryStore({ clock: systemClock });
    for (let index = 0; index < 2_500; index += 1) await inner.put(`index/${index}`, []);
    const store = throttled(inner, { requestsPerSecond: 1 }, clock);
    expect(await listKeys(store, "")).toHaveLength(2_500);
    expect(clock.passed()).toBe(2_000);
    await store.stat("index/1");
    await store.remove("index/1");
    expect(clock.passed()).toBe(4_000);
  });

  test("has rates only where something is limited, and hands on what the store offers", async () => {
    const inner: ObjectStore = {
      ...createMemoryStore({ clock: systemClock }),
      connection: () => ({ tls: ["TLSv1.3"], plain: false }),
      probe: () => Promise.reject(new Error("probed")),
      lock: { retentionOf: async () => undefined, extend: async () => undefined },
      versions: {
        list: async function* () {},
        get: async () => new Uint8Array(),
        getRange: async () => new Uint8Array(),
      },
    };
    expect(createRates({ concurrency: 3 }, createSleptClock())).toBeUndefined();
    const store = throttled(inner, RATES);
    expect(Object.keys(store).sort()).toEqual(
      Object.keys(inner)
        .filter((name) => name !== "fork" && name !== "deleteVersion")
        .sort(),
    );
    expect(store.connection?.()).toEqual({ tls: ["TLSv1.3"], plain: false });
    await expect(store.probe?.()).rejects.toThrow("probed");
  });

  test("is what a folder opened with limits is", async () => {
    await using folder = await createTemporaryFolder();
    const clock = { ...systemClock, ...createSleptClock() };
    const settings = { limits: { uploadBytesPerSecond: 1_000, concurrency: 1 } };
    const store = await openObjectStore(folder.path, { clock, random: randomBytes, settings });
    await Promise.all(["a", "b"].map((key) => store.put(key, [patternBytes(5_000)])));
    expect(clock.monotonicMs()).toBe(9_000);
  });
});

test("a pace tells whether it holds the line, so that a silent line is not taken for a dead one", async () => {
  const untilAborted = (signal?: AbortSignal): Promise<void> =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    });
  const clock = {
    monotonicMs: () => 0,
    sleep: (_ms: number, signal?: AbortSignal) => untilAborted(signal),
  };
  const control = new AbortController();
  const pace = createPace(createRates({ downloadBytesPerSecond: 10 }, clock), control.signal);
  await pace.up(1_000_000);
  await pace.down(10);
  expect(pace.holding()).toBe(false);
  const held = codeOf(() => pace.down(1));
  expect(pace.holding()).toBe(true);
  control.abort();
  expect(await held).toBe("kernel.cancelled");
  expect(pace.holding()).toBe(false);
});
