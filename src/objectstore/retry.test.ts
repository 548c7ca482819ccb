import { describe, expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import type { AppError, Clock } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { createMemoryStore, withRetry } from "./index.ts";
import type { ObjectStore } from "./index.ts";
import { codeOf, createFaultyStore, describeObjectStore, listKeys } from "./testing/index.ts";
import { patternBytes } from "./testing/index.ts";
import type { Fault, StoreCall } from "./testing/index.ts";

/** Time passes only by sleeping. */
function createStillClock(): Pick<Clock, "monotonicMs" | "sleep"> & { readonly slept: number[] } {
  let nowMs = 0;
  const slept: number[] = [];
  return {
    slept,
    monotonicMs: () => nowMs,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      slept.push(ms);
      nowMs += ms;
    },
  };
}

interface Retried {
  readonly store: ObjectStore;
  readonly inner: ObjectStore;
  readonly slept: readonly number[];
  readonly retries: readonly AppError[];
}

function retried(
  decide: (call: StoreCall) => Fault | undefined,
  { randomByte = 255, deadlineMs = 10_000 } = {},
): Retried {
  const inner = createMemoryStore({ clock: systemClock });
  const clock = createStillClock();
  const retries: AppError[] = [];
  const store = withRetry(createFaultyStore(inner, { decide }), {
    clock,
    random: (size) => new Uint8Array(size).fill(randomByte),
    deadlineMs,
    firstDelayMs: 100,
    maxDelayMs: 1_000,
    onRetry: (error) => retries.push(error),
  });
  return { store, inner, slept: clock.slept, retries };
}

describeObjectStore("retry over a sound store", async () => ({
  store: retried(() => undefined).store,
  [Symbol.asyncDispose]: async () => {},
}));

describeObjectStore("retry over a store whose every third call fails", async () => ({
  // All waits of concurrent calls add up on the one still clock: hence a deadline that none reaches.
  store: retried(({ number }) => (number % 3 === 1 ? "fail-before" : undefined), {
    deadlineMs: Infinity,
  }).store,
  [Symbol.asyncDispose]: async () => {},
}));

describe("retry", () => {
  test("waits twice as long each time, up to the most", async () => {
    const { store, slept, retries } = retried(({ number }) =>
      number <= 6 ? "fail-before" : undefined,
    );
    await store.put("a", [patternBytes(3)]);
    expect(slept).toEqual([100, 200, 400, 800, 1000, 1000]);
    expect(retries.map((error) => error.code)).toEqual(Array(6).fill("objectstore.unavailable"));
  });

  test("shortens each wait by the given randomness, to half at most", async () => {
    const { store, slept } = retried(({ number }) => (number <= 3 ? "fail-before" : undefined), {
      randomByte: 0,
    });
    await store.stat("a");
    expect(slept).toEqual([50, 100, 200]);
  });

  test("gives up at the deadline with the last error", async () => {
    const { store, slept } = retried(() => "fail-before");
    expect(await codeOf(() => store.get("a"))).toBe("objectstore.unavailable");
    const total = slept.reduce((sum, ms) => sum + ms, 0);
    expect(total).toBeLessThanOrEqual(10_000);
    expect(total).toBeGreaterThan(9_000);
  });

  test("does not repeat what repeating cannot help", async () => {
    const { store, slept } = retried(({ operation }) => (operation === "put" ? "full" : undefined));
    expect(await codeOf(() => store.put("a", [patternBytes(1)]))).toBe("objectstore.full");
    expect(await codeOf(() => store.get("a"))).toBe("objectstore.not_found");
    expect(slept).toEqual([]);
  });

  test("reads once more what ended too early, and no more", async () => {
    const { store, inner, slept } = retried(() => undefined);
    await inner.put("a", [patternBytes(3)]);
    const code = await codeOf(() => store.getRange("a", { offset: 0, length: 4 }));
    expect(code).toBe("objectstore.truncated");
    expect(slept).toHaveLength(1);
  });

  test("takes its own object for a success when the answer to the put was lost", async () => {
    const { store, inner } = retried(({ operation, number }) =>
      operation === "put" && number === 1 ? "fail-after" : undefined,
    );
    const body = [patternBytes(10, 1), patternBytes(10, 2)];
    await store.put("a", body, { ifAbsent: true });
    expect(Buffer.compare(await inner.get("a"), Buffer.concat(body))).toBe(0);
  });

  test.for([
    ["of another length", patternBytes(11)],
    ["of the same length", patternBytes(10, 7)],
  ] as const)("still says exists when the key holds something else %s", async ([, other]) => {
    const { store, inner } = retried(({ operation, number }) =>
      operation === "put" && number === 1 ? "fail-before" : undefined,
    );
    await inner.put("a", [other]);
    const put = (): Promise<void> => store.put("a", [patternBytes(10, 1)], { ifAbsent: true });
    expect(await codeOf(put)).toBe("objectstore.exists");
  });

  test("says exists at the first attempt without comparing", async () => {
    const { store, inner } = retried(() => undefined);
    await inner.put("a", [patternBytes(10)]);
    const put = (): Promise<void> => store.put("a", [patternBytes(10)], { ifAbsent: true });
    expect(await codeOf(put)).toBe("objectstore.exists");
  });

  test("finishes a listing that broke off and gives each object once", async () => {
    const { store, inner, slept } = retried(({ operation, number }) =>
      operation === "list" && number <= 3 ? "fail-after" : undefined,
    );
    for (const key of ["a", "b", "c", "d"]) await inner.put(key, [patternBytes(1)]);
    expect(await listKeys(store, "")).toEqual(["a", "b", "c", "d"]);
    expect(slept).toHaveLength(3);
  });

  test("stops waiting when aborted", async () => {
    const control = new AbortController();
    const { store, slept } = retried(({ number }) => {
      if (number === 3) control.abort();
      return "fail-before";
    });
    const { signal } = control;
    expect(await codeOf(() => store.get("a", { signal }))).toBe("kernel.cancelled");
    expect(slept).toHaveLength(2);
  });

  test("has its patience for what fails, not for what takes long", async () => {
    const clock = createStillClock();
    const inner = createMemoryStore({ clock: systemClock });
    let puts = 0;
    const breaks = new Set(["c", "e"]);
    const slow: ObjectStore = {
      ...inner,
      put: async (key, body, options) => {
        puts += 1;
        // A large object at a low rate.
        await clock.sleep(60_000);
        if (puts === 1) throw objectStoreError("unavailable", { message: "connection reset" });
        await inner.put(key, body, options);
      },
      list: async function* list(prefix, options) {
        for await (const found of inner.list(prefix, options)) {
          yield found;
          if (breaks.delete(found.key)) {
            throw objectStoreError("unavailable", { message: "connection reset" });
          }
        }
      },
    };
    const store = withRetry(slow, {
      clock,
      random: (size) => new Uint8Array(size),
      deadlineMs: 10_000,
      firstDelayMs: 100,
      maxDelayMs: 1_000,
    });
    await store.put("a", [patternBytes(1)]);
    for (const key of ["b", "c", "d", "e", "f"]) await inner.put(key, [patternBytes(1)]);
    const keys: string[] = [];
    for await (const { key } of store.list("")) {
      keys.push(key);
      // What is done with it.
      await clock.sleep(60_000);
    }
    expect(keys.sort()).toEqual(["a", "b", "c", "d", "e", "f"]);
    expect(breaks.size).toBe(0);
  });
});
