import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Secret, systemClock } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import type { ObjectStore } from "../../src/objectstore/index.ts";
import {
  codeOf,
  createTemporaryFolder,
  patternBytes,
} from "../../src/objectstore/testing/index.ts";
import { executePrune, openRepository, planPrune } from "../../src/repository/index.ts";
import type { PlanPruneOptions, PrunePlan, Repository } from "../../src/repository/index.ts";
import { filesBelow } from "../support/restic-files.ts";
import type { FoundFile } from "../support/restic-files.ts";
import {
  backUp,
  contextOf,
  createOurs,
  expectedFiles,
  PASSWORD,
  saveAll,
  storeAt,
  WRITER,
} from "../support/restic-repository.ts";
import type { TestFile } from "../support/restic-repository.ts";
import { createRestic, NEWEST_RESTIC, OLDEST_RESTIC } from "../support/restic.ts";
import type { Restic } from "../support/restic.ts";

// `restic unlock` and `restic prune` ask whether a lock's process lives by sending it SIGHUP, and that is this one.
process.on("SIGHUP", () => undefined);

const DAY_MS = 24 * 3_600_000;
const VERSIONS = [OLDEST_RESTIC, NEWEST_RESTIC];

/** Packs of 256 KiB, so that a few megabytes are many of them. */
async function openSmall(store: ObjectStore, clock = systemClock): Promise<Repository> {
  const context = { ...contextOf(store), clock, packBytes: 256 * 1024 };
  return await openRepository(context, { password: new Secret(PASSWORD) });
}

/** A day's files: one that never changes, one that is new every day, one of which a piece changes. */
function filesOf(day: number): TestFile[] {
  const table = patternBytes(1_200_000, 7);
  table.set(patternBytes(100_000, 100 + day), (day * 190_000) % 1_000_000);
  return [
    { path: ["same"], content: patternBytes(900_000, 1) },
    { path: ["of the day"], content: patternBytes(400_000, 1000 + day) },
    { path: ["folder", "table"], content: table, metadata: { kind: "table" } },
  ];
}

interface Kept {
  readonly id: string;
  readonly files: ReadonlyMap<string, FoundFile>;
}

async function backUpDays(repository: Repository, days: number): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (let day = 0; day < days; day += 1) {
    const files = filesOf(day);
    const { id } = await backUp(repository, files, new Date(Date.UTC(2026, 9, day + 1)));
    kept.push({ id, files: await expectedFiles(files) });
  }
  return kept;
}

/** Byte for byte, as stock restic restores it. */
async function expectRestored(restic: Restic, kept: readonly Kept[]): Promise<void> {
  for (const { id, files } of kept) {
    await using target = await createTemporaryFolder();
    await restic.run(["restore", id, "--target", target.path]);
    expect(await filesBelow(target.path)).toEqual(files);
  }
}

async function sizeOf(store: ObjectStore): Promise<number> {
  let sum = 0;
  for await (const { sizeBytes } of store.list("data/")) sum += sizeBytes;
  return sum;
}

async function packsOf(store: ObjectStore): Promise<readonly string[]> {
  return await Array.fromAsync(store.list("data/"), ({ key }) => key.slice("data/00/".length));
}

async function prune(
  repository: Repository,
  options: Omit<PlanPruneOptions, "owner">,
): Promise<PrunePlan> {
  const plan = await planPrune(repository, { owner: WRITER, ...options });
  const report = await executePrune(repository, plan, { owner: WRITER });
  expect(report.outcome).toBe("complete");
  return plan;
}

/** The store as it will be later: what lies there was written so long ago. */
function later(store: ObjectStore, ms: number): ObjectStore {
  const aged = new Set<string>();
  const shifted = <Stat extends { key: string; modifiedAt: Date }>(stat: Stat): Stat =>
    aged.has(stat.key) ? { ...stat, modifiedAt: new Date(stat.modifiedAt.getTime() + ms) } : stat;
  return {
    ...store,
    put: async (key, body, options) => {
      await store.put(key, body, options);
      aged.add(key);
    },
    stat: async (key, options) => {
      const stat = await store.stat(key, options);
      return stat === undefined ? undefined : shifted(stat);
    },
    list: async function* (prefix, options) {
      for await (const stat of store.list(prefix, options)) yield shifted(stat);
    },
  };
}

describe.for(VERSIONS)("restic %s after our prune", (version) => {
  test("finds everything whole while packs are marked, and when they are gone", async () => {
    await using folder = await createTemporaryFolder();
    const store = storeAt(folder.path);
    await createOurs(store);
    const repository = await openSmall(store);
    const snapshots = await backUpDays(repository, 4);
    await using restic = await createRestic(version, folder.path, PASSWORD);
    const kept = snapshots.filter((_, day) => day === 1 || day === 3);
    for (const { id } of snapshots) {
      if (!kept.some((one) => one.id === id)) await store.remove(`snapshots/${id}`);
    }
    const before = await sizeOf(store);

    const marking = await prune(repository, { maxUnused: { bytes: 0 } });
    expect(marking.mark.packs).toBeGreaterThan(0);
    expect(marking.repack.packs).toBeGreaterThan(0);
    const marked = await restic.run(["check", "--read-data"]);
    expect(marked.stdout).toContain("no errors were found");
    await expectRestored(restic, kept);

    // The grace has passed: a day later by the store's clock.
    const tomorrow = await openSmall(later(store, DAY_MS + 60_000));
    const removing = await prune(tomorrow, { maxUnused: { bytes: 0 } });
    expect(removing.remove.bytes).toBe(marking.mark.bytes + marking.repack.bytes);
    expect(await sizeOf(store)).toBeLessThan(before * 0.8);
    await restic.run(["check", "--read-data"]);
    await expectRestored(restic, kept);
    // Nothing of it is in the way of theirs.
    await restic.run(["backup", "--stdin"], { input: patternBytes(500_000, 77) });
    await restic.run(["check", "--read-data"]);
  });

  test("may prune while packs are marked: it removes them, and ours goes on after it", async () => {
    await using folder = await createTemporaryFolder();
    const store = storeAt(folder.path);
    await createOurs(store);
    const repository = await openSmall(store);
    const snapshots = await backUpDays(repository, 4);
    await using restic = await createRestic(version, folder.path, PASSWORD);
    await store.remove(`snapshots/${snapshots[0]?.id ?? ""}`);
    await store.remove(`snapshots/${snapshots[1]?.id ?? ""}`);
    const marking = await prune(repository, { maxUnused: { bytes: 0 } });
    const marked = [...marking.mark.ids, ...marking.repack.ids];
    expect(await packsOf(store)).toEqual(expect.arrayContaining(marked));
    await restic.run(["prune", "--max-unused", "0"]);
    const left = new Set(await packsOf(store));
    expect(marked.filter((id) => left.has(id))).toEqual([]);
    await restic.run(["check", "--read-data"]);
    // Theirs forgets, ours prunes; ours at once, as theirs does.
    await restic.run(["forget", snapshots[2]?.id ?? ""]);
    const ours = await prune(repository, { graceMs: 0, maxUnused: { bytes: 0 } });
    expect(ours.freedNowBytes).toBeGreaterThan(0);
    await restic.run(["check", "--read-data"]);
    await expectRestored(restic, snapshots.slice(3));
    const { stdout } = await restic.run(["prune", "--dry-run", "--max-unused", "0"]);
    expect(stdout).toMatch(/to delete:\s+0 blobs/);
  });

  test("and theirs before ours: what restic wrote is pruned, merged and whole", async () => {
    await using folder = await createTemporaryFolder();
    const store = storeAt(folder.path);
    await createOurs(store);
    await using restic = await createRestic(version, folder.path, PASSWORD);
    const inputs = [1, 2, 3].map((seed) => patternBytes(700_000, seed));
    for (const input of inputs) await restic.run(["backup", "--stdin"], { input });
    const repository = await openSmall(store);
    const [oldest] = await repository.snapshots();
    await restic.run(["forget", oldest?.id ?? ""]);
    const plan = await prune(repository, { graceMs: 0, maxUnused: { bytes: 0 } });
    expect(plan.freedNowBytes).toBeGreaterThan(600_000);
    await restic.run(["check", "--read-data"]);
    for (const [at, snapshot] of (await repository.snapshots()).entries()) {
      await using target = await createTemporaryFolder();
      await restic.run(["restore", snapshot.id, "--target", target.path]);
      const expected = await expectedFiles([
        { path: ["stdin"], content: inputs[at + 1] ?? new Uint8Array() },
      ]);
      expect(await filesBelow(join(target.path))).toEqual(expected);
    }
  });
});

/** Its locks lie elsewhere: to everybody else a writer without a lock. */
function withoutLocks(store: ObjectStore): ObjectStore {
  const locks = createMemoryStore({ clock: systemClock });
  const of = (key: string): ObjectStore => (key.startsWith("locks/") ? locks : store);
  return {
    ...store,
    put: (key, body, options) => of(key).put(key, body, options),
    get: (key, options) => of(key).get(key, options),
    stat: (key, options) => of(key).stat(key, options),
    list: (prefix, options) => of(prefix).list(prefix, options),
    remove: (key, options) => of(key).remove(key, options),
  };
}

describe.for(VERSIONS)("a writer beside a prune (engine-traps 19), restic %s", (version) => {
  const files: TestFile[] = [{ path: ["a"], content: patternBytes(2_000_000, 5) }];

  test("the trap: without a lock its fresh packs are taken by restic, and its snapshot is broken", async () => {
    await using folder = await createTemporaryFolder();
    const store = storeAt(folder.path);
    await createOurs(store);
    await using restic = await createRestic(version, folder.path, PASSWORD);
    const careless = await openSmall(withoutLocks(store));
    {
      await using writer = await careless.acquireWriter(WRITER);
      await saveAll(writer, files);
      await restic.run(["prune"]);
      await writer.commit({ time: new Date(), paths: ["/a"], tags: [] });
    }
    const check = await restic.run(["check"], { codes: [1] });
    expect(check.stderr + check.stdout).toMatch(/not found|does not exist|errors/);
  });

  test("without a lock its fresh packs survive ours, for they are young", async () => {
    await using folder = await createTemporaryFolder();
    const store = storeAt(folder.path);
    await createOurs(store);
    await using restic = await createRestic(version, folder.path, PASSWORD);
    const careless = await openSmall(withoutLocks(store));
    {
      await using writer = await careless.acquireWriter(WRITER);
      await saveAll(writer, files);
      const plan = await prune(await openSmall(store), {});
      expect(plan.unreferenced.packs).toBeGreaterThanOrEqual(2);
      await writer.commit({ time: new Date(), paths: ["/a"], tags: [] });
    }
    await restic.run(["check", "--read-data"]);
  });

  test("with a lock of restic's or ours there, ours removes nothing", async () => {
    await using folder = await createTemporaryFolder();
    const store = storeAt(folder.path);
    await createOurs(store);
    const repository = await openSmall(store);
    await using restic = await createRestic(version, folder.path, PASSWORD);
    const snapshots = await backUpDays(repository, 2);
    await store.remove(`snapshots/${snapshots[0]?.id ?? ""}`);
    const child = restic.start(["backup", "--stdin"]);
    try {
      // Its input stays open: it works until it is told the end.
      child.stdin?.write(patternBytes(300_000, 9));
      await expect
        .poll(() => Array.fromAsync(store.list("locks/")), { timeout: 20_000 })
        .toHaveLength(1);
      const plan = await planPrune(repository, { owner: WRITER, graceMs: 0 });
      expect(plan.remove.packs).toBeGreaterThan(0);
      const keys = await Array.fromAsync(store.list("data/"), ({ key }) => key);
      expect(await codeOf(() => executePrune(repository, plan, { owner: WRITER }))).toBe(
        "repository.locked",
      );
      const left = await Array.fromAsync(store.list("data/"), ({ key }) => key);
      expect(left).toEqual(expect.arrayContaining(keys));
    } finally {
      const ended = new Promise((resolve) => child.once("close", resolve));
      child.stdin?.end();
      await ended;
    }
    await restic.run(["check", "--read-data"]);
    await prune(repository, { graceMs: 0, maxUnused: { bytes: 0 } });
    await restic.run(["check", "--read-data"]);
    await expectRestored(restic, snapshots.slice(1));
    expect(await repository.snapshots()).toHaveLength(2);
  });
});
