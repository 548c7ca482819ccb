import { describe, expect, test } from "vitest";
import type { ObjectLock, ObjectStore, Retention } from "../object-store.ts";
import { codeOf } from "./contract.ts";
import type { StoreUnderTest } from "./suite.ts";

/** One promise of {@link ObjectLock}, written against the interface alone. */
export interface LockCase {
  readonly name: string;
  readonly run: (store: ObjectStore, lock: ObjectLock) => Promise<void>;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const KEY = "data/ab/locked";

/** Counted from the store's own clock, which is the one that ends a lock. */
async function putWithDay(store: ObjectStore, key = KEY): Promise<(days: number) => Date> {
  await store.put(key, [Buffer.from("kept")]);
  const startMs = (await store.stat(key))?.modifiedAt.getTime() ?? Number.NaN;
  return (days) => new Date(startMs + days * DAY_MS);
}

/** Stores keep whole seconds at least; never less than what was asked. */
function expectCovers(found: Retention | undefined, wanted: Retention): void {
  expect(found?.mode).toBe(wanted.mode);
  const beyondMs = (found?.until.getTime() ?? Number.NaN) - wanted.until.getTime();
  expect(beyondMs).toBeGreaterThanOrEqual(0);
  expect(beyondMs).toBeLessThanOrEqual(1_000);
}

export const LOCK_CASES: readonly LockCase[] = [
  {
    name: "an object carries no lock until it is given one",
    run: async (store, lock) => {
      await putWithDay(store);
      expect(await lock.retentionOf(KEY)).toBeUndefined();
    },
  },
  {
    name: "holds at least until the date that was asked, as read back",
    run: async (store, lock) => {
      const day = await putWithDay(store);
      const wanted = { mode: "governance" as const, until: new Date(day(30).getTime() + 1) };
      await lock.extend(KEY, wanted);
      expectCovers(await lock.retentionOf(KEY), wanted);
      expect(Buffer.from(await store.get(KEY)).toString()).toBe("kept");
    },
  },
  {
    name: "extends, and never shortens",
    run: async (store, lock) => {
      const day = await putWithDay(store);
      const longest = { mode: "governance" as const, until: day(60) };
      await lock.extend(KEY, { mode: "governance", until: day(30) });
      await lock.extend(KEY, longest);
      await lock.extend(KEY, { mode: "governance", until: day(2) });
      expectCovers(await lock.retentionOf(KEY), longest);
    },
  },
  {
    name: "raises governance to compliance and never lowers it",
    run: async (store, lock) => {
      const day = await putWithDay(store);
      await lock.extend(KEY, { mode: "governance", until: day(3) });
      // Shorter than what is there: the mode is raised and the date stays.
      await lock.extend(KEY, { mode: "compliance", until: day(2) });
      expectCovers(await lock.retentionOf(KEY), { mode: "compliance", until: day(3) });
      await lock.extend(KEY, { mode: "governance", until: day(4) });
      expectCovers(await lock.retentionOf(KEY), { mode: "compliance", until: day(4) });
    },
  },
  {
    name: "belongs to the object that it was given to, not to the one that replaces it",
    run: async (store, lock) => {
      const day = await putWithDay(store);
      await lock.extend(KEY, { mode: "governance", until: day(1) });
      await store.put(KEY, [Buffer.from("replaced")]);
      expect(await lock.retentionOf(KEY)).toBeUndefined();
    },
  },
  {
    name: "keeps the locked version when its key is removed",
    run: async (store, lock) => {
      const day = await putWithDay(store);
      await lock.extend(KEY, { mode: "governance", until: day(1) });
      await store.remove(KEY);
      expect(await store.stat(KEY)).toBeUndefined();
      const kept: string[] = [];
      for await (const found of store.versions?.list("data/") ?? []) {
        if (!found.removed) kept.push(found.version);
      }
      expect(kept).toHaveLength(1);
      const bytes = await store.versions?.get(KEY, kept[0] ?? "");
      expect(Buffer.from(bytes ?? []).toString()).toBe("kept");
    },
  },
  {
    name: "says not_found where there is no object, and refuses bad keys",
    run: async (store, lock) => {
      const day = await putWithDay(store);
      const retention = { mode: "governance" as const, until: day(1) };
      expect(await codeOf(() => lock.retentionOf("data/none"))).toBe("objectstore.not_found");
      expect(await codeOf(() => lock.extend("data/none", retention))).toBe("objectstore.not_found");
      expect(await codeOf(() => lock.retentionOf("../x"))).toBe("objectstore.invalid_key");
      expect(await codeOf(() => lock.extend("../x", retention))).toBe("objectstore.invalid_key");
    },
  },
  {
    name: "does nothing once the signal is aborted",
    run: async (store, lock) => {
      const day = await putWithDay(store);
      const wait = { signal: AbortSignal.abort() };
      const retention = { mode: "governance" as const, until: day(1) };
      expect(await codeOf(() => lock.extend(KEY, retention, wait))).toBe("kernel.cancelled");
      expect(await codeOf(() => lock.retentionOf(KEY, wait))).toBe("kernel.cancelled");
      expect(await lock.retentionOf(KEY)).toBeUndefined();
    },
  },
];

/** What every store with locks must pass. Empty at the start of every case. */
export function describeObjectLock(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the contract of locks`, () => {
    test.for(LOCK_CASES)("$name", async ({ run }) => {
      expect.hasAssertions();
      await using opened = await open();
      const { lock } = opened.store;
      if (lock === undefined) throw new Error(`${name} has no locks`);
      await run(opened.store, lock);
    });
  });
}
