import { describe, expect, test } from "vitest";
import { coreOf } from "../core.ts";
import { formatIndex } from "../index/index-file.ts";
import { acquireLock } from "../lock/lock.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { flipByte, keysOf, overwrite, rows, WRITER } from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { readIndexes } from "../testing/poison.ts";
import { backUp, createSmall, openSmall } from "../testing/small-packs.ts";
import type { Repository } from "../types.ts";
import { saveUnpacked } from "../unpacked.ts";
import { executeRepairIndex, planRepairIndex } from "./repair-index.ts";
import { executeRepairPacks, planRepairPacks } from "./repair-packs.ts";
import { executeRepairSnapshots, planRepairSnapshots } from "./repair-snapshots.ts";

const EXECUTE = { owner: WRITER };

/** Plans now; what it answers carries the plan out. */
const PLANS = {
  index: async (repository: Repository) => {
    const plan = await planRepairIndex(repository);
    return () => executeRepairIndex(plan, EXECUTE);
  },
  packs: async (repository: Repository) => {
    const plan = await planRepairPacks(repository);
    return () => executeRepairPacks(plan, EXECUTE);
  },
  snapshots: async (repository: Repository) => {
    const plan = await planRepairSnapshots(repository, { forget: true });
    return () => executeRepairSnapshots(plan, EXECUTE);
  },
} as const;

/** Something for each repair: an index entry too many, a damaged pack, a file that is no snapshot. */
async function damaged(): Promise<Fixture> {
  const fixture = await createSmall();
  await backUp(fixture, { a: rows(100, "a"), b: rows(100, "b") });
  const [pack = ""] = await keysOf(fixture.store, "data/");
  await overwrite(fixture.store, pack, flipByte(3));
  const core = coreOf(fixture.repository);
  const packs = await readIndexes(core);
  await saveUnpacked(core, "index", formatIndex([...packs, { id: "0a".repeat(32), entries: [] }]));
  await fixture.store.put(`snapshots/${"0b".repeat(32)}`, [Buffer.from("garbage")]);
  return fixture;
}

async function objectsIn(store: ObjectStore): Promise<readonly string[]> {
  const keys = await keysOf(store, "");
  return keys.filter((key) => !key.startsWith("locks/"));
}

describe.for(["index", "packs", "snapshots"] as const)("a repair of %s", (what) => {
  test("does nothing beside another who holds a lock", async () => {
    const { repository, store } = await damaged();
    const execute = await PLANS[what](repository);
    const before = await objectsIn(store);
    await using _ = await acquireLock(coreOf(repository), { exclusive: false, owner: WRITER });
    await expect(execute()).rejects.toMatchObject({ code: "repository.locked" });
    expect(await objectsIn(store)).toEqual(before);
  });

  test("removes nothing once its own lock was removed by someone else", async () => {
    const fixture = await damaged();
    const { store } = fixture;
    const repository = await openSmall(fixture, {
      ...store,
      // Every write but the lock's own is followed by an `unlock` elsewhere.
      put: async (key, body, options) => {
        await store.put(key, body, options);
        if (key.startsWith("locks/")) return;
        for (const lock of await keysOf(store, "locks/")) await store.remove(lock);
      },
      list: async function* (prefix, options) {
        yield* store.list(prefix, options);
        // For a repair that writes nothing before it removes.
        if (prefix !== "sparekeep/holds/") return;
        for (const lock of await keysOf(store, "locks/")) await store.remove(lock);
      },
    });
    const execute = await PLANS[what](repository);
    const before = await objectsIn(store);
    await expect(execute()).rejects.toMatchObject({ code: "repository.lock_lost" });
    expect(await objectsIn(store)).toEqual(expect.arrayContaining([...before]));
  });
});

test("a repair of packs removes none of them once its lock is gone", async () => {
  const fixture = await damaged();
  const { store } = fixture;
  const repository = await openSmall(fixture, {
    ...store,
    remove: async (key, options) => {
      await store.remove(key, options);
      if (!key.startsWith("index/")) return;
      for (const lock of await keysOf(store, "locks/")) await store.remove(lock);
    },
  });
  const execute = await PLANS.packs(repository);
  const packs = await keysOf(store, "data/");
  await expect(execute()).rejects.toMatchObject({ code: "repository.lock_lost" });
  expect(await keysOf(store, "data/")).toEqual(expect.arrayContaining([...packs]));
});

test.for(["index", "packs"] as const)(
  "a plan for %s ends where an index came since",
  async (what) => {
    const fixture = await damaged();
    const { repository, store } = fixture;
    const execute = await PLANS[what](repository);
    await backUp(fixture, { c: rows(10, "c") });
    const before = await objectsIn(store);
    await expect(execute()).rejects.toMatchObject({ code: "repository.repair_plan_stale" });
    expect(await objectsIn(store)).toEqual(before);
  },
);
