import { describe, expect, test } from "vitest";
import { systemClock } from "../../kernel/index.ts";
import { createMemoryStore } from "../memory.ts";
import { brokenPromises, createFaultyStore } from "./index.ts";
import type { ObjectStore } from "../object-store.ts";
import type { Fault, StoreOperation, StoreUnderTest } from "./index.ts";

function memoryWith(operation: StoreOperation, fault: Fault): () => Promise<StoreUnderTest> {
  return async () => ({
    store: createFaultyStore(createMemoryStore({ clock: systemClock }), {
      decide: (call) => (call.operation === operation ? fault : undefined),
      clock: { sleep: async () => {} },
    }),
    [Symbol.asyncDispose]: async () => {},
  });
}

/** Each fault in each place where it shows, and a promise that must be seen broken by it. */
const BITES: readonly [StoreOperation, Fault, string][] = [
  ["put", "fail-before", "gives back what was put, its size too"],
  ["put", "fail-after", "gives back what was put, its size too"],
  ["put", "full", "holds an empty object"],
  ["put", "truncate", "holds a large object"],
  ["put", "flip", "joins the parts of a body in order, empty ones included"],
  ["put", "cut-body", "leaves the whole object or none when a put is aborted on its way"],
  ["put", "overwrite", "refuses a taken key with ifAbsent and leaves what lies there"],
  ["put", "overwrite", "lets exactly one of many concurrent ifAbsent puts win"],
  ["put", "forget", "lists every object below a prefix, once, with its size"],
  ["put", "deaf", "does nothing once the signal is aborted"],
  ["get", "fail-before", "gives back what was put, its size too"],
  ["get", "fail-after", "does not change the body and keeps no hold of it"],
  ["get", "truncate", "holds a large object"],
  ["get", "flip", "replaces an object without ifAbsent"],
  ["get", "deaf", "does nothing once the signal is aborted"],
  ["getRange", "truncate", "reads exactly the range"],
  ["getRange", "flip", "reads exactly the range"],
  ["getRange", "fail-before", "says truncated when the object ends before the range"],
  ["stat", "wrong-size", "holds an empty object"],
  ["stat", "fail-before", "says not_found where there is no object, folders included"],
  ["list", "wrong-size", "lists every object below a prefix, once, with its size"],
  ["list", "list-late", "lists what was just put and not what was just removed"],
  ["list", "fail-before", "lists nothing below a prefix that does not exist"],
  ["list", "fail-after", "lets a listing be left early and objects be removed while it runs"],
  ["remove", "forget", "removes an object, and removing it again is no error"],
  ["remove", "fail-after", "removes an object, and removing it again is no error"],
  ["remove", "fail-before", "removes an object, and removing it again is no error"],
];

describe("the contract suite bites", () => {
  test.for(BITES)("%s: %s", async ([operation, fault, promise]) => {
    expect(await brokenPromises(memoryWith(operation, fault))).toContain(promise);
  });

  test("a store that lists its first page alone is seen", async () => {
    const open = async (): Promise<StoreUnderTest> => {
      const inner = createMemoryStore({ clock: systemClock });
      const store: ObjectStore = {
        ...inner,
        list: async function* list(prefix, options) {
          let given = 0;
          for await (const found of inner.list(prefix, options)) {
            if (given === 1000) return;
            given += 1;
            yield found;
          }
        },
      };
      return { store, [Symbol.asyncDispose]: async () => {} };
    };
    expect(await brokenPromises(open)).toEqual([
      "lists more than a page, each once, and ends when it is aborted on the way",
    ]);
  });

  test("a store that takes keys for the same that differ by their case is seen", async () => {
    const open = async (): Promise<StoreUnderTest> => {
      const inner = createMemoryStore({ clock: systemClock });
      const lower = (key: string): string => key.toLowerCase();
      const store: ObjectStore = {
        ...inner,
        put: (key, body, options) => inner.put(lower(key), body, options),
        get: (key, wait) => inner.get(lower(key), wait),
        stat: (key, wait) => inner.stat(lower(key), wait),
      };
      return { store, [Symbol.asyncDispose]: async () => {} };
    };
    expect(await brokenPromises(open)).toContain(
      "holds keys of every sign that is allowed, as long as they may be, each its own",
    );
  });

  test("a store that is only slow breaks no promise", async () => {
    for (const operation of ["put", "get", "getRange", "stat", "remove"] as const) {
      expect(await brokenPromises(memoryWith(operation, { delayMs: 10 }))).toEqual([]);
    }
  });
});
