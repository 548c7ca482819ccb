import { describe, expect, test } from "vitest";
import { createFaultyStore } from "../../objectstore/testing/index.ts";
import { objectStoreError } from "../../objectstore/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { coreOf } from "../core.ts";
import { saveRecord } from "../record/record.ts";
import {
  createFixture,
  flipByte,
  keysOf,
  overwrite,
  reopen,
  rows,
  saveFiles,
} from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { checkAndRemember, lastCheckOf } from "./check-some.ts";
import { loadReadLog, parseReadRecord, saveRead } from "./read-log.ts";
import { chooseSubset, parseReadSubset } from "./subset.ts";

const DAY_MS = 24 * 60 * 60_000;

/** Ten snapshots, each with a pack of data and one of trees of its own. */
async function createStored(): Promise<Fixture> {
  const fixture = await createFixture();
  for (let n = 0; n < 10; n += 1) {
    await saveFiles(fixture.repository, { [`t/${n}`]: rows(300, `table ${n}`) });
  }
  fixture.clock.advance(100 * DAY_MS);
  return fixture;
}

const rolling = (days: number) =>
  ({ read: { rollingMs: days * DAY_MS }, withinMs: days * DAY_MS }) as const;

describe("a rolling check", () => {
  test("reads everything once in ten days, from whichever machine it runs", async () => {
    const fixture = await createStored();
    const total = (await keysOf(fixture.store, "data/")).length;
    let read = 0;
    for (let day = 0; day < 10; day += 1) {
      const machine = await reopen(fixture, fixture.store);
      const report = await checkAndRemember(machine, rolling(10));
      expect(report.readPacks).toBeLessThanOrEqual(total / 2);
      expect(report.remembered).toBe(true);
      read += report.readPacks;
      fixture.clock.advance(DAY_MS);
    }
    expect(read).toBeGreaterThanOrEqual(total);
    const { coverage } = await checkAndRemember(fixture.repository, {
      read: "none",
      withinMs: 11 * DAY_MS,
    });
    expect(coverage.readBytes).toBe(coverage.totalBytes);
    expect(coverage.oldest?.ageMs).toBeLessThanOrEqual(11 * DAY_MS);
  });

  test("never counts a damaged pack as read, and comes back to it", async () => {
    const fixture = await createStored();
    const [key = ""] = await keysOf(fixture.store, "data/");
    await overwrite(fixture.store, key, flipByte(30));
    fixture.clock.advance(DAY_MS);
    const all = await checkAndRemember(fixture.repository, { read: "all", withinMs: 30 * DAY_MS });
    expect(all.findings.map(({ code }) => code)).toContain("blob_damaged");
    expect(all.coverage.readBytes).toBeLessThan(all.coverage.totalBytes);
    expect(all.coverage.oldest).toMatchObject({ pack: key.split("/")[2], everRead: false });
    fixture.clock.advance(DAY_MS);
    const again = await checkAndRemember(fixture.repository, rolling(30));
    expect(again.findings.map(({ code }) => code)).toContain("blob_damaged");
  });

  test("says what it did not read when the store goes away, and remembers the rest", async () => {
    const fixture = await createStored();
    const away = createFaultyStore(fixture.store, {
      decide: ({ operation, key, number }) =>
        operation === "get" && key.startsWith("data/") && number > 30 ? "fail-before" : undefined,
    });
    const report = await checkAndRemember(await reopen(fixture, away), {
      read: "all",
      withinMs: DAY_MS,
    });
    expect(report.unreadPacks).toBeGreaterThan(0);
    expect(report.unreadReason?.code).toBe("objectstore.unavailable");
    expect(report.readPacks + report.unreadPacks).toBe(report.packs);
    expect(report.goodPacks).toHaveLength(report.readPacks);
    expect(report.coverage.readBytes).toBe(report.readBytes);
  });
});

test.for(["list", "put"] as const)(
  "a check where records are denied (%s) reads and is not remembered, a rolling one is refused",
  async (operation) => {
    const fixture = await createStored();
    const denied = objectStoreError("denied", { message: "not here" });
    const isOurs = (key: string): boolean => key.startsWith("sparekeep/");
    const store: ObjectStore = {
      ...fixture.store,
      put: (key, body, options) =>
        operation === "put" && isOurs(key)
          ? Promise.reject(denied)
          : fixture.store.put(key, body, options),
      async *list(prefix, options) {
        if (operation === "list" && isOurs(prefix)) throw denied;
        yield* fixture.store.list(prefix, options);
      },
    };
    const repository = await reopen(fixture, store);
    const report = await checkAndRemember(repository, { read: "all", withinMs: DAY_MS });
    expect(report).toMatchObject({ remembered: false, findings: [], readPacks: report.packs });
    await expect(checkAndRemember(repository, rolling(10))).rejects.toThrow(
      expect.objectContaining({ code: "objectstore.denied" }),
    );
  },
);

const CHECK = {
  at: "2026-01-01T00:00:00Z",
  errors: 0,
  warnings: 0,
  packs: 1,
  readPacks: 1,
  unreadPacks: 0,
};

describe("the log of what was read", () => {
  const readOf = async ({ repository }: Fixture) => loadReadLog(coreOf(repository));

  test("is folded into one record where there are many, and forgets packs that are gone", async () => {
    const fixture = await createStored();
    const packs = (await keysOf(fixture.store, "data/")).map((key) => key.split("/")[2] ?? "");
    for (let run = 0; run < 40; run += 1) {
      await checkAndRemember(fixture.repository, rolling(10));
      expect((await keysOf(fixture.store, "sparekeep/checks/")).length).toBeLessThan(16);
      fixture.clock.advance(DAY_MS);
    }
    const log = await readOf(fixture);
    const nowMs = fixture.clock.now().getTime();
    for (const pack of packs) {
      // A day may be lost to the fold, never won.
      expect(nowMs - (log.readAt(pack)?.getTime() ?? 0)).toBeLessThanOrEqual(12 * DAY_MS);
    }
    const existing = packs.slice(1);
    for (let run = 0; run < 16; run += 1) {
      await saveRead(coreOf(fixture.repository), await readOf(fixture), {
        at: new Date(run),
        packs: [],
        existing,
      });
    }
    expect((await readOf(fixture)).readAt(packs[0] ?? "")).toBeUndefined();
  });

  test("stays whole where nothing may be deleted", async () => {
    const fixture = await createStored();
    const denied = objectStoreError("denied", { message: "no removal" });
    const store: ObjectStore = {
      ...fixture.store,
      remove: (key, options) =>
        key.startsWith("sparekeep/") ? Promise.reject(denied) : fixture.store.remove(key, options),
    };
    const repository = await reopen(fixture, store);
    for (let run = 0; run < 20; run += 1) {
      await checkAndRemember(repository, rolling(10));
      fixture.clock.advance(DAY_MS);
    }
    const { coverage } = await checkAndRemember(repository, {
      read: "none",
      withinMs: 12 * DAY_MS,
    });
    expect(coverage.readBytes).toBe(coverage.totalBytes);
  });

  test("believes no time later than the store had the record, and no record that is damaged", async () => {
    const fixture = await createStored();
    const [pack = ""] = (await keysOf(fixture.store, "data/")).map(
      (key) => key.split("/")[2] ?? "",
    );
    const core = coreOf(fixture.repository);
    const at = new Date(fixture.clock.now().getTime() + 500 * DAY_MS);
    await saveRead(core, await readOf(fixture), { at, packs: [pack], existing: [pack] });
    expect((await readOf(fixture)).readAt(pack)).toEqual(fixture.clock.now());
    const [key = ""] = await keysOf(fixture.store, "sparekeep/checks/");
    await overwrite(fixture.store, key, flipByte(20));
    await saveRecord(core, "checks", { version: 9 });
    const log = await readOf(fixture);
    expect(log.readAt(pack)).toBeUndefined();
    expect(log.damaged).toBe(2);
  });

  test("says what the last check found, through folds, and of records of before nothing", async () => {
    const fixture = await createStored();
    const { repository, store, clock } = fixture;
    await saveRecord(coreOf(repository), "checks", {
      version: 1,
      since: clock.now().toISOString(),
      reads: [],
    });
    expect(await lastCheckOf(repository)).toBeUndefined();
    await checkAndRemember(repository, { read: "none", withinMs: DAY_MS });
    const structure = await lastCheckOf(repository);
    expect(structure).toMatchObject({ at: clock.now(), errors: 0, readPacks: 0, unreadPacks: 0 });
    clock.advance(DAY_MS);
    const [pack = ""] = await keysOf(store, "data/");
    await store.remove(pack);
    await checkAndRemember(repository, { read: "none", withinMs: DAY_MS });
    const found = await lastCheckOf(repository);
    expect(found?.errors).toBeGreaterThan(0);
    for (let run = 0; run < 16; run += 1) {
      const read = { at: new Date(0), packs: [], existing: [] };
      await saveRead(coreOf(repository), await readOf(fixture), read);
    }
    expect(await lastCheckOf(repository)).toEqual(found);
  });

  test("is compact: a hundred thousand packs to a record of less than 2 MB", async () => {
    const fixture = await createFixture();
    const packs = Array.from({ length: 150_000 }, (_, i) =>
      Buffer.from(`${i}`.padStart(32, "x")).toString("hex"),
    );
    const at = fixture.clock.now();
    await saveRead(coreOf(fixture.repository), await readOf(fixture), {
      at,
      packs,
      existing: packs,
    });
    const records = await Array.fromAsync(fixture.store.list("sparekeep/checks/"));
    expect(records).toHaveLength(2);
    for (const { sizeBytes } of records) expect(sizeBytes).toBeLessThan(2_000_000);
    const log = await readOf(fixture);
    expect(packs.every((pack) => log.readAt(pack)?.getTime() === at.getTime())).toBe(true);
  });

  test.for([
    {},
    { version: 1 },
    { version: 1, since: "2026-01-01T00:00:00Z", reads: [{ at: "x" }] },
    { version: 3, since: "2026-01-01T00:00:00Z", reads: [] },
    { version: 2, since: "2026-01-01T00:00:00Z", reads: [], check: { errors: 0 } },
    {
      version: 2,
      since: "2026-01-01T00:00:00Z",
      reads: [],
      check: { ...CHECK, errors: -1 },
    },
  ])("does not take %j for a record", (fields) => {
    expect(parseReadRecord(fields)).toBeUndefined();
  });
});

describe("a subset", () => {
  test.for([
    ["1/5", { part: 1, of: 5 }],
    ["256/256", { part: 256, of: 256 }],
    ["10%", { percent: 10 }],
    ["0.5%", { percent: 0.5 }],
    ["50M", { bytes: 50 * 1024 * 1024 }],
    ["2G", { bytes: 2 * 1024 ** 3 }],
    ["0/5", undefined],
    ["6/5", undefined],
    ["1/257", undefined],
    ["0%", undefined],
    ["101%", undefined],
    ["", undefined],
    ["all", undefined],
  ] as const)("%s is %j", ([text, subset]) => {
    expect(parseReadSubset(text)).toEqual(subset);
  });

  const packs = Array.from({ length: 512 }, (_, i) => ({
    id: (i % 256).toString(16).padStart(2, "0").padEnd(64, "0"),
    sizeBytes: 10,
    storedAt: new Date(0),
  }));
  const random = (size: number): Uint8Array => crypto.getRandomValues(new Uint8Array(size));

  test("of parts is every pack once", () => {
    const parts = [1, 2, 3].map((part) => chooseSubset(packs, { part, of: 3 }, random));
    expect(parts.flat().toSorted()).toEqual(packs.map(({ id }) => id).toSorted());
  });

  test("by percentage and size is so much, and never nothing", () => {
    expect(chooseSubset(packs, { percent: 25 }, random)).toHaveLength(128);
    expect(chooseSubset(packs, { percent: 0.001 }, random)).toHaveLength(1);
    expect(chooseSubset(packs, { bytes: 101 }, random)).toHaveLength(10);
    expect(chooseSubset(packs, { bytes: 1 }, random)).toHaveLength(1);
  });
});
