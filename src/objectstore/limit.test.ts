import { describe, expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import { createMemoryStore, readOnly, withLimit } from "./index.ts";
import type { ObjectStore } from "./index.ts";
import { codeOf, describeObjectStore, listKeys, patternBytes } from "./testing/index.ts";

for (const concurrency of [1, 3]) {
  describeObjectStore(`limit of ${concurrency}`, async () => ({
    store: withLimit(createMemoryStore({ clock: systemClock }), concurrency),
    [Symbol.asyncDispose]: async () => {},
  }));
}

/** Puts wait until they are let go, in the order in which they came. */
function createGatedStore(): { store: ObjectStore; running: string[]; letGo: () => Promise<void> } {
  const inner = createMemoryStore({ clock: systemClock });
  const running: string[] = [];
  const gates: (() => void)[] = [];
  const store: ObjectStore = {
    ...inner,
    put: async (key, body) => {
      running.push(key);
      await new Promise<void>((resolve) => gates.push(resolve));
      await inner.put(key, body);
      running.splice(running.indexOf(key), 1);
    },
  };
  const letGo = async (): Promise<void> => {
    gates.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { store, running, letGo };
}

describe("limit", () => {
  test("lets at most so many through, the others in order", async () => {
    const { store, running, letGo } = createGatedStore();
    const limited = withLimit(store, 2);
    const puts = ["a", "b", "c", "d"].map((key) => limited.put(key, [patternBytes(1)]));
    const seen: string[][] = [];
    await new Promise((resolve) => setImmediate(resolve));
    for (let index = 0; index < 4; index += 1) {
      seen.push([...running]);
      await letGo();
    }
    await Promise.all(puts);
    expect(seen).toEqual([["a", "b"], ["b", "c"], ["c", "d"], ["d"]]);
  });

  test("stops waiting when aborted and gives no slot to who left", async () => {
    const { store, running, letGo } = createGatedStore();
    const limited = withLimit(store, 1);
    const control = new AbortController();
    const first = limited.put("a", [patternBytes(1)]);
    const second = codeOf(() => limited.put("b", [], { signal: control.signal }));
    const third = limited.put("c", [patternBytes(1)]);
    await new Promise((resolve) => setImmediate(resolve));
    control.abort();
    expect(await second).toBe("kernel.cancelled");
    await letGo();
    await first;
    await new Promise((resolve) => setImmediate(resolve));
    expect(running).toEqual(["c"]);
    await letGo();
    await third;
    expect(await listKeys(store, "")).toEqual(["a", "c"]);
  });

  test("gives its slot back after a failure", async () => {
    const limited = withLimit(createMemoryStore({ clock: systemClock }), 1);
    expect(await codeOf(() => limited.get("a"))).toBe("objectstore.not_found");
    expect(await codeOf(() => limited.get("a"))).toBe("objectstore.not_found");
  });

  test("lets who lists read what is listed, with one slot", async () => {
    const limited = withLimit(createMemoryStore({ clock: systemClock }), 1);
    await limited.put("a", [patternBytes(3)]);
    const sizes: number[] = [];
    for await (const { key } of limited.list("")) sizes.push((await limited.get(key)).byteLength);
    expect(sizes).toEqual([3]);
  });
});

describe("read only", () => {
  test("reads what is there and refuses to write or remove", async () => {
    const inner = createMemoryStore({ clock: systemClock });
    await inner.put("a", [patternBytes(3)]);
    const store = readOnly(inner);
    expect(await codeOf(() => store.put("b", [patternBytes(1)]))).toBe("objectstore.denied");
    expect(await codeOf(() => store.remove("a"))).toBe("objectstore.denied");
    expect((await store.get("a")).byteLength).toBe(3);
    expect((await store.getRange("a", { offset: 1, length: 2 })).byteLength).toBe(2);
    expect((await store.stat("a"))?.sizeBytes).toBe(3);
    expect(await listKeys(store, "")).toEqual(["a"]);
  });
});
