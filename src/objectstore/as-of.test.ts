import { array, assert, asyncProperty, constantFrom, nat, record } from "fast-check";
import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { asOf, createMemoryStore, withRetry } from "./index.ts";
import type { MemoryStore, ObjectStore } from "./index.ts";
import { objectStoreError } from "./errors.ts";
import { codeOf, listKeys } from "./testing/index.ts";

const START_MS = new Date("2026-11-20T14:00:00Z").getTime();

interface Moving {
  readonly store: MemoryStore;
  nowMs: number;
}

function createMoving(): Moving {
  const moving: Moving = {
    nowMs: START_MS,
    store: createMemoryStore({ clock: { now: () => new Date(moving.nowMs) }, versioned: true }),
  };
  return moving;
}

test("the past is not probed: that would write", () => {
  const { store } = createMoving();
  const probing: ObjectStore = { ...store, probe: () => Promise.reject(new Error("written")) };
  expect(asOf(probing, new Date(START_MS))).not.toHaveProperty("probe");
});

async function contents(store: ObjectStore): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const key of await listKeys(store, "")) {
    const text = Buffer.from(await store.get(key)).toString();
    expect((await store.stat(key))?.sizeBytes).toBe(text.length);
    found[key] = text;
  }
  return found;
}

const KEYS = ["config", "data/a1/x", "data/a1/y", "data/b2/z", "snapshots/s"] as const;
const STEP = record({
  verb: constantFrom("put", "put", "remove"),
  key: constantFrom(...KEYS),
  afterMs: nat(2),
});

describe("a store as of a moment", () => {
  test("shows what the store showed at every moment of its life", async () => {
    const life = asyncProperty(array(STEP, { maxLength: 30 }), async (steps) => {
      const moving = createMoving();
      const seen = new Map<number, Record<string, string>>([[START_MS - 1, {}]]);
      for (const [at, { verb, key, afterMs }] of steps.entries()) {
        moving.nowMs += afterMs;
        if (verb === "put") await moving.store.put(key, [Buffer.from(`content ${at}`)]);
        else await moving.store.remove(key);
        seen.set(moving.nowMs, await contents(moving.store));
      }
      for (const [ms, shown] of seen) {
        const past = asOf(moving.store, new Date(ms));
        expect(await contents(past)).toEqual(shown);
        for (const key of KEYS) {
          expect((await past.stat(key)) === undefined).toBe(shown[key] === undefined);
        }
      }
    });
    await assert(life, { numRuns: 60 });
  });

  test("reads ranges, and says what is not there", async () => {
    const moving = createMoving();
    await moving.store.put("data/a1/x", [Buffer.from("before")]);
    moving.nowMs += 10;
    await moving.store.put("data/a1/x", [Buffer.from("AFTER!")]);
    await moving.store.put("data/a1/y", [Buffer.from("new")]);
    const past = asOf(moving.store, new Date(START_MS));
    const part = await past.getRange("data/a1/x", { offset: 2, length: 3 });
    expect(Buffer.from(part).toString()).toBe("for");
    expect(await codeOf(() => past.get("data/a1/y"))).toBe("objectstore.not_found");
    expect(await codeOf(() => past.get("config"))).toBe("objectstore.not_found");
    expect(past.location).toBe("memory: as of 2026-11-20T14:00:00.000Z");
  });

  test("is for reading only", async () => {
    const { store } = createMoving();
    const past = asOf(store, new Date(START_MS));
    expect(await codeOf(() => past.put("a", []))).toBe("objectstore.denied");
    expect(await codeOf(() => past.remove("a"))).toBe("objectstore.denied");
    expect(past.lock).toBeUndefined();
  });

  test("needs a store that keeps versions", async () => {
    const store = createMemoryStore({ clock: { now: () => new Date() } });
    expect(await codeOf(async () => asOf(store, new Date()))).toBe("objectstore.no_versions");
  });

  test("lists a folder once for any number of look-ups, and again after a listing that failed", async () => {
    const moving = createMoving();
    for (let i = 0; i < 50; i += 1) await moving.store.put(`data/a1/${i}`, [Buffer.from("x")]);
    const listings: string[] = [];
    const { versions } = moving.store;
    if (versions === undefined) throw new Error("no versions");
    const counting: ObjectStore = {
      ...moving.store,
      versions: {
        ...versions,
        list: (prefix, options) => {
          listings.push(prefix);
          if (listings.length === 1) throw objectStoreError("unavailable", { message: "away" });
          return versions.list(prefix, options);
        },
      },
    };
    const past = asOf(counting, new Date(START_MS));
    expect(await codeOf(() => past.get("data/a1/0"))).toBe("objectstore.unavailable");
    for (let i = 0; i < 50; i += 1) await past.get(`data/a1/${i}`);
    expect(listings).toEqual(["data/a1/", "data/a1/"]);
  });

  test("gives each key once, also where a listing broke off and began again", async () => {
    const moving = createMoving();
    await moving.store.put("data/a1/x", [Buffer.from("1")]);
    await moving.store.put("data/a1/x", [Buffer.from("22")]);
    await moving.store.put("data/a1/y", [Buffer.from("1")]);
    const { versions } = moving.store;
    if (versions === undefined) throw new Error("no versions");
    let broken = false;
    const store: ObjectStore = {
      ...moving.store,
      versions: {
        ...versions,
        list: async function* list(prefix, options) {
          let given = 0;
          for await (const version of versions.list(prefix, options)) {
            if (given === 1 && !broken) {
              broken = true;
              moving.nowMs += 5;
              await moving.store.put("data/a1/x", [Buffer.from("333")]);
              throw objectStoreError("unavailable", { message: "away" });
            }
            given += 1;
            yield version;
          }
        },
      },
    };
    const clock = { monotonicMs: () => 0, sleep: async () => {} };
    const limits = { deadlineMs: 10, firstDelayMs: 1, maxDelayMs: 1 };
    const retried = withRetry(store, { clock, random: (size) => new Uint8Array(size), ...limits });
    const found = await Array.fromAsync(asOf(retried, new Date(START_MS)).list("data/"));
    expect(broken).toBe(true);
    expect(found.map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual([
      ["data/a1/x", 2],
      ["data/a1/y", 1],
    ]);
  });

  test("says nothing more of a key that was given, when a listing begins again", async () => {
    const moving = createMoving();
    for (const key of ["data/a", "data/b", "data/c"]) {
      await moving.store.put(key, [Buffer.from("old")]);
    }
    const { versions } = moving.store;
    if (versions === undefined) throw new Error("no versions");
    let broken = false;
    const store: ObjectStore = {
      ...moving.store,
      versions: {
        ...versions,
        list: async function* list(prefix, options) {
          for await (const version of versions.list(prefix, options)) {
            if (version.key === "data/c" && !broken) {
              broken = true;
              moving.nowMs += 5;
              await moving.store.put("data/a", [Buffer.from("new")]);
              throw objectStoreError("unavailable", { message: "away" });
            }
            yield version;
          }
        },
      },
    };
    const clock = { monotonicMs: () => 0, sleep: async () => {} };
    const limits = { deadlineMs: 10, firstDelayMs: 1, maxDelayMs: 1 };
    const retried = withRetry(store, { clock, random: (size) => new Uint8Array(size), ...limits });
    const found = await Array.fromAsync(retried.versions?.list("") ?? []);
    expect(found.map(({ key }) => key)).toEqual(["data/a", "data/b", "data/c"]);
  });

  test("leaves a listing that nobody waits for any more, and at once", async () => {
    const moving = createMoving();
    await moving.store.put("data/a1/x", [Buffer.from("x")]);
    const { versions } = moving.store;
    if (versions === undefined) throw new Error("no versions");
    const signals: (AbortSignal | undefined)[] = [];
    const gate = Promise.withResolvers<void>();
    const slow: ObjectStore = {
      ...moving.store,
      versions: {
        ...versions,
        list: async function* list(prefix, options) {
          signals.push(options?.signal);
          await gate.promise;
          yield* versions.list(prefix, options);
        },
      },
    };
    const past = asOf(slow, new Date(START_MS));
    const [first, second] = [new AbortController(), new AbortController()];
    const reads = [first, second].map(({ signal }) =>
      codeOf(() => past.get("data/a1/x", { signal })),
    );
    while (signals.length === 0) await setImmediate();
    first.abort();
    expect(await reads[0]).toBe("kernel.cancelled");
    expect(signals).toHaveLength(1);
    expect(signals[0]?.aborted).toBe(false);
    second.abort();
    expect(await reads[1]).toBe("kernel.cancelled");
    expect(signals[0]?.aborted).toBe(true);
    gate.resolve();
    // Who comes later is not told that somebody else gave up.
    expect(Buffer.from(await past.get("data/a1/x")).toString()).toBe("x");
    expect(signals).toHaveLength(2);
  });
});
