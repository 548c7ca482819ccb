import { describe, expect, test } from "vitest";
import { objectStoreError } from "../../objectstore/index.ts";
import type { MemoryStore, ObjectLock, ObjectStore, Retention } from "../../objectstore/index.ts";
import { keysOf, rows, WRITER } from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import {
  backUp,
  createSmall,
  DAY_MS,
  faultsOf,
  forget,
  HOUR_MS,
  openSmall,
  plan,
  prune,
} from "../testing/small-packs.ts";
import { executePrune } from "./execute.ts";

/** A store that holds objects against removal, as S3's Object Lock does. */
function holding(
  store: MemoryStore,
  now: () => Date,
): { store: ObjectStore; held: Map<string, Date> } {
  const held = new Map<string, Date>();
  return {
    held,
    store: {
      ...store,
      lock: {
        retentionOf: (key): Promise<Retention | undefined> => {
          const until = held.get(key);
          return Promise.resolve(until === undefined ? undefined : { mode: "compliance", until });
        },
        // What a prune writes anew lists what is held.
        extend: (key, { until }) => {
          held.set(key, until);
          return Promise.resolve();
        },
      },
      remove: async (key, options) => {
        const until = held.get(key);
        if (until !== undefined && until > now()) {
          throw objectStoreError("denied", { message: `object ${key} that is held` });
        }
        await store.remove(key, options);
      },
    },
  };
}

/** Keeps what it is told, and holds nothing. */
function lockable(now: Date): {
  readonly until: Date;
  readonly lock: ObjectLock;
  readonly extended: Map<string, Date>;
} {
  const extended = new Map<string, Date>();
  const lock: ObjectLock = {
    retentionOf: (key) => {
      const held = extended.get(key);
      return Promise.resolve(held === undefined ? undefined : { mode: "compliance", until: held });
    },
    extend: (key, { until }) => {
      extended.set(key, until);
      return Promise.resolve();
    },
  };
  return { until: new Date(now.getTime() + 31 * DAY_MS), lock, extended };
}

async function withForgotten(): Promise<Fixture & { readonly store: MemoryStore }> {
  const fixture = await createSmall();
  const first = await backUp(fixture, { old: rows(900, "old") });
  await backUp(fixture, { new: rows(300, "new") });
  await forget(fixture.store, first);
  return fixture;
}

describe("what the store holds against removal", () => {
  test("goes later, on the date that the store says", async () => {
    const fixture = await withForgotten();
    const { clock } = fixture;
    const { store, held } = holding(fixture.store, () => clock.now());
    const repository = await openSmall(fixture, store);
    const until = new Date(clock.now().getTime() + 31 * DAY_MS);
    for (const key of await keysOf(store, "data/")) held.set(key, until);
    const marking = await prune(repository);
    expect(marking.plan.mark.packs).toBeGreaterThan(1);
    expect(marking.plan.freedLater).toEqual([
      { until, because: "lock", packs: marking.plan.mark.packs, bytes: marking.plan.mark.bytes },
    ]);
    clock.advance(2 * DAY_MS);
    const waiting = await prune(repository);
    expect(waiting.plan.remove.packs).toBe(0);
    expect(waiting.plan.freedLater).toEqual(marking.plan.freedLater);
    expect(waiting.report.refused).toEqual([]);
    clock.advance(30 * DAY_MS);
    const removing = await prune(repository);
    expect(removing.report.removed).toEqual({
      packs: marking.plan.mark.packs,
      bytes: marking.plan.mark.bytes,
    });
    expect(await faultsOf(repository)).toEqual([]);
  });

  test("is not rewritten: it would be there twice until then", async () => {
    const fixture = await createSmall();
    const gone = await backUp(fixture, { gone: rows(60, "gone"), table: rows(400, "table") });
    await backUp(fixture, { table: rows(400, "table") });
    await forget(fixture.store, gone);
    const { store, held } = holding(fixture.store, () => fixture.clock.now());
    const repository = await openSmall(fixture, store);
    for (const key of await keysOf(store, "data/")) {
      held.set(key, new Date(fixture.clock.now().getTime() + DAY_MS));
    }
    const options = { maxUnused: { bytes: 0 }, graceMs: 0 };
    const { plan: planned, report } = await prune(repository, options);
    expect([planned.repack.packs, report.copied.blobs]).toEqual([0, 0]);
    fixture.clock.advance(DAY_MS + HOUR_MS);
    expect((await prune(repository, options)).report.copied.blobs).toBeGreaterThan(0);
  });

  test("as an index file keeps its packs listed", async () => {
    const fixture = await withForgotten();
    const { clock } = fixture;
    const { store, held } = holding(fixture.store, () => clock.now());
    const repository = await openSmall(fixture, store);
    const until = new Date(clock.now().getTime() + DAY_MS);
    const indexes = await keysOf(store, "index/");
    for (const key of indexes) held.set(key, until);
    const { plan: planned } = await prune(repository, { graceMs: 0 });
    expect(planned.remove.packs).toBe(0);
    expect(planned.freedLater).toMatchObject([{ until, because: "lock" }]);
    expect(await keysOf(store, "index/")).toEqual(indexes);
    clock.advance(DAY_MS + 1000);
    expect((await prune(repository, { graceMs: 0 })).report.removed.packs).toBeGreaterThan(1);
    expect(await faultsOf(repository)).toEqual([]);
  });
});

test("an index file that was locked after the plan stays, and so do the packs that it lists", async () => {
  const fixture = await withForgotten();
  const { clock } = fixture;
  const { store, held } = holding(fixture.store, () => clock.now());
  const repository = await openSmall(fixture, store);
  const planned = await plan(repository, { graceMs: 0 });
  expect(planned.remove.packs).toBeGreaterThan(1);
  // A backup with a lock has extended it to what its point needs, old index files included.
  const indexes = await keysOf(store, "index/");
  const until = new Date(clock.now().getTime() + DAY_MS);
  for (const key of indexes) held.set(key, until);
  const report = await executePrune(repository, planned, { owner: WRITER });
  expect(report).toMatchObject({ outcome: "complete", removed: { packs: 0 } });
  expect(report.keptAfterAll).toEqual(expect.arrayContaining([...planned.remove.ids]));
  expect(await keysOf(store, "index/")).toEqual(expect.arrayContaining([...indexes]));
  expect(await faultsOf(repository)).toEqual([]);
});

test("what a prune lists anew is locked as long as the longest held of its packs", async () => {
  const fixture = await withForgotten();
  const { clock, store } = fixture;
  const { until, lock, extended } = lockable(clock.now());
  const repository = await openSmall(fixture, { ...store, lock });
  const old = await keysOf(store, "index/");
  // Held packs, listed by files that nobody holds: as after a backup that took these in since the plan was made.
  for (const key of await keysOf(store, "data/")) extended.set(key, until);
  await prune(repository);
  const fresh = (await keysOf(store, "index/")).filter((key) => !old.includes(key));
  expect(fresh.length).toBeGreaterThan(0);
  for (const key of fresh) expect([key, extended.get(key)]).toEqual([key, until]);
});

test("a removal that the store refuses is told, and the others are done", async () => {
  const fixture = await withForgotten();
  const keys = await keysOf(fixture.store, "data/");
  let refused: string | undefined;
  const repository = await openSmall(fixture, {
    ...fixture.store,
    remove: async (key, options) => {
      if (key.startsWith("data/")) refused ??= key;
      if (key === refused)
        throw objectStoreError("denied", { message: "not with these credentials" });
      await fixture.store.remove(key, options);
    },
  });
  const { plan: planned, report } = await prune(repository, { graceMs: 0 });
  expect(report.outcome).toBe("incomplete");
  expect(report.refused).toEqual([refused?.slice(-64)]);
  expect(report.removed.packs).toBe(planned.remove.packs - 1);
  expect(await keysOf(fixture.store, "data/")).toHaveLength(keys.length - report.removed.packs);
  expect(await faultsOf(repository)).toEqual([]);
  // With other credentials it goes.
  const later = await prune(fixture.repository, { graceMs: 0 });
  expect(later.plan.remove.ids).toEqual(report.refused);
  expect(later.report.removed.packs).toBe(1);
});
