import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../objectstore/index.ts";
import { objectKey } from "../core.ts";
import { addHold, releaseHold } from "../hold/holds.ts";
import { createRepository } from "../open.ts";
import { createInlineSealer } from "../sealer.ts";
import {
  CHEAP_COST,
  createFakeClock,
  createFixture,
  keysOf,
  PASSWORD,
  saveFiles,
  seededRandom,
  WRITER,
} from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { executeRepairSnapshots, planRepairSnapshots } from "./repair-snapshots.ts";

async function withObjectLock(): Promise<Fixture> {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, objectLock: true });
  const random = seededRandom("repair");
  const context = { store, clock, random, createSealer: createInlineSealer };
  const options = { password: PASSWORD, hostname: "db-1", username: "backup", cost: CHEAP_COST };
  return { store, clock, random, repository: await createRepository(context, options) };
}

/** Two snapshots of which nothing is left but their files. */
async function ruined({ repository, store }: Fixture): Promise<readonly [string, string]> {
  const first = await saveFiles(repository, { a: "first" });
  const second = await saveFiles(repository, { a: "second" });
  for (const key of await keysOf(store, "data/")) await store.remove(key);
  return [first.id, second.id];
}

const FORGET = { forget: true };
const OWNER = { owner: WRITER };

describe("a repair that removes damaged snapshots", () => {
  test("leaves those that are held, and says who holds them", async () => {
    const fixture = await createFixture();
    const { repository, store } = fixture;
    const [held, free] = await ruined(fixture);
    const garbage = "ab".repeat(32);
    await store.put(objectKey.snapshot(garbage), [Buffer.from("garbage")]);
    const terms = { by: "ann", reason: "case 4", snapshots: [held] };
    const { id: hold } = await addHold(repository, terms, WRITER);
    const ranged = { by: "bob", reason: "spring", snapshots: [], range: { to: new Date(0) } };
    const { id: range } = await addHold(repository, ranged, WRITER);

    const plan = await planRepairSnapshots(repository, FORGET);
    expect(plan).toMatchObject({ needed: true, removed: [free], unreadable: [garbage] });
    expect(plan.beyondRepair.toSorted()).toEqual([held, free].toSorted());
    // Of the garbage no time is known: the range may be over it.
    expect(plan.kept).toEqual([
      { snapshot: held, why: "held", by: "ann", reason: "case 4" },
      { snapshot: garbage, why: "held", by: "bob", reason: "spring" },
    ]);
    const done = await executeRepairSnapshots(plan, OWNER);
    expect(done).toEqual({ written: {}, removed: 1, remaining: {} });
    expect(await keysOf(store, "snapshots/")).toEqual(
      [held, garbage].map(objectKey.snapshot).toSorted(),
    );

    for (const ended of [hold, range]) {
      await releaseHold(repository, { hold: ended, by: "ann", reason: "closed" });
    }
    await executeRepairSnapshots(await planRepairSnapshots(repository, FORGET), OWNER);
    expect(await keysOf(store, "snapshots/")).toEqual([]);
  });

  test("looks for holds again before it removes", async () => {
    const fixture = await createFixture();
    const { repository, store } = fixture;
    const [held, free] = await ruined(fixture);
    const plan = await planRepairSnapshots(repository, FORGET);
    expect(plan.removed.toSorted()).toEqual([held, free].toSorted());
    await addHold(repository, { by: "ann", reason: "case 4", snapshots: [held] }, WRITER);
    expect(await executeRepairSnapshots(plan, OWNER)).toEqual({
      written: {},
      removed: 1,
      remaining: { [held]: "held" },
    });
    expect(await keysOf(store, "snapshots/")).toEqual([objectKey.snapshot(held)]);
  });

  test("leaves those that the store's Object Lock holds, until it ends", async () => {
    const fixture = await withObjectLock();
    const { repository, store, clock } = fixture;
    const [locked, free] = await ruined(fixture);
    const until = new Date(clock.now().getTime() + 60_000);
    await store.lock?.extend(objectKey.snapshot(locked), { mode: "compliance", until });
    const plan = await planRepairSnapshots(repository, FORGET);
    expect(plan).toMatchObject({
      removed: [free],
      kept: [{ snapshot: locked, why: "locked", until }],
    });
    await executeRepairSnapshots(plan, OWNER);
    clock.advance(60_001);
    const later = await planRepairSnapshots(repository, FORGET);
    expect(later).toMatchObject({ removed: [locked], kept: [] });
  });
});
