import { describe, expect, test } from "vitest";
import type { Snapshot } from "../types.ts";
import { keysOf, rows } from "../testing/fixtures.ts";
import { backUp, createSmall, DAY_MS, faultsOf, forget, prune } from "../testing/small-packs.ts";
import { groupByLifetime } from "./needs.ts";

/** Days that the snapshots of a plan are kept. */
const KEEP_DAYS: Readonly<Record<string, number>> = { short: 1, middle: 3, long: 40 };

function lifetimeDays({ tags }: Snapshot): number {
  return KEEP_DAYS[(tags[0] ?? "").replace("plan=", "")] ?? 0;
}

interface Rewritten {
  readonly copiedBytes: number;
  readonly removedBytes: number;
  readonly unusedBytes: number;
}

/** So many days of three plans that share what they store, a forget and a prune every day. */
async function live(days: number, aware: boolean): Promise<Rewritten> {
  const fixture = await createSmall("lifetimes");
  const { store, clock, repository } = fixture;
  const sum = { copiedBytes: 0, removedBytes: 0, unusedBytes: 0 };
  for (let day = 0; day < days; day += 1) {
    const long = { long: rows(60, `long ${day}`) };
    const middle = { ...long, middle: rows(60, `middle ${day}`) };
    await backUp(fixture, { ...middle, short: rows(60, `short ${day}`) }, "short");
    await backUp(fixture, middle, "middle");
    await backUp(fixture, long, "long");
    clock.advance(DAY_MS);
    for (const snapshot of await repository.snapshots()) {
      const ageDays = (clock.now().getTime() - snapshot.time.getTime()) / DAY_MS;
      if (ageDays >= lifetimeDays(snapshot)) await forget(store, snapshot.id);
    }
    const { plan, report } = await prune(repository, {
      maxUnused: { bytes: 0 },
      graceMs: DAY_MS / 2,
      ...(aware ? { lifetimeDays } : {}),
    });
    sum.copiedBytes += report.copied.bytes;
    sum.removedBytes += report.removed.bytes;
    sum.unusedBytes += plan.unusedAfterBytes;
  }
  expect(await faultsOf(repository)).toEqual([]);
  return sum;
}

describe("packs filled by lifetime", () => {
  test("expire whole: much less is written again than without regard to it", async () => {
    const aware = await live(10, true);
    const blind = await live(10, false);
    expect(aware.unusedBytes).toBe(0);
    expect(blind.unusedBytes).toBe(0);
    expect(aware.removedBytes).toBeGreaterThan(0);
    // What stays is copied once, when the short-lived part of its pack expires, and not again when the middle one does.
    expect(aware.copiedBytes).toBeLessThan(blind.copiedBytes * 0.8);
  });

  test("of two plans that share nothing are never rewritten", async () => {
    const fixture = await createSmall();
    const { store, clock, repository } = fixture;
    for (let day = 0; day < 8; day += 1) {
      await backUp(fixture, { table: rows(150, `short ${day}`) }, "short");
      await backUp(fixture, { other: rows(150, `middle ${day}`) }, "middle");
      clock.advance(DAY_MS);
      for (const snapshot of await repository.snapshots()) {
        const ageDays = (clock.now().getTime() - snapshot.time.getTime()) / DAY_MS;
        if (ageDays >= lifetimeDays(snapshot)) await forget(store, snapshot.id);
      }
      const { plan, report } = await prune(repository, { maxUnused: { bytes: 0 }, lifetimeDays });
      expect([plan.repack.packs, report.copied.bytes]).toEqual([0, 0]);
    }
  });

  test("snapshots are grouped from the longest-lived on, in eight groups at most", () => {
    const groups = groupByLifetime([1, 5, 5, 3, Infinity], (days) => days);
    expect(groups).toEqual([[Infinity], [5, 5], [3], [1]]);
    const many = groupByLifetime(
      Array.from({ length: 30 }, (_, i) => i),
      (days) => days,
    );
    expect(many).toHaveLength(8);
    expect(many.at(-1)).toHaveLength(23);
  });
});

describe("index files", () => {
  test("of many runs are merged into one, and left alone after that", async () => {
    const fixture = await createSmall();
    for (let run = 0; run < 12; run += 1) await backUp(fixture, { table: rows(30, `run ${run}`) });
    expect(await keysOf(fixture.store, "index/")).toHaveLength(12);
    const { plan } = await prune(fixture.repository);
    expect(plan.indexes).toEqual({ all: 12, replaced: 12 });
    const merged = await keysOf(fixture.store, "index/");
    expect(merged).toHaveLength(1);
    expect(await faultsOf(fixture.repository)).toEqual([]);
    await prune(fixture.repository);
    expect(await keysOf(fixture.store, "index/")).toEqual(merged);
  });

  test("small packs of one kind are merged where asked for, once", async () => {
    const fixture = await createSmall();
    for (let run = 0; run < 6; run += 1) await backUp(fixture, { table: rows(60, `run ${run}`) });
    const options = { repackSmallerThanBytes: 12_000, graceMs: 0 };
    const before = (await keysOf(fixture.store, "data/")).length;
    const { plan } = await prune(fixture.repository, options);
    expect(plan.repack.packs).toBe(before);
    const after = await keysOf(fixture.store, "data/");
    expect(after.length).toBeLessThan(before / 2);
    const again = await prune(fixture.repository, options);
    expect(again.plan.repack.packs).toBe(0);
    expect(await faultsOf(fixture.repository)).toEqual([]);
  });
});
