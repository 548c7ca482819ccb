import { expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import { createMemoryStore, withStoreBeside } from "./index.ts";
import type { ObjectStore, StoreFacts } from "./index.ts";
import { codeOf, describeObjectStore, listKeys, patternBytes } from "./testing/index.ts";

const clock = systemClock;

describeObjectStore("a store beside", async () => ({
  store: withStoreBeside(createMemoryStore({ clock }), createMemoryStore({ clock })),
  [Symbol.asyncDispose]: async () => {},
}));

test("what is ours lies beside, what is restic's in the main store, and both are listed as one", async () => {
  const [main, beside] = [createMemoryStore({ clock }), createMemoryStore({ clock })];
  const store = withStoreBeside(main, beside);
  await beside.put("config", [patternBytes(1)]);
  for (const key of ["data/aa/x", "sparekeep/holds/x", "sparekeepers"]) {
    await store.put(key, [patternBytes(3)], { ifAbsent: true });
  }
  expect(await listKeys(main, "")).toEqual(["data/aa/x", "sparekeepers"]);
  expect(await listKeys(beside, "")).toEqual(["config", "sparekeep/holds/x"]);
  expect(await listKeys(store, "")).toEqual(["data/aa/x", "sparekeep/holds/x", "sparekeepers"]);
  expect(await listKeys(store, "sparekeep/holds/")).toEqual(["sparekeep/holds/x"]);
  expect(await codeOf(() => store.get("config"))).toBe("objectstore.not_found");
  expect((await store.getRange("sparekeep/holds/x", { offset: 1, length: 2 })).byteLength).toBe(2);
  await store.remove("sparekeep/holds/x");
  expect(await listKeys(beside, "")).toEqual(["config"]);
});

test("records that an earlier main store holds are not shown, as they are not read either", async () => {
  const [main, beside] = [createMemoryStore({ clock }), createMemoryStore({ clock })];
  await main.put("sparekeep/holds/old", [patternBytes(1)]);
  expect(await listKeys(withStoreBeside(main, beside), "")).toEqual([]);
});

const FACTS: StoreFacts = {
  conditionalWrites: "honoured",
  lock: "enforced",
  lockBypass: false,
  versioned: true,
};

test("hands on what the main store offers", async () => {
  const main: ObjectStore = {
    ...createMemoryStore({ clock }),
    connection: () => ({ tls: ["TLSv1.3"], plain: false }),
    lock: { retentionOf: async () => undefined, extend: async () => undefined },
    probe: async () => FACTS,
  };
  const store = withStoreBeside(main, createMemoryStore({ clock }));
  expect(store.connection?.()).toEqual({ tls: ["TLSv1.3"], plain: false });
  expect(store.lock).toBe(main.lock);
  expect(await store.probe?.()).toEqual(FACTS);
  expect(store).not.toHaveProperty("versions");
});
