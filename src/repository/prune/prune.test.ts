import { describe, expect, test } from "vitest";
import { AppError } from "../../kernel/index.ts";
import { formatIndex } from "../index/index-file.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { acquireLock } from "../lock/lock.ts";
import { formatLock } from "../lock/lock-file.ts";
import { contentOf, keysOf, rows, WRITER } from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { addIndex, coreOf, readIndexes } from "../testing/poison.ts";
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
  storedBytes,
} from "../testing/small-packs.ts";
import type { Repository } from "../types.ts";
import { saveUnpacked } from "../unpacked.ts";
import { executePrune } from "./execute.ts";
import { releasePlan } from "./state.ts";

async function fileOf(repository: Repository, id: string, path: string): Promise<string> {
  const reader = await repository.acquireReader();
  const snapshot = await repository.resolveSnapshot(id);
  const entry = await reader.find(snapshot, path.split("/"));
  return Buffer.from(await contentOf(reader, entry)).toString("utf8");
}

/** Two snapshots that share one table and have one each of their own. */
async function withTwo(seed?: string): Promise<Fixture & { first: string; second: string }> {
  const fixture = await createSmall(seed);
  const shared = rows(1500, "shared");
  const first = await backUp(fixture, { shared, old: rows(1500, "old") });
  fixture.clock.advance(HOUR_MS);
  const second = await backUp(fixture, { shared, new: rows(1500, "new") });
  return { ...fixture, first, second };
}

async function thrownBy(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "no error",
    (thrown: unknown) => (thrown instanceof AppError ? thrown.code : String(thrown)),
  );
}

describe("a prune in two phases", () => {
  test("marks what nobody needs, and removes it after the grace period", async () => {
    const { store, clock, repository, first, second } = await withTwo();
    await forget(store, first);
    const before = await storedBytes(store);
    const marking = await prune(repository, { maxUnused: { bytes: 0 } });
    expect(marking.plan).toMatchObject({ snapshots: [second], missing: [], suspect: [] });
    expect(marking.plan.mark.packs).toBeGreaterThan(0);
    expect(marking.plan.remove.packs).toBe(0);
    expect(marking.plan.freedNowBytes).toBe(0);
    expect(marking.plan.freedLater).toEqual([
      {
        until: new Date(clock.now().getTime() + DAY_MS),
        because: "grace",
        packs: marking.plan.mark.packs + marking.plan.repack.packs,
        bytes: marking.plan.mark.bytes + marking.plan.repack.bytes,
      },
    ]);
    expect(marking.report.outcome).toBe("complete");
    expect(marking.report.removed.packs).toBe(0);
    expect(await faultsOf(repository)).toEqual([]);

    clock.advance(DAY_MS - 1000);
    const early = await prune(repository);
    expect(early.plan.remove.packs).toBe(0);
    expect(early.report.marked.packs).toBe(0);

    clock.advance(2000);
    const removing = await prune(repository);
    expect(removing.plan.remove.bytes).toBe(marking.plan.mark.bytes + marking.plan.repack.bytes);
    expect(removing.report.removed).toEqual({
      packs: removing.plan.remove.packs,
      bytes: removing.plan.remove.bytes,
    });
    expect(await storedBytes(store)).toBeLessThan(before * 0.75);
    expect(await faultsOf(repository)).toEqual([]);
    expect(await fileOf(repository, second, "shared")).toBe(rows(1500, "shared").toString());
    expect(await fileOf(repository, second, "new")).toBe(rows(1500, "new").toString());
    // Nothing is left to do, and a plan says so.
    const nothing = await plan(repository);
    expect([nothing.mark.packs, nothing.remove.packs, nothing.repack.packs]).toEqual([0, 0, 0]);
    expect(nothing.freedLater).toEqual([]);
    expect(await keysOf(store, "locks/")).toEqual([]);
  });

  test("with no grace removes at once", async () => {
    const { store, repository, first, second } = await withTwo();
    await forget(store, first);
    const { plan: planned, report } = await prune(repository, {
      graceMs: 0,
      maxUnused: { bytes: 0 },
    });
    expect(report.removed.bytes).toBe(planned.freedNowBytes);
    expect(report.removed.packs).toBeGreaterThan(2);
    expect(await faultsOf(repository)).toEqual([]);
    const after = await plan(repository, { maxUnused: { bytes: 0 } });
    expect(after.unused).toEqual({ blobs: 0, bytes: 0 });
    expect(after.keep.bytes).toBe(await storedBytes(store));
    expect(await fileOf(repository, second, "new")).toBe(rows(1500, "new").toString());
  });

  test("a marked pack is there for whoever read the index before, and for no new writer", async () => {
    const fixture = await withTwo();
    const { store, repository, first } = fixture;
    const old = await repository.resolveSnapshot(first);
    await forget(store, first);
    const early = await repository.acquireReader();
    await prune(repository, { maxUnused: { bytes: 0 } });
    const late = await repository.acquireReader();
    for (const reader of [early, late]) {
      const entry = await reader.find(old, ["old"]);
      expect(Buffer.from(await contentOf(reader, entry)).equals(rows(1500, "old"))).toBe(true);
    }
    expect(late.conflicts).toEqual([]);
    await using writer = await repository.acquireWriter(WRITER);
    const content = async function* () {
      yield rows(1500, "old");
    };
    const saved = await writer.saveFile(["old"], content(), {
      kind: "table",
      modifiedAt: new Date(0),
    });
    expect(saved.newBytes).toBeGreaterThan(10_000);
  });

  test("what a snapshot without a lock needs of a marked pack is taken back", async () => {
    const { store, clock, repository, first, second } = await withTwo();
    const file = await store.get(`snapshots/${first}`);
    await forget(store, first);
    await prune(repository, { maxUnused: { bytes: 0 } });
    // As a writer would that read the index before the mark, held no lock, and commits now.
    await store.put(`snapshots/${first}`, [file]);
    clock.advance(2 * DAY_MS);
    const { plan: planned, report } = await prune(repository);
    expect(planned.recover.packs).toBeGreaterThan(0);
    expect(report.recovered).toEqual({
      packs: planned.recover.packs,
      bytes: planned.recover.bytes,
    });
    expect(await faultsOf(repository)).toEqual([]);
    expect(await fileOf(repository, first, "old")).toBe(rows(1500, "old").toString());
    expect(await fileOf(repository, second, "new")).toBe(rows(1500, "new").toString());
  });

  test("a snapshot that appears between plan and execution keeps what it needs", async () => {
    const { store, repository, first, second } = await withTwo();
    const file = await store.get(`snapshots/${first}`);
    await forget(store, first);
    const planned = await plan(repository, { graceMs: 0, maxUnused: { bytes: 0 } });
    expect(planned.remove.packs).toBeGreaterThan(0);
    await store.put(`snapshots/${first}`, [file]);
    const report = await executePrune(repository, planned, { owner: WRITER });
    expect(report.keptAfterAll.length).toBeGreaterThan(0);
    expect(await faultsOf(repository)).toEqual([]);
    expect(await fileOf(repository, first, "old")).toBe(rows(1500, "old").toString());
    expect(await fileOf(repository, second, "new")).toBe(rows(1500, "new").toString());
  });

  test("a snapshot that appears while blobs are copied keeps what it needs", async () => {
    const fixture = await withTwo();
    const { store, first, second } = fixture;
    const file = await store.get(`snapshots/${first}`);
    await forget(store, first);
    let locks = 0;
    const repository = await openSmall(fixture, {
      ...store,
      remove: async (key, options) => {
        await store.remove(key, options);
        // The plan's lock goes, then the one under which blobs are copied.
        if (key.startsWith("locks/") && ++locks === 2)
          await store.put(`snapshots/${first}`, [file]);
      },
    });
    const { report } = await prune(repository, { graceMs: 0, maxUnused: { bytes: 0 } });
    expect(report.keptAfterAll.length).toBeGreaterThan(0);
    expect(await faultsOf(repository)).toEqual([]);
    expect(await fileOf(repository, first, "old")).toBe(rows(1500, "old").toString());
    expect(await fileOf(repository, second, "new")).toBe(rows(1500, "new").toString());
  });

  test("a snapshot that appears between two slices has its packs listed again", async () => {
    const fixture = await withTwo();
    const { store, first } = fixture;
    const file = await store.get(`snapshots/${first}`);
    await forget(store, first);
    let isOver = false;
    const repository = await openSmall(fixture, {
      ...store,
      remove: async (key, options) => {
        await store.remove(key, options);
        if (key.startsWith("index/") && !isOver) {
          // The slice has no time left for the packs that are in no index any more.
          isOver = true;
          fixture.clock.advance(241_000);
        }
        if (key.startsWith("locks/") && isOver) await store.put(`snapshots/${first}`, [file]);
      },
    });
    await prune(repository, { graceMs: 0, maxUnused: { bytes: 0 } });
    expect(await faultsOf(repository)).toEqual([]);
    expect(await fileOf(repository, first, "old")).toBe(rows(1500, "old").toString());
  });

  test("a second mark of a pack begins anew: what was in use in between has its whole grace", async () => {
    const fixture = await withTwo();
    const { clock, repository, first } = fixture;
    const core = await coreOf(fixture);
    const inUse = await readIndexes(core);
    await forget(fixture.store, first);
    const marked = (await prune(repository)).plan.mark.ids;
    expect(marked.length).toBeGreaterThan(0);
    const again = inUse.filter(({ id }) => marked.includes(id));
    await saveUnpacked(core, "index", formatIndex(again));
    clock.advance(2 * DAY_MS);
    expect((await prune(repository)).plan.mark.ids).toEqual(marked);
    clock.advance(DAY_MS - 1);
    expect((await plan(repository)).remove.packs).toBe(0);
    clock.advance(2);
    expect((await plan(repository)).remove.ids).toEqual(expect.arrayContaining([...marked]));
  });

  test("of two marks of one pack the later one counts, whichever is read first", async () => {
    for (const earlierFirst of [true, false]) {
      const fixture = await withTwo();
      const { clock, repository, first } = fixture;
      const core = await coreOf(fixture);
      const packs = await readIndexes(core);
      await forget(fixture.store, first);
      const marked = (await prune(repository)).plan.mark.ids;
      clock.advance(DAY_MS / 2);
      const markedAt = clock.now();
      const later = packs.filter(({ id }) => marked.includes(id));
      const order = earlierFirst ? "after" : "before";
      const twice = later.map((pack) => ({ ...pack, markedAt }));
      await addIndex(core, formatIndex([], twice), order);
      clock.advance(DAY_MS / 2 + 1);
      const { remove } = await plan(repository);
      expect(remove.ids.filter((id) => marked.includes(id))).toEqual([]);
    }
  });

  test("a pack that an index lists anew after the plan stays, though no snapshot needs it yet", async () => {
    const fixture = await withTwo();
    const { store, repository, first } = fixture;
    const core = await coreOf(fixture);
    await forget(store, first);
    const planned = await plan(repository, { graceMs: 0 });
    const [pack] = planned.remove.ids;
    const listed = (await readIndexes(core)).filter(({ id }) => id === pack);
    // As by a writer whose snapshot follows, or a repair by another tool.
    await saveUnpacked(core, "index", formatIndex(listed));
    const report = await executePrune(repository, planned, { owner: WRITER });
    expect(report.keptAfterAll).toEqual([pack]);
    expect((await readIndexes(core)).some(({ id }) => id === pack)).toBe(true);
    expect(await keysOf(store, `data/${pack?.slice(0, 2) ?? ""}/`)).toContain(
      `data/${pack?.slice(0, 2) ?? ""}/${pack ?? ""}`,
    );
  });

  test("a snapshot that needs what an earlier slice removed is an error, and no index lists it", async () => {
    const fixture = await createSmall();
    const { store } = fixture;
    const first = await backUp(fixture, { old: rows(12_000, "old") });
    await backUp(fixture, { new: rows(100, "new") });
    const file = await store.get(`snapshots/${first}`);
    await forget(store, first);
    let removed = 0;
    const repository = await openSmall(fixture, {
      ...store,
      remove: async (key, options) => {
        await store.remove(key, options);
        if (key.startsWith("data/") && ++removed === 1) fixture.clock.advance(241_000);
        if (key.startsWith("locks/") && removed > 0) await store.put(`snapshots/${first}`, [file]);
      },
    });
    const planned = await plan(repository, { graceMs: 0 });
    const executed = executePrune(repository, planned, { owner: WRITER });
    expect(await thrownBy(executed)).toBe("repository.blob_not_found");
    expect(removed).toBeLessThan(planned.remove.packs);
    const stored = new Set(await keysOf(store, "data/"));
    const listed = await readIndexes(await coreOf(fixture));
    expect(listed.filter(({ id }) => !stored.has(`data/${id.slice(0, 2)}/${id}`))).toEqual([]);
  });

  test("a plan is executed once", async () => {
    const { repository } = await withTwo();
    const planned = await plan(repository);
    await executePrune(repository, planned, { owner: WRITER });
    expect(await thrownBy(executePrune(repository, planned, { owner: WRITER }))).toBe(
      "repository.prune_plan_spent",
    );
  });

  test("a plan to be executed at once keeps its lock until it was, or was released", async () => {
    const { store, repository, first } = await withTwo();
    const locks = async (): Promise<number> => (await keysOf(store, "locks/")).length;
    const options = { keepLock: true, graceMs: 0, maxUnused: { bytes: 0 } };
    const released = await plan(repository, options);
    expect(await locks()).toBe(1);
    await releasePlan(released);
    expect(await locks()).toBe(0);
    expect(await thrownBy(executePrune(repository, released, { owner: WRITER }))).toBe(
      "repository.prune_plan_spent",
    );
    // With nothing to copy, and with something.
    await executePrune(repository, await plan(repository, options), { owner: WRITER });
    expect(await locks()).toBe(0);
    await forget(store, first);
    const report = await executePrune(repository, await plan(repository, options), {
      owner: WRITER,
    });
    expect(report.copied.blobs).toBeGreaterThan(0);
    expect(await locks()).toBe(0);
    // One that fails leaves none either.
    await store.put(`snapshots/${"cd".repeat(32)}`, [Buffer.from("garbage")]);
    expect(await thrownBy(plan(repository, options))).toBe("repository.snapshot_damaged");
    expect(await locks()).toBe(0);
  });

  test("a plan does not hold after another prune", async () => {
    const { store, repository, first } = await withTwo();
    await forget(store, first);
    const planned = await plan(repository, { graceMs: 0 });
    await prune(repository, { graceMs: 0 });
    const keys = await keysOf(store, "");
    expect(await thrownBy(executePrune(repository, planned, { owner: WRITER }))).toBe(
      "repository.prune_plan_stale",
    );
    expect(await keysOf(store, "")).toEqual(keys);
  });
});

describe("packs in no index", () => {
  test("go when they are older than the grace period", async () => {
    const { store, clock, repository } = await withTwo();
    const stray = `data/ab/${"ab".repeat(32)}`;
    await store.put(stray, [Buffer.from("of a writer that was stopped, or of one at work")]);
    const young = await prune(repository);
    expect(young.plan.unreferenced).toEqual({ packs: 1, bytes: 47 });
    expect(await store.stat(stray)).toBeDefined();
    clock.advance(DAY_MS);
    const old = await prune(repository);
    expect(old.plan.remove.ids).toEqual(["ab".repeat(32)]);
    expect(old.plan.unreferenced.packs).toBe(0);
    expect(await store.stat(stray)).toBeUndefined();
  });

  test("of a writer that is slow stay, for it holds a lock", async () => {
    const { store, clock, repository, first } = await withTwo();
    await forget(store, first);
    await using writer = await repository.acquireWriter(WRITER);
    const content = async function* () {
      yield rows(6000, "slow");
    };
    await writer.saveFile(["slow"], content(), { kind: "table", modifiedAt: new Date(0) });
    // Its lock is refreshed all the while.
    for (let hour = 0; hour < 30 * 60; hour += 1) {
      clock.advance(60_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const planned = await plan(repository);
    expect(planned.remove.packs).toBeGreaterThan(0);
    const keys = await keysOf(store, "data/");
    expect(await thrownBy(executePrune(repository, planned, { owner: WRITER }))).toBe(
      "repository.locked",
    );
    expect(await keysOf(store, "data/")).toEqual(expect.arrayContaining([...keys]));
    const { id } = await writer.commit({ time: clock.now(), paths: [], tags: [] });
    expect(await fileOf(repository, id, "slow")).toBe(rows(6000, "slow").toString());
  });
});

describe("what a prune does not trust", () => {
  test("stops at a snapshot that it cannot read", async () => {
    const { store, repository } = await withTwo();
    await store.put(`snapshots/${"cd".repeat(32)}`, [Buffer.from("garbage")]);
    expect(await thrownBy(plan(repository))).toBe("repository.snapshot_damaged");
  });

  test("stops where a needed blob is nowhere", async () => {
    const { store, repository } = await withTwo();
    const keys = await keysOf(store, "data/");
    await store.remove(keys[0] ?? "");
    expect(await thrownBy(plan(repository))).toBe("repository.blob_not_found");
    expect(await keysOf(store, "locks/")).toEqual([]);
  });

  test("stops where a needed blob is in no index, though its pack may be there", async () => {
    const { store, clock, repository } = await withTwo();
    for (const key of await keysOf(store, "index/")) await store.remove(key);
    clock.advance(2 * DAY_MS);
    expect(await thrownBy(plan(repository))).toBe("repository.blob_not_found");
  });

  test("stops at an index file that it cannot read, before and after the plan", async () => {
    const { store, repository, first } = await withTwo();
    await forget(store, first);
    const planned = await plan(repository);
    const garbage = `index/${"cd".repeat(32)}`;
    await store.put(garbage, [Buffer.from("garbage")]);
    expect(await thrownBy(plan(repository))).toBe("repository.index_damaged");
    const executed = executePrune(repository, planned, { owner: WRITER });
    expect(await thrownBy(executed)).toBe("repository.index_damaged");
  });

  test.for(["plan", "execute"] as const)(
    "is not the order of its own looks: a backup that ends between two of them is whole (%s)",
    async (when) => {
      const fixture = await withTwo();
      const { store, first } = fixture;
      const before = new Set(await keysOf(store, ""));
      const third = await backUp(fixture, { third: rows(900, "third") });
      const late: (readonly [string, Uint8Array])[] = [];
      for (const key of await keysOf(store, "")) {
        if (!before.has(key)) late.push([key, await store.get(key)]);
      }
      for (const [key] of late) await store.remove(key);
      await forget(store, first);
      let armed = false;
      const repository = await openSmall(fixture, {
        ...store,
        list: async function* (prefix, options) {
          yield* store.list(prefix, options);
          if (!armed || (prefix !== "index/" && prefix !== "snapshots/")) return;
          armed = false;
          for (const [key, bytes] of late) await store.put(key, [bytes]);
        },
      });
      armed = when === "plan";
      const planned = await plan(repository, { graceMs: 0 });
      armed = when === "execute";
      await executePrune(repository, planned, { owner: WRITER });
      expect(await fileOf(repository, third, "third")).toBe(rows(900, "third").toString());
      expect(await faultsOf(repository)).toEqual([]);
    },
  );

  test("waits for an exclusive lock, and not for a shared one, to plan", async () => {
    const fixture = await withTwo();
    const core = await coreOf(fixture);
    {
      await using _ = await acquireLock(core, { exclusive: false, owner: WRITER });
      await plan(fixture.repository);
    }
    await using _ = await acquireLock(core, { exclusive: true, owner: WRITER });
    expect(await thrownBy(plan(fixture.repository))).toBe("repository.locked");
  });
});

test("a small repository is as the one before, seen from a copy", async () => {
  const fixture = await withTwo();
  const copy = fixture.store.fork();
  const repository = await openSmall(fixture, copy);
  await prune(repository, { graceMs: 0 });
  expect(await faultsOf(fixture.repository)).toEqual([]);
});

describe("what is read while the lock is confirmed", () => {
  test("counts for nothing when the second look meets another's lock", async () => {
    const fixture = await withTwo();
    let looks = 0;
    const store: ObjectStore = {
      ...fixture.store,
      async *list(prefix, options) {
        if (prefix === "locks/" && (looks += 1) === 2) {
          const theirs = { hostname: "db-2", username: "backup", pid: 42 };
          const lock = formatLock({ time: fixture.clock.now(), exclusive: true, ...theirs });
          await saveUnpacked(await coreOf(fixture), "lock", lock);
        }
        yield* fixture.store.list(prefix, options);
      },
    };
    expect(await thrownBy(plan(await openSmall(fixture, store)))).toBe("repository.locked");
    expect(await keysOf(fixture.store, "locks/")).toHaveLength(1);
  });

  test("lets the lock go where it cannot be read", async () => {
    const fixture = await withTwo();
    const [index = ""] = await keysOf(fixture.store, "index/");
    await fixture.store.put(index, [Buffer.from("garbage")]);
    expect(await thrownBy(plan(fixture.repository))).toBe("repository.index_damaged");
    expect(await keysOf(fixture.store, "locks/")).toEqual([]);
  });
});
