import { hash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Secret } from "../../kernel/index.ts";
import { readOnly } from "../../objectstore/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { coreOf } from "../core.ts";
import { createRepository, openRepository } from "../open.ts";
import { createInlineSealer } from "../sealer.ts";
import {
  CHEAP_COST,
  contentOf,
  createFixture,
  entriesOf,
  flipByte,
  keysOf,
  overwrite,
  PASSWORD,
  pathOf,
  rows,
  saveFiles,
  seededRandom,
  streamOf,
  TABLE,
  WRITER,
} from "../testing/fixtures.ts";
import type { Files, Fixture } from "../testing/fixtures.ts";
import { loadSnapshotFields } from "../snapshots.ts";
import { saveUnpacked } from "../unpacked.ts";
import type { Repository, Snapshot } from "../types.ts";
import { executeCopy } from "./execute.ts";
import type { CopyResult } from "./execute.ts";
import { planCopy } from "./plan.ts";

const OTHER = new Secret("another one");

async function targetOf(fixture: Fixture, seed = "target"): Promise<Fixture> {
  return { ...(await createFixture(seed)), clock: fixture.clock };
}

async function copyAll(
  source: Repository,
  target: Repository,
  select?: (snapshot: Snapshot) => boolean,
): Promise<CopyResult> {
  const plan = await planCopy(source, target, select === undefined ? {} : { select });
  return await executeCopy(source, target, plan, WRITER);
}

/** Of a time of its own: the order in which snapshots are copied. */
async function saveOn(day: number, repository: Repository, files: Files): Promise<string> {
  await using writer = await repository.acquireWriter(WRITER);
  for (const [path, content] of Object.entries(files)) {
    await writer.saveFile(path.split("/"), streamOf(content), TABLE);
  }
  const time = new Date(Date.UTC(2026, 0, day));
  return (await writer.commit({ time, paths: ["/db"], tags: [] })).id;
}

async function contents(repository: Repository): Promise<readonly string[]> {
  const reader = await repository.acquireReader();
  const found: string[] = [];
  for (const snapshot of await repository.snapshots()) {
    for (const entry of await entriesOf(reader, snapshot)) {
      const text =
        entry.type === "file" ? hash("sha256", await contentOf(reader, entry), "hex") : "";
      found.push(`${snapshot.time.toISOString()} ${pathOf(entry)} ${text}`);
    }
  }
  return found.sort();
}

/** Counts what is read of packs, and can take the writes away. */
function counted(store: ObjectStore): { store: ObjectStore; packBytes: () => number } {
  let bytes = 0;
  const getRange: ObjectStore["getRange"] = async (key, range, options) => {
    if (key.startsWith("data/")) bytes += range.length;
    return await store.getRange(key, range, options);
  };
  return { store: { ...store, getRange }, packBytes: () => bytes };
}

function open(fixture: Fixture, store: ObjectStore): Promise<Repository> {
  const { clock, random } = fixture;
  const context = { store, clock, random, createSealer: createInlineSealer };
  return openRepository(context, { password: PASSWORD });
}

describe("a copy to another repository", () => {
  test("holds the same trees and bytes under another key, and checks clean", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    await saveFiles(source.repository, { "db/orders": rows(3000), manifest: "{}" });
    await saveFiles(source.repository, { "db/orders": rows(3100), manifest: "{ }" });
    const result = await copyAll(source.repository, target.repository);
    expect(result).toMatchObject({ outcome: "complete", sourceLock: "held", failed: [] });
    expect(result.copied).toHaveLength(2);

    expect(await contents(target.repository)).toEqual(await contents(source.repository));
    const [before, after] = [
      await source.repository.snapshots(),
      await target.repository.snapshots(),
    ];
    const chain = after.map(({ original, tree }) => `${original} ${tree}`);
    expect(chain.sort()).toEqual(before.map(({ id, tree }) => `${id} ${tree}`).sort());
    expect(after.map(({ id }) => id)).not.toContain(before[0]?.id);
    const { findings } = await target.repository.check({ readData: true });
    expect(findings).toEqual([]);
    // Neither key opens the other's packs.
    const [pack = ""] = await keysOf(source.store, "data/");
    expect(await keysOf(target.store, "data/")).not.toContain(pack);
    expect(await keysOf(source.store, "locks/")).toEqual([]);
    expect(await keysOf(target.store, "locks/")).toEqual([]);
  });

  test("reads of the source only what the target lacks", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    await saveFiles(source.repository, { big: rows(20_000) });
    await copyAll(source.repository, target.repository);
    await saveFiles(source.repository, { big: rows(20_000), small: "new" });
    const { store, packBytes } = counted(source.store);
    const plan = await planCopy(await open(source, store), target.repository);
    expect(plan.copy).toHaveLength(1);
    expect(plan.present).toHaveLength(1);
    await executeCopy(await open(source, store), target.repository, plan, WRITER);
    expect(packBytes()).toBeGreaterThan(0);
    expect(packBytes()).toBeLessThan(5_000);

    const again = await copyAll(await open(source, store), target.repository);
    expect(again).toMatchObject({ copied: [], blobsNew: 0, writtenBytes: 0 });
    expect(again.present).toHaveLength(2);
    expect(packBytes()).toBeLessThan(5_000);
  });

  test("keeps every field of another tool's snapshot, and knows it again to the nanosecond", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    const { tree } = await saveFiles(source.repository, { a: "a" });
    const rewritten = await saveFiles(source.repository, { b: "b" });
    const foreign = {
      time: "2026-03-04T05:06:07.123456789+02:00",
      parent: "a".repeat(64),
      tree,
      paths: ["/x", "/y"],
      hostname: "h",
      username: "u",
      uid: 1000,
      gid: 100,
      excludes: ["*.tmp"],
      tags: ["t"],
      program_version: "restic 0.19.1",
      summary: { total_files_processed: 1 },
    };
    const save = async (fields: object): Promise<string> =>
      (
        await saveUnpacked(
          coreOf(source.repository),
          "snapshot",
          Buffer.from(JSON.stringify(fields)),
        )
      ).id;
    const id = await save(foreign);
    const { copied } = await copyAll(source.repository, target.repository, (s) => s.id === id);
    const { fields } = await loadSnapshotFields(
      coreOf(target.repository),
      copied[0]?.copy ?? "none",
    );
    const { parent: _parent, ...kept } = foreign;
    expect(fields).toEqual({ ...kept, original: id });

    // The same chain in another zone is the same; a nanosecond, a user or an exclude more is another snapshot,
    // and so is another tree, as a rewrite makes it.
    const same = await save({ ...kept, original: id, time: "2026-03-04T03:06:07.123456789Z" });
    const others = [
      await save({ ...kept, original: id, time: "2026-03-04T03:06:07.12345678Z" }),
      await save({ ...kept, original: id, uid: 0 }),
      await save({ ...kept, original: id, excludes: [] }),
      await save({ ...kept, original: id, tags: ["t", "v"] }),
      await save({ ...kept, original: id, tree: rewritten.tree }),
      await save({ ...kept, original: id, hostname: "g" }),
      await save({ ...kept, original: id, username: "v" }),
      await save({ ...kept, original: id, paths: ["/x"] }),
    ];
    const plan = await planCopy(source.repository, target.repository);
    expect(plan.present.map((pair): string => pair.source)).toEqual(
      expect.arrayContaining([id, same]),
    );
    expect(plan.copy.map((snapshot): string => snapshot.id)).toEqual(
      expect.arrayContaining(others),
    );
  });

  test("goes through a third repository and back without a second copy", async () => {
    const source = await createFixture();
    const middle = await targetOf(source, "middle");
    const last = await targetOf(source, "last");
    await saveFiles(source.repository, { a: "a" });
    await copyAll(source.repository, middle.repository);
    await copyAll(middle.repository, last.repository);
    const [copy] = await last.repository.snapshots();
    const [first] = await source.repository.snapshots();
    expect(copy?.original).toBe(first?.id);
    expect((await copyAll(source.repository, last.repository)).copied).toEqual([]);
    expect((await copyAll(last.repository, source.repository)).copied).toEqual([]);
  });

  test("of a plan that another machine has carried out meanwhile writes nothing", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    await saveFiles(source.repository, { a: rows(100) });
    const plan = await planCopy(source.repository, target.repository);
    const first = await executeCopy(source.repository, target.repository, plan, WRITER);
    const second = await executeCopy(source.repository, target.repository, plan, WRITER);
    const [{ source: from, copy } = { source: "", copy: "" }] = first.copied;
    expect(second).toMatchObject({
      outcome: "complete",
      copied: [],
      present: [{ source: from, copy }],
    });
    expect(await keysOf(target.store, "snapshots/")).toHaveLength(1);
  });

  test("that the caller stops leaves nothing but packs, and no lock", async () => {
    const source = await createFixture();
    await saveFiles(source.repository, { a: rows(20_000), b: rows(20_000, "b") });
    const bare = await createFixture("target");
    const stop = new AbortController();
    const store: ObjectStore = {
      ...bare.store,
      put: async (key, body, options) => {
        await bare.store.put(key, body, options);
        if (key.startsWith("data/")) stop.abort();
      },
    };
    const { clock, random } = source;
    const context = { store, clock, random, createSealer: createInlineSealer, packBytes: 300_000 };
    const target = await openRepository(context, { password: PASSWORD });
    const plan = await planCopy(source.repository, target);
    await expect(
      executeCopy(source.repository, target, plan, { ...WRITER, signal: stop.signal }),
    ).rejects.toMatchObject({ code: "kernel.cancelled" });
    const left = await keysOf(bare.store, "");
    expect(left.map((key) => key.split("/")[0])).not.toContain("snapshots");
    expect(left.filter((key) => key.startsWith("locks/"))).toEqual([]);
    expect(await keysOf(source.store, "locks/")).toEqual([]);
    expect(await copyAll(source.repository, bare.repository)).toMatchObject({
      outcome: "complete",
    });
  });

  test("is refused into the repository itself", async () => {
    const source = await createFixture();
    await expect(planCopy(source.repository, source.repository)).rejects.toMatchObject({
      code: "repository.copy_onto_itself",
    });
  });

  test("works where the source may only be read, and says that nothing held a prune off", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    await saveFiles(source.repository, { a: rows(100) });
    const reading = await open(source, readOnly(source.store));
    const result = await copyAll(reading, target.repository);
    expect(result).toMatchObject({ outcome: "complete", sourceLock: "denied" });
    expect(await contents(target.repository)).toEqual(await contents(source.repository));
  });

  test("leaves out a damaged snapshot, names it, and copies the others", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    const good = await saveFiles(source.repository, { same: rows(200), good: rows(900, "good") });
    const packs = await keysOf(source.store, "data/");
    const bad = await saveFiles(source.repository, { same: rows(200), bad: rows(900, "bad") });
    const [spoiled] = (await keysOf(source.store, "data/")).filter((key) => !packs.includes(key));
    const fresh = (await keysOf(source.store, "data/")).filter((key) => !packs.includes(key));
    expect(spoiled).toBeDefined();
    // Both the data and the tree of the second: whichever is read first.
    for (const key of fresh) await overwrite(source.store, key, flipByte(40));
    const last = await saveFiles(source.repository, { same: rows(200), last: "last" });
    const result = await copyAll(source.repository, target.repository);
    expect(result.outcome).toBe("incomplete");
    expect(result.copied.map(({ source: id }) => id).sort()).toEqual([good.id, last.id].sort());
    expect(result.failed).toEqual([
      {
        source: bad.id,
        code: "repository.blob_damaged",
        message: expect.stringMatching(/damaged/),
      },
    ]);
    expect((await target.repository.check({ readData: true })).findings).toEqual([]);
  });

  test("copies what a damaged snapshot shares with a later one", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    const shared = { "y/shared": rows(300, "shared") };
    await saveOn(1, source.repository, shared);
    const packs = await keysOf(source.store, "data/");
    const bad = await saveOn(2, source.repository, { ...shared, "a/bad": rows(900, "bad") });
    for (const key of await keysOf(source.store, "data/")) {
      const { sizeBytes = 0 } = (await source.store.stat(key)) ?? {};
      // The pack of data, not the one of trees.
      if (!packs.includes(key) && sizeBytes > 20_000) {
        await overwrite(source.store, key, flipByte(40));
      }
    }
    const last = await saveOn(3, source.repository, { ...shared, z: "z" });
    const result = await copyAll(source.repository, target.repository, ({ id }) =>
      [bad, last].includes(id),
    );
    expect(result.failed.map(({ source: id }) => id)).toEqual([bad]);
    expect(result.copied.map(({ source: id }) => id)).toEqual([last]);
    expect((await target.repository.check({ readData: true })).findings).toEqual([]);
  });

  test("names a snapshot file that is damaged, and copies the others", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    const bad = await saveFiles(source.repository, { a: "a" });
    const good = await saveFiles(source.repository, { b: "b" });
    await overwrite(source.store, `snapshots/${bad.id}`, flipByte(30));
    const result = await copyAll(source.repository, target.repository);
    expect(result).toMatchObject({
      outcome: "incomplete",
      copied: [{ source: good.id }],
      failed: [{ source: bad.id, code: "repository.snapshot_damaged" }],
    });
  });

  test("tries every place of a blob before it gives a snapshot up", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    await saveFiles(source.repository, { a: rows(500) });
    const packs = await keysOf(source.store, "data/");
    for (const key of packs) await overwrite(source.store, key, (bytes) => bytes.subarray(1));
    // Another size: the writer believes none of it and stores everything once more.
    await saveFiles(source.repository, { a: rows(500) });
    const result = await copyAll(source.repository, target.repository);
    expect(result).toMatchObject({ outcome: "complete", failed: [] });
    expect((await target.repository.check({ readData: true })).findings).toEqual([]);
  });

  test("does not write a snapshot whose copy is not whole when it is read back", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    await saveFiles(source.repository, { a: rows(500) });
    // A store that acknowledges packs of data and loses them.
    const lossy: ObjectStore = {
      ...target.store,
      put: async (key, body, options) => {
        if (key.startsWith("data/") && options?.tier === "bulk") return;
        await target.store.put(key, body, options);
      },
    };
    const result = await copyAll(source.repository, await open(target, lossy));
    expect(result.outcome).toBe("incomplete");
    expect(result.failed[0]).toMatchObject({ code: "repository.copy_differs" });
    expect(await keysOf(target.store, "snapshots/")).toEqual([]);
    // Nothing of it is believed by the next run.
    const repaired = await copyAll(source.repository, target.repository);
    expect(repaired).toMatchObject({ outcome: "complete", failed: [] });
    expect(await contents(target.repository)).toEqual(await contents(source.repository));
  });

  test.for(["source", "target"] as const)(
    "writes no snapshot when its lock in the %s was removed by someone else",
    async (where) => {
      const source = await createFixture();
      const target = await targetOf(source);
      await saveFiles(source.repository, { a: rows(500) });
      const locked = where === "source" ? source.store : target.store;
      let isCut = false;
      const store: ObjectStore = {
        ...target.store,
        put: async (key, body, options) => {
          await target.store.put(key, body, options);
          if (isCut || !key.startsWith("data/")) return;
          isCut = true;
          for (const lock of await keysOf(locked, "locks/")) await locked.remove(lock);
          // Locks are written anew every five minutes, and it is seen then.
          source.clock.advance(5 * 60_000);
        },
      };
      const asked = copyAll(source.repository, await open(target, store));
      await expect(asked).rejects.toMatchObject({ code: "repository.lock_lost" });
      expect(await keysOf(target.store, "snapshots/")).toEqual([]);
    },
  );

  test("writes no snapshot when its lock in the target is gone at the last moment", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    await saveFiles(source.repository, { a: rows(500) });
    const plan = await planCopy(source.repository, target.repository);
    const asked = executeCopy(source.repository, target.repository, plan, {
      ...WRITER,
      beforeSnapshot: async () => {
        for (const lock of await keysOf(target.store, "locks/")) await target.store.remove(lock);
      },
    });
    await expect(asked).rejects.toMatchObject({ code: "repository.lock_lost" });
    expect(await keysOf(target.store, "snapshots/")).toEqual([]);
  });

  test("lists packs in an index every few minutes, so that a cut run is not lost", async () => {
    const source = await createFixture();
    await saveFiles(source.repository, { a: rows(60_000) });
    const clock = source.clock;
    const bare = await createFixture("target");
    const puts: string[] = [];
    const store: ObjectStore = {
      ...bare.store,
      put: async (key, body, options) => {
        puts.push(key.split("/")[0] ?? "");
        if (key.startsWith("data/")) clock.advance(4 * 60_000);
        await bare.store.put(key, body, options);
      },
    };
    const context = { store, clock, random: seededRandom("t"), createSealer: createInlineSealer };
    const target = await openRepository({ ...context, packBytes: 200_000 }, { password: PASSWORD });
    await copyAll(source.repository, target);
    expect(puts.indexOf("index")).toBeLessThan(puts.lastIndexOf("data"));
    expect(puts.lastIndexOf("index")).toBeLessThan(puts.indexOf("snapshots"));
  });

  test("asks before each snapshot, once what it needs is durable, and holds both locks", async () => {
    const source = await createFixture();
    const target = await targetOf(source);
    const { tree } = await saveFiles(source.repository, { a: rows(100) });
    const plan = await planCopy(source.repository, target.repository);
    const asked: string[] = [];
    const refuse = async (wanted: string): Promise<void> => {
      const counts = [source, target].map(({ store }) => keysOf(store, "locks/"));
      const [indexes, ...locks] = await Promise.all([keysOf(target.store, "index/"), ...counts]);
      asked.push(`${wanted} ${indexes.length} ${locks.map((keys) => keys.length).join(" ")}`);
      throw new Error("no lock to be had");
    };
    await expect(
      executeCopy(source.repository, target.repository, plan, {
        ...WRITER,
        beforeSnapshot: refuse,
      }),
    ).rejects.toThrow("no lock");
    // One index, and a lock in either repository, against everybody's prune.
    expect(asked).toEqual([`${tree} 1 1 1`]);
    expect(await keysOf(target.store, "snapshots/")).toEqual([]);
    expect(await keysOf(target.store, "locks/")).toEqual([]);
  });

  test("into a repository of another password needs nothing of the first", async () => {
    const source = await createFixture();
    await saveFiles(source.repository, { a: rows(100) });
    const bare = await createFixture("bare");
    for (const key of await keysOf(bare.store, "")) await bare.store.remove(key);
    const { store, clock, random } = bare;
    const context = { store, clock, random, createSealer: createInlineSealer };
    const options = { password: OTHER, hostname: "h", username: "u", cost: CHEAP_COST };
    await copyAll(source.repository, await createRepository(context, options));
    await expect(openRepository(context, { password: PASSWORD })).rejects.toMatchObject({
      code: "repository.wrong_password",
    });
    const opened = await openRepository(context, { password: OTHER });
    expect(await contents(opened)).toEqual(await contents(source.repository));
  });
});
