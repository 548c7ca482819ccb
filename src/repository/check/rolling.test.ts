import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CheckablePack } from "../types.ts";
import { duePacks, readCoverage } from "./rolling.ts";

const DAY_MS = 24 * 60 * 60_000;
const START_MS = Date.UTC(2026, 0, 1);

/** A repository and what rolling checks remember of it, day by day. */
class World {
  readonly packs = new Map<string, CheckablePack>();
  readonly read = new Map<string, Date>();
  since: Date | undefined;
  lastAt: Date | undefined;
  #made = 0;

  add(sizeBytes: number, atMs: number): void {
    this.#made += 1;
    const id = this.#made.toString(16).padStart(64, "0");
    this.packs.set(id, { id, sizeBytes, storedAt: new Date(atMs) });
  }

  removeNth(n: number): void {
    const id = [...this.packs.keys()][n % Math.max(1, this.packs.size)];
    if (id !== undefined) this.packs.delete(id);
  }

  /** Answers the bytes read. */
  run(nowMs: number, withinMs: number): number {
    const now = new Date(nowMs);
    const history = {
      readAt: (id: string) => this.read.get(id),
      ...(this.since === undefined ? {} : { since: this.since }),
      ...(this.lastAt === undefined ? {} : { lastAt: this.lastAt }),
    };
    const due = duePacks([...this.packs.values()], history, { now, withinMs });
    expect(new Set(due).size).toBe(due.length);
    for (const id of due) this.read.set(id, now);
    this.since ??= now;
    this.lastAt = now;
    return due.reduce((sum, id) => sum + (this.packs.get(id)?.sizeBytes ?? 0), 0);
  }

  /** By the time that a pack was read, or stored; for what was there before the first run, that run. */
  oldestMs(nowMs: number): number {
    const ages = [...this.packs.values()].map(({ id, storedAt }) => {
      const known = this.read.get(id) ?? new Date(Math.max(+storedAt, +(this.since ?? 0)));
      return nowMs - known.getTime();
    });
    return Math.max(0, ...ages);
  }
}

const sizes = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 40 });
const changes = fc.array(
  fc.record({
    added: fc.array(fc.integer({ min: 1, max: 1000 }), { maxLength: 6 }),
    removed: fc.array(fc.nat(), { maxLength: 5 }),
  }),
  { minLength: 30, maxLength: 60 },
);
const withinDays = fc.integer({ min: 2, max: 14 });

describe("a rolling check, once a day", () => {
  test("lets no pack grow older than the time given, whatever comes and goes", () => {
    fc.assert(
      fc.property(sizes, changes, withinDays, (first, days, within) => {
        const world = new World();
        for (const size of first) world.add(size, START_MS - 400 * DAY_MS);
        for (const [day, { added, removed }] of days.entries()) {
          const nowMs = START_MS + day * DAY_MS;
          for (const size of added) world.add(size, nowMs - 1000);
          for (const n of removed) world.removeNth(n);
          world.run(nowMs, within * DAY_MS);
          // Until the next run, a day later.
          expect(world.oldestMs(nowMs + DAY_MS)).toBeLessThanOrEqual((within + 1) * DAY_MS);
          expect(world.oldestMs(nowMs)).toBeLessThanOrEqual(within * DAY_MS);
        }
      }),
    );
  });

  test("reads a part each day, not everything at once", () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 5, max: 14 }), (first, within) => {
        const world = new World();
        for (const size of first) world.add(size, START_MS - 400 * DAY_MS);
        const total = first.reduce((sum, size) => sum + size, 0);
        for (let day = 0; day < 3 * within; day += 1) {
          const readBytes = world.run(START_MS + day * DAY_MS, within * DAY_MS);
          expect(readBytes).toBeLessThanOrEqual((2 * total) / within + 2 * Math.max(...first));
        }
      }),
    );
  });

  test("makes up for missed days in the next run", () => {
    fc.assert(
      fc.property(
        sizes,
        withinDays,
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 5 }),
        (first, within, gaps) => {
          const world = new World();
          for (const size of first) world.add(size, START_MS - 400 * DAY_MS);
          let nowMs = START_MS;
          const total = first.reduce((sum, size) => sum + size, 0);
          world.run(nowMs, within * DAY_MS);
          for (const gap of gaps) {
            nowMs += gap * DAY_MS;
            const readBytes = world.run(nowMs, within * DAY_MS);
            expect(world.oldestMs(nowMs)).toBeLessThanOrEqual(within * DAY_MS);
            expect(readBytes).toBeGreaterThanOrEqual(Math.min(total, (total * gap) / within));
          }
        },
      ),
    );
  });

  test("begins with what was stored longest ago, and does not read twice on one day", () => {
    const world = new World();
    for (let age = 1; age <= 10; age += 1) world.add(100, START_MS - age * DAY_MS);
    expect(world.run(START_MS, 10 * DAY_MS)).toBe(100);
    expect([...world.read.keys()]).toEqual([(10).toString(16).padStart(64, "0")]);
    expect(world.run(START_MS, 10 * DAY_MS)).toBe(0);
  });
});

test("coverage counts what was read in time, and names the pack that waits longest", () => {
  const pack = (id: string, storedDaysAgo: number): CheckablePack => ({
    id,
    sizeBytes: 10,
    storedAt: new Date(START_MS - storedDaysAgo * DAY_MS),
  });
  const read = new Map([
    ["a", new Date(START_MS - 2 * DAY_MS)],
    ["b", new Date(START_MS - 40 * DAY_MS)],
  ]);
  const packs = [pack("a", 90), pack("b", 90), pack("c", 3)];
  const time = { now: new Date(START_MS), withinMs: 30 * DAY_MS };
  const coverage = readCoverage(packs, { readAt: (id) => read.get(id) }, time);
  expect(coverage).toEqual({
    withinMs: 30 * DAY_MS,
    totalBytes: 30,
    readBytes: 10,
    oldest: { pack: "b", ageMs: 40 * DAY_MS, everRead: true },
  });
  const fresh = readCoverage([...packs, pack("d", 50)], { readAt: (id) => read.get(id) }, time);
  expect(fresh.oldest).toEqual({ pack: "d", ageMs: 50 * DAY_MS, everRead: false });
});
