import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { Clock, RandomBytes } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import { backUpNaively, backUpWithLock, day31 } from "../support/day-31.ts";
import type { BackUpLocked, Day31Result } from "../support/day-31.ts";

const DAY_MS = 86_400_000;

function seeded(): RandomBytes {
  let counter = 0;
  return (size) => {
    const parts: Buffer[] = [];
    for (let made = 0; made < size; made += 32) {
      parts.push(createHash("sha256").update(`day 31 ${counter}`).digest());
      counter += 1;
    }
    return Buffer.concat(parts).subarray(0, size);
  };
}

/** The store's clock is years away from ours: a lock that is reckoned by ours would be none. */
async function story(backUp: BackUpLocked): Promise<Day31Result> {
  let days = 0;
  const ours = (): Date => new Date(Date.UTC(2019, 0, 1) + days * DAY_MS);
  const stores = (): Date => new Date(Date.UTC(2026, 9, 1) + days * DAY_MS);
  const clock: Clock = {
    now: ours,
    monotonicMs: () => days * DAY_MS,
    sleep: async () => {},
    every: () => ({ [Symbol.dispose]: () => {} }),
  };
  const store = createMemoryStore({ clock: { now: stores }, objectLock: true });
  return await day31({
    store,
    deleteVersion: (key, version) => store.deleteVersion(key, version),
    clock,
    random: seeded(),
    storeTime: stores,
    nextDay: async () => void (days += 1),
    dayMs: DAY_MS,
    days: 35,
    lockDays: 30,
    backUp,
  });
}

test("on day 31 every point that claims a lock comes back after everything deletable was deleted", async () => {
  const result = await story(backUpWithLock);
  expect(result.broken).toEqual([]);
  expect(result.claimed).toBe(29);
  // Points whose time is over are gone: the lock holds what is claimed, not everything.
  expect(result.deletedVersions).toBeGreaterThan(6);
  expect(result.deniedVersions).toBeGreaterThan(29);
});

test("a lock on what a run wrote fails the same test: the trap", async () => {
  const result = await story(backUpNaively);
  expect(result.claimed).toBe(29);
  expect(result.broken).toEqual(Array.from({ length: 29 }, () => "repository.blob_not_found"));
});
