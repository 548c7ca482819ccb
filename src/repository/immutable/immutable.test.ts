import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../objectstore/index.ts";
import type { MemoryStore, ObjectLock, ObjectStore, Retention } from "../../objectstore/index.ts";
import { objectStoreError } from "../../objectstore/index.ts";
import { coreOf, objectKey } from "../core.ts";
import { formatIndex } from "../index/index-file.ts";
import { indexFiles } from "../index/load-index.ts";
import { createRepository } from "../open.ts";
import { createInlineSealer } from "../sealer.ts";
import {
  CHEAP_COST,
  createFakeClock,
  keysOf,
  PASSWORD,
  reopen,
  rows,
  seededRandom,
  streamOf,
  TABLE,
  WRITER,
} from "../testing/fixtures.ts";
import type { Files, Fixture } from "../testing/fixtures.ts";
import type { PointLock, Repository, Snapshot, SnapshotSummary } from "../types.ts";
import { saveUnpacked } from "../unpacked.ts";
import { extendLocks } from "./extend-locks.ts";
import { lockedUntil } from "./locked-until.ts";
import { lockIndexes } from "./lock-indexes.ts";
import { lockSnapshot, lockTree, storeTime } from "./lock-snapshot.ts";

const DAY_MS = 86_400_000;
/** Seven years behind ours. */
const STORE_START_MS = new Date("2019-01-01T00:00:00.500Z").getTime();

interface Locked extends Fixture {
  /** The store's clock. */
  readonly storeTime: () => Date;
}

async function createLocked(): Promise<Locked> {
  const clock = createFakeClock();
  const startedMs = clock.now().getTime();
  const storeTime = (): Date => new Date(STORE_START_MS + clock.now().getTime() - startedMs);
  const store = createMemoryStore({ clock: { now: storeTime }, objectLock: true });
  const random = seededRandom("locked");
  const context = { store, clock, random, createSealer: createInlineSealer, packBytes: 30_000 };
  const options = { password: PASSWORD, hostname: "db-1", username: "backup", cost: CHEAP_COST };
  return { store, clock, random, storeTime, repository: await createRepository(context, options) };
}

function days(count: number, mode: PointLock["mode"] = "governance"): PointLock {
  return { mode, until: (storeTime) => new Date(storeTime.getTime() + count * DAY_MS) };
}

async function save(
  repository: Repository,
  files: Files,
  lock?: PointLock,
): Promise<{ snapshot: Snapshot; summary: SnapshotSummary }> {
  await using writer = await repository.acquireWriter(
    lock === undefined ? WRITER : { ...WRITER, lock },
  );
  for (const [path, content] of Object.entries(files)) {
    await writer.saveFile(path.split("/"), streamOf(content), TABLE);
  }
  const summary = await writer.commit({ time: new Date(0), paths: ["/db"], tags: [] });
  return { summary, snapshot: await repository.resolveSnapshot(summary.id) };
}

async function retentions(store: ObjectStore): Promise<Map<string, Retention | undefined>> {
  const found = new Map<string, Retention | undefined>();
  for (const key of await neededKeys(store)) found.set(key, await store.lock?.retentionOf(key));
  return found;
}

/** Records carry no lock. */
async function neededKeys(store: ObjectStore): Promise<readonly string[]> {
  return (await keysOf(store, "")).filter((key) => !key.startsWith("sparekeep/"));
}

/** The same store with another lock over it. */
function withLock(
  store: MemoryStore,
  change: (lock: ObjectLock) => Partial<ObjectLock>,
): ObjectStore {
  if (store.lock === undefined) throw new Error("no lock");
  return { ...store, lock: { ...store.lock, ...change(store.lock) } };
}

describe("a writer with a lock", () => {
  test("locks all that the snapshot needs before the snapshot is put, by the store's clock", async () => {
    const fixture = await createLocked();
    const calls: string[] = [];
    const store = withLock(fixture.store, (lock) => ({
      extend: async (key, retention) => {
        calls.push(`lock ${key.split("/")[0] ?? ""}`);
        await lock.extend(key, retention);
      },
    }));
    const recording: ObjectStore = {
      ...store,
      put: async (key, body, options) => {
        calls.push(`put ${key.split("/")[0] ?? ""}`);
        await store.put(key, body, options);
      },
    };
    const repository = await reopen(fixture, recording);
    const { summary } = await save(repository, { a: rows(300) }, days(30));
    const until = new Date("2019-01-31T00:00:01.000Z");
    expect(summary.lockedUntil).toEqual(until);
    for (const [key, retention] of await retentions(fixture.store)) {
      expect([key, retention]).toEqual([key, { mode: "governance", until }]);
    }
    const at = calls.indexOf("put snapshots");
    expect(new Set(calls.slice(0, at).filter((call) => call.startsWith("lock ")))).toEqual(
      new Set(["lock data", "lock index", "lock config", "lock keys"]),
    );
    expect(calls.slice(at)).toEqual(["put snapshots", "lock snapshots"]);
  });

  test("extends what an older snapshot wrote and this one needs, and nothing else", async () => {
    const { repository, store, clock } = await createLocked();
    const first = await save(repository, { kept: rows(200), gone: rows(200, "gone") }, days(30));
    const before = await retentions(store);
    clock.advance(10 * DAY_MS);
    const second = await save(repository, { kept: rows(200), fresh: rows(200, "new") }, days(30));
    const after = await retentions(store);
    const older = [...before].filter(([key]) => key.startsWith("data/"));
    const extended = older.filter(
      ([key, held]) => after.get(key)?.until.getTime() !== held?.until.getTime(),
    );
    expect(extended.length).toBeGreaterThan(0);
    expect(extended.length).toBeLessThan(older.length);
    expect(await lockedUntil(repository, second.snapshot)).toMatchObject({
      until: new Date("2019-02-10T00:00:01.000Z"),
    });
    expect(await lockedUntil(repository, first.snapshot)).toMatchObject({
      until: new Date("2019-01-31T00:00:01.000Z"),
    });
  });

  test("leaves lock files and records of ours without one", async () => {
    const { repository, store } = await createLocked();
    await store.put("sparekeep/journal/1", [Buffer.from("segment")]);
    await save(repository, { a: "a" }, days(30));
    const versions = await Array.fromAsync(store.versions?.list("locks/") ?? []);
    expect(versions.length).toBeGreaterThan(2);
    for (const { key, version } of versions) await store.deleteVersion(key, version);
    expect(await store.lock?.retentionOf("sparekeep/journal/1")).toBeUndefined();
  });

  test("without one locks nothing", async () => {
    const { repository, store } = await createLocked();
    const { snapshot, summary } = await save(repository, { a: "a" });
    expect(summary).not.toHaveProperty("lockedUntil");
    expect(new Set((await retentions(store)).values())).toEqual(new Set([undefined]));
    expect(await lockedUntil(repository, snapshot)).toBeUndefined();
  });

  test("is refused by a store that has no Object Lock, before anything is written", async () => {
    const fixture = await createLocked();
    const { lock: _lock, ...store } = fixture.store;
    const repository = await reopen(fixture, store);
    const before = await keysOf(store, "");
    await expect(repository.acquireWriter({ ...WRITER, lock: days(1) })).rejects.toMatchObject({
      code: "repository.object_lock_missing",
    });
    expect(await keysOf(store, "")).toEqual(before);
  });
});

describe("a lock that does not come about leaves no snapshot", () => {
  const LIES: readonly [string, (lock: ObjectLock) => Partial<ObjectLock>, string][] = [
    [
      "the store denies it",
      () => ({ extend: () => Promise.reject(objectStoreError("denied", { message: "no right" })) }),
      "objectstore.denied",
    ],
    ["the store does nothing", () => ({ extend: async () => {} }), "repository.object_lock_short"],
    [
      "the store holds for a day less",
      (lock) => ({
        extend: (key, { mode, until }) =>
          lock.extend(key, { mode, until: new Date(until.getTime() - DAY_MS) }),
      }),
      "repository.object_lock_short",
    ],
    [
      "the store holds in a weaker mode",
      (lock) => ({ extend: (key, { until }) => lock.extend(key, { mode: "governance", until }) }),
      "repository.object_lock_short",
    ],
    [
      "the snapshot alone cannot be locked",
      (lock) => ({
        extend: (key, retention) =>
          key.startsWith("snapshots/") ? Promise.resolve() : lock.extend(key, retention),
      }),
      "repository.object_lock_short",
    ],
    [
      "one old pack cannot be locked",
      (lock) => ({
        extend: (key, retention) =>
          key.startsWith("data/") ? Promise.resolve() : lock.extend(key, retention),
      }),
      "repository.object_lock_short",
    ],
  ];

  test.for(LIES)("where %s", async ([, change, code]) => {
    const fixture = await createLocked();
    await save(fixture.repository, { a: rows(100) });
    const before = await keysOf(fixture.store, "snapshots/");
    const repository = await reopen(fixture, withLock(fixture.store, change));
    const attempt = save(repository, { a: rows(100) }, days(30, "compliance"));
    await expect(attempt).rejects.toMatchObject({ code });
    expect(await keysOf(fixture.store, "snapshots/")).toEqual(before);
    expect(await keysOf(fixture.store, "locks/")).toEqual([]);
  });
});

test("cut at every lock, a backup leaves no snapshot, and the next one is whole and locked", async () => {
  const fixture = await createLocked();
  await save(fixture.repository, { a: rows(100) }, days(30));
  let cuts = 0;
  for (let cut = 0; ; cut += 1) {
    const base = fixture.store.fork();
    let calls = 0;
    const cutting = withLock(base, (lock) => ({
      extend: async (key, retention) => {
        calls += 1;
        if (calls > cut) throw objectStoreError("unavailable", { message: "cut" });
        await lock.extend(key, retention);
      },
    }));
    const attempt = save(await reopen(fixture, cutting), { a: rows(100), b: "b" }, days(30));
    const outcome = await attempt.then(
      () => "done",
      () => "cut",
    );
    expect(await keysOf(base, "snapshots/")).toHaveLength(outcome === "cut" ? 1 : 2);
    const repository = await reopen(fixture, base);
    const { snapshot, summary } = await save(repository, { a: rows(100), c: "c" }, days(30));
    expect((await lockedUntil(repository, snapshot))?.until).toEqual(summary.lockedUntil);
    if (outcome === "done") break;
    cuts += 1;
  }
  // Config, key, index, packs and the snapshot, of two runs.
  expect(cuts).toBeGreaterThan(5);
});

describe("lockedUntil", () => {
  async function locked(): Promise<Locked & { snapshot: Snapshot }> {
    const fixture = await createLocked();
    const { repository } = fixture;
    const { snapshot } = await save(repository, { "a/b": rows(300), c: rows(300, "c") });
    const until = new Date(STORE_START_MS + 10 * DAY_MS);
    await lockSnapshot(repository, snapshot, { mode: "compliance", until });
    return { ...fixture, snapshot };
  }

  test("is the least of everything that the point needs, in the weakest mode", async () => {
    const { repository, store, snapshot } = await locked();
    const held = await lockedUntil(repository, snapshot);
    expect(held).toEqual({ mode: "compliance", until: new Date("2019-01-11T00:00:01.000Z") });
    const later = new Date("2020-01-01T00:00:00Z");
    const keys = await keysOf(store, "");
    for (const key of keys) {
      await store.lock?.extend(key, { mode: "compliance", until: later });
    }
    expect((await lockedUntil(repository, snapshot))?.until).toEqual(later);
  });

  test.for(["config", "keys", "index", "data", "snapshots"])(
    "misses the lock of one object in %s",
    async (folder) => {
      const { repository, store, snapshot } = await locked();
      const [key = ""] = (await keysOf(store, "")).filter((found) => found.startsWith(folder));
      // Over it, as an intruder puts: the newest version carries no lock.
      await store.put(key, [await store.get(key)]);
      expect(await lockedUntil(repository, snapshot)).toBeUndefined();
      const until = new Date(STORE_START_MS + 5 * DAY_MS);
      await store.lock?.extend(key, { mode: "governance", until });
      expect(await lockedUntil(repository, snapshot)).toEqual({ mode: "governance", until });
    },
  );

  test("of a blob in two packs one held pack is enough", async () => {
    const fixture = await locked();
    const { repository, store, snapshot, random, clock } = fixture;
    const held = await lockedUntil(repository, snapshot);
    // Another writer that knew nothing of the first stored the same file: its pack and index come over.
    const other = createMemoryStore({ clock });
    for await (const { key } of store.list("")) {
      if (/^(config|keys)/.test(key)) await other.put(key, [await store.get(key)]);
    }
    const twin = await reopen({ ...fixture, store: other, random }, other);
    await save(twin, { "a/b": rows(300), c: rows(300, "c") });
    for await (const { key } of other.list("")) {
      if (/^(data|index)/.test(key)) await store.put(key, [await other.get(key)]);
    }
    expect((await repository.acquireReader()).conflicts.length).toBeGreaterThan(0);
    expect(await lockedUntil(repository, snapshot)).toEqual(held);
  });

  test("asks once for each object", async () => {
    const fixture = await locked();
    const asked: string[] = [];
    let [running, most] = [0, 0];
    const store = withLock(fixture.store, (lock) => ({
      retentionOf: async (key) => {
        asked.push(key);
        running += 1;
        most = Math.max(most, running);
        await Promise.resolve();
        running -= 1;
        return await lock.retentionOf(key);
      },
    }));
    await lockedUntil(await reopen(fixture, store), fixture.snapshot);
    expect(asked.toSorted()).toEqual(await neededKeys(fixture.store));
    expect(most).toBeLessThanOrEqual(16);
  });
});

describe("index files that a prune writes anew", () => {
  test("are locked as long as the packs that they list", async () => {
    const { repository, store, clock, storeTime } = await createLocked();
    const first = await save(repository, { a: rows(200) }, days(30));
    clock.advance(DAY_MS);
    await save(repository, { b: rows(200, "b") }, days(30, "compliance"));
    const core = coreOf(repository);
    const packs = [];
    const old: string[] = [];
    for await (const loaded of indexFiles(core)) {
      if ("error" in loaded) throw loaded.error;
      packs.push(...loaded.packs);
      old.push(loaded.id);
    }
    const { id } = await saveUnpacked(core, "index", formatIndex(packs));
    for (const gone of old) await store.remove(objectKey.index(gone));
    expect(await lockedUntil(repository, first.snapshot)).toBeUndefined();
    await lockIndexes(repository, { indexes: [id], storeTime: storeTime() });
    expect(await store.lock?.retentionOf(objectKey.index(id))).toEqual({
      mode: "compliance",
      until: new Date("2019-02-01T00:00:01.000Z"),
    });
    expect((await lockedUntil(repository, first.snapshot))?.until).toEqual(
      first.summary.lockedUntil,
    );
  });

  test("carry none where no pack does any more", async () => {
    const { repository, store, clock, storeTime } = await createLocked();
    await save(repository, { a: rows(200) }, days(3));
    const [index = ""] = await keysOf(store, "index/");
    clock.advance(4 * DAY_MS);
    const before = await store.lock?.retentionOf(index);
    await lockIndexes(repository, { storeTime: storeTime() });
    expect(await store.lock?.retentionOf(index)).toEqual(before);
  });
});

describe("a tree that was brought from elsewhere", () => {
  test("is locked with all that it needs before its snapshot, by the store's clock", async () => {
    const { repository, store, storeTime: now } = await createLocked();
    const { snapshot } = await save(repository, { "a/b": rows(300), c: "c" });
    await save(repository, { other: rows(300, "other") });
    await expect(storeTime(repository)).rejects.toMatchObject({ code: "kernel.bug" });
    await using _lock = await repository.acquireWriter(WRITER);
    expect(await storeTime(repository)).toEqual(now());
    const until = new Date(STORE_START_MS + 20 * DAY_MS);
    await lockTree(repository, snapshot.tree, { mode: "governance", until });
    const held = await retentions(store);
    expect(held.get(objectKey.snapshot(snapshot.id))).toBeUndefined();
    expect(held.get("config")).toBeDefined();
    const packs = [...held].filter(([key]) => key.startsWith("data/"));
    expect(packs.some(([, retention]) => retention === undefined)).toBe(true);
    await extendLocks(repository, [objectKey.snapshot(snapshot.id)], { mode: "governance", until });
    const whole = await lockedUntil(repository, snapshot);
    expect(whole?.until.getTime()).toBeGreaterThanOrEqual(until.getTime());
  });
});

describe("extendLocks", () => {
  test("never shortens, and stops at the first that cannot be held", async () => {
    const { repository, store } = await createLocked();
    const { summary } = await save(repository, { a: "a" }, days(30));
    const sooner: Retention = { mode: "governance", until: new Date("2019-01-02T00:00:00Z") };
    await extendLocks(repository, ["config"], sooner);
    expect((await store.lock?.retentionOf("config"))?.until).toEqual(summary.lockedUntil);
    await expect(extendLocks(repository, ["data/00/x"], sooner)).rejects.toMatchObject({
      code: "objectstore.not_found",
    });
  });
});
