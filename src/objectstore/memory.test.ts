import { describe, expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import { createMemoryStore } from "./index.ts";
import { codeOf, describeObjectStore, listKeys, patternBytes } from "./testing/index.ts";

describeObjectStore("memory", async () => ({
  store: createMemoryStore({ clock: systemClock }),
  [Symbol.asyncDispose]: async () => {},
}));

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
