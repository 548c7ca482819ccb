import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { systemClock, toAppError } from "../../src/kernel/index.ts";
import { createMemoryStore, withRetry } from "../../src/objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../src/objectstore/index.ts";
import {
  codeOf,
  createFaultyStore,
  listKeys,
  patternBytes,
} from "../../src/objectstore/testing/index.ts";
import type { Fault, StoreCall } from "../../src/objectstore/testing/index.ts";
import type { Repository } from "../../src/repository/index.ts";
import { entriesOf } from "../support/restic-files.ts";
import { backUp, createOurs, expectedFiles, openOurs } from "../support/restic-repository.ts";

const FILES = [
  { path: ["large"], content: patternBytes(20_000_000, 3) },
  { path: ["small"], content: Buffer.from("small") },
];
const NEXT = [{ path: ["next"], content: patternBytes(100_000, 4) }];

async function createEmpty(): Promise<MemoryStore> {
  const store = createMemoryStore({ clock: systemClock });
  await createOurs(store);
  return store;
}

/** As `openObjectStore` wraps a driver, without the waiting. */
function retrying(store: ObjectStore): ObjectStore {
  return withRetry(store, {
    clock: { monotonicMs: () => 0, sleep: async () => undefined },
    random: randomBytes,
    deadlineMs: 1_000,
    firstDelayMs: 1,
    maxDelayMs: 1,
  });
}

/** The first call of the operation on each key below the folder meets the fault. */
function onceEach(
  operation: StoreCall["operation"],
  folder: string,
  fault: Fault,
): { decide: (call: StoreCall) => Fault | undefined; struck: Set<string> } {
  const struck = new Set<string>();
  const decide = (call: StoreCall): Fault | undefined => {
    if (call.operation !== operation || !call.key.startsWith(folder)) return undefined;
    if (struck.has(call.key)) return undefined;
    struck.add(call.key);
    return fault;
  };
  return { decide, struck };
}

async function expectWhole(store: ObjectStore, files: Parameters<typeof backUp>[1]): Promise<void> {
  const repository = await openOurs(store);
  expect((await repository.check({ readData: true })).findings).toEqual([]);
  const reader = await repository.acquireReader();
  const latest = await repository.resolveSnapshot("latest");
  expect(await entriesOf(reader, reader.entries(latest))).toEqual(await expectedFiles(files));
  expect(await listKeys(store, "locks/")).toEqual([]);
}

describe("a backup into a store that fails and recovers", () => {
  test.for([
    ["every put is refused once", "put", "fail-before"],
    ["the answer to every put is lost once", "put", "fail-after"],
    ["every removal fails once", "remove", "fail-before"],
    ["every look-up fails once", "stat", "fail-before"],
    ["every reading is damaged once", "get", "flip"],
    ["every reading is too short once", "get", "truncate"],
  ] as const)("is whole when %s", async ([, operation, fault]) => {
    const store = await createEmpty();
    const { decide, struck } = onceEach(operation, "", fault);
    const repository = await openOurs(retrying(createFaultyStore(store, { decide })));
    await backUp(repository, FILES);
    await backUp(repository, FILES);
    expect(struck.size).toBeGreaterThan(0);
    await expectWhole(store, FILES);
  });
});

describe("a backup into a store that stays broken", () => {
  test.for([
    ["data/", "full", "objectstore.full"],
    ["index/", "full", "objectstore.full"],
    ["snapshots/", "full", "objectstore.full"],
    ["locks/", "full", "objectstore.full"],
    ["data/", "fail-before", "objectstore.unavailable"],
    ["index/", "fail-before", "objectstore.unavailable"],
    ["snapshots/", "fail-before", "objectstore.unavailable"],
  ] as const)(
    "below %s with %s ends with %s and leaves nothing amiss",
    async ([folder, fault, code]) => {
      const store = await createEmpty();
      await backUp(await openOurs(store), NEXT);
      const broken = createFaultyStore(store, {
        decide: ({ operation, key }) =>
          operation === "put" && key.startsWith(folder) ? fault : undefined,
      });
      const repository = await openOurs(broken);
      expect(await codeOf(() => backUp(repository, FILES))).toBe(code);
      const { findings } = await repository.check({ readData: true });
      expect(findings.filter(({ severity }) => severity !== "information")).toEqual([]);
      expect(await repository.snapshots()).toHaveLength(1);
      expect(await listKeys(store, "locks/")).toEqual([]);
      await backUp(await openOurs(store), FILES, new Date("2026-11-02T10:00:00Z"));
      const again = await openOurs(store);
      const reader = await again.acquireReader();
      const latest = await again.resolveSnapshot("latest");
      expect(await entriesOf(reader, reader.entries(latest))).toEqual(await expectedFiles(FILES));
    },
  );

  test.for(["truncate", "flip"] as const)(
    "that stores packs with a silent %s is found by check, and never read as something else",
    async (fault) => {
      const store = await createEmpty();
      const lying = createFaultyStore(store, {
        decide: ({ operation, key }) =>
          operation === "put" && key.startsWith("data/") ? fault : undefined,
      });
      await backUp(await openOurs(lying), FILES);
      const repository = await openOurs(store);
      const { findings } = await repository.check({ readData: true });
      expect(findings.some(({ severity }) => severity === "error")).toBe(true);
      expect(await misread(repository)).toEqual([]);
    },
  );
});

/** Files that are read without an error and are not what was saved, and errors that are not `corrupt`. */
async function misread(repository: Repository): Promise<string[]> {
  const expected = await expectedFiles(FILES);
  const wrong: string[] = [];
  const note = (thrown: unknown): Map<string, string> => {
    const { kind, message } = toAppError(thrown);
    if (kind !== "corrupt") wrong.push(message);
    return new Map();
  };
  try {
    const reader = await repository.acquireReader();
    const latest = await repository.resolveSnapshot("latest");
    for await (const entry of reader.entries(latest)) {
      const read = await entriesOf(reader, oneEntry(entry)).catch(note);
      for (const [path, file] of read) if (expected.get(path) !== file) wrong.push(path);
    }
  } catch (thrown) {
    note(thrown);
  }
  return wrong;
}

async function* oneEntry<Item>(item: Item): AsyncIterable<Item> {
  yield item;
}
