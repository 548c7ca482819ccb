import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { createMemoryStore, probeStore, readOnly, withLimit, withRetry } from "./index.ts";
import type { ObjectStore, StoreFacts } from "./index.ts";
import { probeConditionalWrites, probeLock } from "./probe.ts";
import { codeOf, createFaultyStore, listKeys } from "./testing/index.ts";

const clock = systemClock;

function fails(code: "denied" | "unsupported" | "unavailable"): () => Promise<never> {
  return async () => {
    throw objectStoreError(code, { message: "planted" });
  };
}

describe("a store without a probe of its own", () => {
  test("is tried through its interface, and nothing is left", async () => {
    const store = createMemoryStore({ clock });
    expect((await probeStore(store, randomBytes)).conditionalWrites).toBe("honoured");
    expect(await listKeys(store, "")).toEqual([]);
  });

  test("that overwrites is found out", async () => {
    const inner = createMemoryStore({ clock });
    const store = createFaultyStore(inner, {
      decide: ({ operation }) => (operation === "put" ? "overwrite" : undefined),
    });
    expect((await probeStore(store, randomBytes)).conditionalWrites).toBe("ignored");
    expect(await listKeys(inner, "")).toEqual([]);
  });
});

describe("the probe of conditional writes", () => {
  const put = async (): Promise<void> => {};

  test("a condition that is not understood is refused", async () => {
    const answers = [put, fails("unsupported")];
    const found = probeConditionalWrites("k", {
      put: async () => answers.shift()?.(),
      remove: put,
    });
    expect(await found).toBe("refused");
  });

  test("what may not be tried is unknown; what may pass is no answer", async () => {
    const denied = { put: fails("denied"), remove: put };
    expect(await probeConditionalWrites("k", denied)).toBe("unknown");
    const down = { put: fails("unavailable"), remove: put };
    expect(await codeOf(() => probeConditionalWrites("k", down))).toBe("objectstore.unavailable");
  });

  test("a removal that is denied changes nothing", async () => {
    const found = probeConditionalWrites("k", { put, remove: fails("denied") });
    expect(await found).toBe("ignored");
  });
});

describe("the probe of locks", () => {
  const putLocked = async (): Promise<string> => "v1";

  test("a lock that gives way is not enforced", async () => {
    const removeVersion = async (): Promise<void> => {};
    const found = await probeLock("k", { putLocked, removeVersion });
    expect(found).toEqual({ lock: "not enforced", lockBypass: "unknown" });
  });

  test.for([true, false])("a lock that holds, and a bypass: %s", async (mayBypass) => {
    const removeVersion = (_key: string, _version: string, bypass: boolean): Promise<void> =>
      bypass && mayBypass ? Promise.resolve() : fails("denied")();
    const found = await probeLock("k", { putLocked, removeVersion });
    expect(found).toEqual({ lock: "enforced", lockBypass: mayBypass });
  });

  test("credentials that may not lock see nothing", async () => {
    const found = await probeLock("k", {
      putLocked: fails("denied"),
      removeVersion: fails("denied"),
    });
    expect(found).toEqual({ lock: "unknown", lockBypass: "unknown" });
  });
});

describe("a probe through wrappers", () => {
  const facts: StoreFacts = {
    conditionalWrites: "refused",
    lock: "none",
    lockBypass: "unknown",
    versioned: false,
  };
  const store: ObjectStore = { ...createMemoryStore({ clock }), probe: async () => facts };

  test("is handed on by retry and limit, and not by a store that must not be written", async () => {
    const patience = { deadlineMs: 1, firstDelayMs: 1, maxDelayMs: 1 };
    const wrapped = withRetry(withLimit(store, 1), { clock, random: randomBytes, ...patience });
    expect(await probeStore(wrapped, randomBytes)).toBe(facts);
    expect(readOnly(store).probe).toBeUndefined();
  });
});
