import { describe, expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import { createMemoryStore } from "./index.ts";
import {
  codeOf,
  describeObjectLock,
  describeObjectStore,
  describeObjectVersions,
  listKeys,
  patternBytes,
} from "./testing/index.ts";

describeObjectStore("memory", async () => ({
  store: createMemoryStore({ clock: systemClock }),
  [Symbol.asyncDispose]: async () => {},
}));

describeObjectStore("memory with versions", async () => ({
  store: createMemoryStore({ clock: systemClock, versioned: true }),
  [Symbol.asyncDispose]: async () => {},
}));

describeObjectVersions("memory", async () => ({
  store: createMemoryStore({ clock: systemClock, versioned: true }),
  [Symbol.asyncDispose]: async () => {},
}));

describeObjectLock("memory", async () => ({
  store: createMemoryStore({ clock: systemClock, objectLock: true }),
  [Symbol.asyncDispose]: async () => {},
}));

describe("memory store with Object Lock", () => {
  const CLOCK = { now: () => new Date("2026-01-01T00:00:00Z") };
  const until = new Date("2026-01-02T00:00:00Z");

  test.for([
    { mode: "governance", right: false, bypass: true, code: "objectstore.denied" },
    { mode: "governance", right: true, bypass: false, code: "objectstore.denied" },
    { mode: "governance", right: true, bypass: true, code: "no error" },
    { mode: "compliance", right: true, bypass: true, code: "objectstore.denied" },
  ] as const)("$mode, right $right, asked $bypass: $code", async (given) => {
    const mayBypassGovernance = given.right;
    const store = createMemoryStore({ clock: CLOCK, objectLock: true, mayBypassGovernance });
    await store.put("a", [patternBytes(3)]);
    await store.lock?.extend("a", { mode: given.mode, until });
    const attempt = (): Promise<void> =>
      store.deleteVersion("a", "v1", { bypassGovernance: given.bypass });
    expect(await codeOf(attempt)).toBe(given.code);
  });

  test("a lock stays on its version when another is put over it", async () => {
    const store = createMemoryStore({ clock: CLOCK, objectLock: true });
    await store.put("a", [patternBytes(3)]);
    await store.lock?.extend("a", { mode: "governance", until });
    await store.put("a", [patternBytes(4)]);
    expect(await codeOf(() => store.deleteVersion("a", "v1"))).toBe("objectstore.denied");
    await store.deleteVersion("a", "v2");
    expect((await store.stat("a"))?.sizeBytes).toBe(3);
  });

  test("a lock ends by the store's clock", async () => {
    let now = new Date("2026-01-01T00:00:00Z");
    const store = createMemoryStore({ clock: { now: () => now }, objectLock: true });
    await store.put("a", [patternBytes(3)]);
    await store.lock?.extend("a", { mode: "compliance", until });
    now = until;
    await store.deleteVersion("a", "v1");
    expect(await listKeys(store, "")).toEqual([]);
  });
});

describe("memory store", () => {
  test("a fork keeps the moment and goes its own way", async () => {
    const store = createMemoryStore({ clock: systemClock });
    await store.put("a", [patternBytes(3)]);
    const fork = store.fork();
    await store.put("b", [patternBytes(4)]);
    await fork.remove("a");
    expect(await listKeys(store, "")).toEqual(["a", "b"]);
    expect(await listKeys(fork, "")).toEqual([]);
  });

  test("is full beyond its capacity, counting what a put replaces", async () => {
    const store = createMemoryStore({ clock: systemClock, capacityBytes: 10 });
    await store.put("a", [patternBytes(6)]);
    expect(await codeOf(() => store.put("b", [patternBytes(5)]))).toBe("objectstore.full");
    await store.put("a", [patternBytes(10)]);
    expect(await listKeys(store, "")).toEqual(["a"]);
  });
});
