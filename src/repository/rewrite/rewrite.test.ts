import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { ObjectStore, Retention } from "../../objectstore/index.ts";
import { objectStoreError } from "../../objectstore/index.ts";
import { executeCopy } from "../copy/execute.ts";
import { planCopy } from "../copy/plan.ts";
import { carryRecords } from "../copy/records.ts";
import { coreOf } from "../core.ts";
import { addHold, releaseHold } from "../hold/holds.ts";
import { acquireLock } from "../lock/lock.ts";
import { openRepository } from "../open.ts";
import { loadRecords, saveRecord } from "../record/record.ts";
import { createInlineSealer } from "../sealer.ts";
import { loadSnapshotFields } from "../snapshots.ts";
import {
  createFixture,
  entriesOf,
  keysOf,
  PASSWORD,
  pathOf,
  rows,
  saveFiles,
  WRITER,
} from "../testing/fixtures.ts";
import type { Files, Fixture } from "../testing/fixtures.ts";
import type { EntryPath, Repository, Snapshot } from "../types.ts";
import { saveUnpacked } from "../unpacked.ts";
import { erasuresOf } from "./erasure.ts";
import { executeRewrite } from "./execute.ts";
import type { RewriteOptions, RewriteResult } from "./execute.ts";
import { planRewrite } from "./plan.ts";

const REASON = "request 17";
const TERMS = { by: "ann", reason: "case 4" };

async function rewrite(
  repository: Repository,
  without: readonly EntryPath[],
  options: Partial<RewriteOptions> = {},
  select: (snapshot: Snapshot) => boolean = () => true,
): Promise<RewriteResult> {
  const plan = await planRewrite(repository, { select, without });
  const asked = { ...WRITER, reason: REASON, forget: false, ...options };
  return await executeRewrite(repository, plan, asked);
}

async function pathsIn(repository: Repository, id: string): Promise<readonly string[]> {
  const snapshot = await repository.resolveSnapshot(id);
  return (await entriesOf(await repository.acquireReader(), snapshot)).map(pathOf);
}

function open(fixture: Fixture, store: ObjectStore): Promise<Repository> {
  const { clock, random } = fixture;
  const context = { store, clock, random, createSealer: createInlineSealer };
  return openRepository(context, { password: PASSWORD });
}

/** The names under which stored nodes lie, shards included. */
async function storedNames(fixture: Fixture, tree: string): Promise<readonly string[]> {
  const { BlobReader } = await import("../read/blob-reader.ts");
  const { loadIndex } = await import("../index/load-index.ts");
  const { parseTree } = await import("../tree/parse-tree.ts");
  const core = coreOf(fixture.repository);
  const reader = new BlobReader(core, await loadIndex(core));
  const names: string[] = [];
  const walk = async (id: string): Promise<void> => {
    let before = Buffer.alloc(0);
    for (const node of parseTree(await reader.load(Buffer.from(id, "hex"), "tree"))) {
      if (node === undefined) throw new Error("no tree");
      const name = Buffer.from(node.name);
      // Every tree keeps its order, or stock tools would not take it.
      expect(Buffer.compare(before, name)).toBeLessThan(0);
      before = name;
      names.push(name.toString("latin1"));
      if (node.subtree !== undefined) await walk(node.subtree);
    }
  };
  await walk(tree);
  return names;
}

const FILES: Files = {
  "db/orders": rows(300),
  "buckets/avatars/jane": "a picture",
  "buckets/avatars/joe": "another picture",
  "buckets/other/deep/file": "x",
  "letters/jane": "dear",
};

describe("a snapshot without some paths", () => {
  test("keeps everything else, its time and tags, and names the one that it came from", async () => {
    const { repository, store } = await createFixture();
    const old = await saveFiles(repository, FILES);
    const packs = await keysOf(store, "data/");
    const result = await rewrite(repository, [
      ["buckets", "avatars", "jane"],
      ["letters", "jane"],
    ]);
    expect(result).toMatchObject({ outcome: "complete", forgotten: [], remaining: [] });
    const to = result.rewritten[0]?.to ?? "";
    // The emptied folder stays, as it does with restic.
    expect(await pathsIn(repository, to)).toEqual([
      "buckets",
      "buckets/avatars",
      "buckets/avatars/joe",
      "buckets/other",
      "buckets/other/deep",
      "buckets/other/deep/file",
      "db",
      "db/orders",
      "letters",
    ]);
    const snapshot = await repository.resolveSnapshot(to);
    expect(snapshot).toEqual({
      ...old,
      id: to,
      tree: snapshot.tree,
      original: old.id,
      tags: ["nightly", "rewrite"],
    });
    // One pack of four trees: root, buckets, avatars, letters.
    const added = (await keysOf(store, "data/")).filter((key) => !packs.includes(key));
    expect(added).toHaveLength(1);
    expect((await repository.check({ readData: true })).findings).toEqual([]);
    expect(await repository.snapshots()).toHaveLength(2);
  });

  test("is not written again, nor is its record, when asked for twice", async () => {
    const { repository, store } = await createFixture();
    await saveFiles(repository, FILES);
    const first = await rewrite(repository, [["letters"]]);
    const keys = await keysOf(store, "");
    const second = await rewrite(repository, [["letters"]]);
    expect(second.rewritten).toEqual(first.rewritten.map((one) => ({ ...one, found: true })));
    expect(second.record).toBeUndefined();
    expect(await keysOf(store, "")).toEqual(keys);
  });

  test("says what is matched where, and which other snapshots hold it still", async () => {
    const { repository } = await createFixture();
    const first = await saveFiles(repository, FILES);
    const second = await saveFiles(repository, { ...FILES, more: "m" });
    await saveFiles(repository, { unrelated: "u" });
    const plan = await planRewrite(repository, {
      select: ({ id }) => id === second.id,
      without: [["buckets", "avatars"], ["nowhere"]],
    });
    expect(plan.rewrite).toHaveLength(1);
    expect(plan.rewrite[0]).toMatchObject({
      snapshot: { id: second.id },
      matched: [{ type: "dir", files: 2, sizeBytes: 24 }],
    });
    expect(plan.elsewhere.map(({ snapshot }) => snapshot.id)).toEqual([first.id]);
    expect(plan).toMatchObject({ packs: 1, locksRead: false });
  });

  test.for([
    [[["nowhere"]], "repository.path_not_found"],
    [[["db", "orders", "below a file"]], "repository.path_not_found"],
    [[[]], "repository.invalid_path"],
  ] as const)("is refused for %j with %s", async ([without, code]) => {
    const { repository } = await createFixture();
    await saveFiles(repository, FILES);
    await expect(rewrite(repository, without)).rejects.toMatchObject({ code });
  });

  test("may be without anything at all", async () => {
    const { repository } = await createFixture();
    await saveFiles(repository, { a: "a", "b/c": "c" });
    const { rewritten } = await rewrite(repository, [["a"], ["b"]]);
    expect(await pathsIn(repository, rewritten[0]?.to ?? "")).toEqual([]);
    expect((await repository.check({ readData: true })).findings).toEqual([]);
  });

  test("is found through shards and escapes, and no shard tells a name that is gone", async () => {
    const fixture = await createFixture();
    const { repository } = fixture;
    const names = Array.from({ length: 2_500 }, (_, index) =>
      createHash("sha1").update(`${index}`).digest("hex"),
    );
    const files: Record<string, string> = { "huge/100% sure": "odd" };
    for (const name of names) files[`huge/${name}`] = "";
    const old = await saveFiles(repository, files);
    const shards = (await storedNames(fixture, old.tree)).filter((name) => name.startsWith("%-"));
    expect(shards.length).toBeGreaterThan(3);
    // The first names of some shards, after which they were called, all of the first shard, and an escaped name.
    const firsts = [2, 3].map(
      (at) => names.toSorted().find((name) => name >= (shards[at] ?? "").slice(2)) ?? "",
    );
    const run = names.filter((name) => name < (shards[1] ?? "").slice(2));
    const gone = [...new Set([...firsts, ...run])];
    const without = [...gone.map((name) => ["huge", name]), ["huge", "100% sure"]];
    const { rewritten } = await rewrite(repository, without);
    const [to, tree] = [rewritten[0]?.to ?? "", rewritten[0]?.tree ?? ""];
    const left = (await pathsIn(repository, to)).filter((path) => path !== "huge");
    const expected = names.filter((name) => !gone.includes(name)).map((name) => `huge/${name}`);
    expect([...left].sort()).toEqual(expected.sort());

    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot(to);
    const some = expected.filter((_, at) => at % 20 === 0);
    for (const path of some) await reader.find(snapshot, path.split("/"));
    const after = (await storedNames(fixture, tree)).filter((name) => name.startsWith("%-"));
    const kept = names.filter((name) => !gone.includes(name));
    for (const shard of after) {
      expect(kept.some((name) => name.startsWith(shard.slice(2)))).toBe(true);
    }
    expect(after.length).toBe(shards.length - 1);
    expect(after.filter((shard) => !shards.includes(shard))).toHaveLength(2);
  });
});

describe("the old snapshots", () => {
  test("go when asked, after the new one is there", async () => {
    const { repository, store } = await createFixture();
    const old = await saveFiles(repository, FILES);
    const { rewritten, forgotten } = await rewrite(repository, [["letters"]], { forget: true });
    expect(forgotten).toEqual([old.id]);
    const left = await repository.snapshots();
    expect(left.map(({ id }) => id)).toEqual(rewritten.map(({ to }) => to));
    // Nothing tells it from the one that it replaces: retention goes on as before.
    expect(left[0]?.tags).toEqual(old.tags);
    expect(await keysOf(store, "locks/")).toEqual([]);
    await expect(rewrite(repository, [["letters"]])).rejects.toMatchObject({
      code: "repository.path_not_found",
    });
  });

  test("stay where a hold names them, and the result says that nothing is erased yet", async () => {
    const { repository } = await createFixture();
    const held = await saveFiles(repository, FILES);
    const free = await saveFiles(repository, { ...FILES, more: "m" });
    const terms = { by: "ann", reason: "case 4", snapshots: [held.id] };
    const hold = await addHold(repository, terms, WRITER);
    const ended = { ...terms, snapshots: [free.id], until: new Date(0) };
    await addHold(repository, ended, WRITER);
    const result = await rewrite(repository, [["letters"]], { forget: true });
    expect(result).toMatchObject({
      outcome: "incomplete",
      forgotten: [free.id],
      remaining: [{ snapshot: held.id, why: "held", by: "ann", reason: "case 4" }],
    });
    await releaseHold(repository, { hold: hold.id, by: "ann", reason: "over" });
    const after = await rewrite(repository, [["letters"]], { forget: true });
    expect(after).toMatchObject({ outcome: "complete", forgotten: [held.id] });
  });

  test("stay where a hold covers their time, or the one that they were made from", async () => {
    for (const held of ["time", "plan", "original"] as const) {
      const { repository } = await createFixture();
      const old = await saveFiles(repository, FILES);
      const [from, to] = [old.time, old.time];
      const terms = {
        time: { snapshots: [], range: { from, to } },
        plan: { snapshots: [], range: { from, plan: "full" } },
        original: { snapshots: [old.id] },
      }[held];
      // As `restic tag` does: the same once more, and the old one goes.
      const core = coreOf(repository);
      const { fields } = await loadSnapshotFields(core, old.id);
      const tagged = { ...fields, tags: ["plan=full"], original: old.id };
      await addHold(repository, { ...terms, ...TERMS }, WRITER);
      const { id } = await saveUnpacked(core, "snapshot", Buffer.from(JSON.stringify(tagged)));
      await core.store.remove(`snapshots/${old.id}`);
      const result = await rewrite(repository, [["letters"]], { forget: true });
      expect(result).toMatchObject({
        outcome: "incomplete",
        forgotten: [],
        remaining: [{ snapshot: id, why: "held" }],
      });
    }
  });

  test("are not taken for rewritten by an earlier rewrite of other paths", async () => {
    const { repository } = await createFixture();
    const old = await saveFiles(repository, FILES);
    const only = (snapshot: Snapshot): boolean => snapshot.id === old.id;
    await rewrite(repository, [["buckets"]], {}, only);
    const { rewritten } = await rewrite(repository, [["letters"]], { forget: true }, only);
    expect(rewritten).toMatchObject([{ from: old.id, found: false }]);
    const left = await pathsIn(repository, rewritten[0]?.to ?? "");
    expect(left.some((path) => path.startsWith("letters"))).toBe(false);
    expect(left.some((path) => path.startsWith("buckets"))).toBe(true);
  });

  test("stay while another is at work: a forget is alone on the repository", async () => {
    const { repository } = await createFixture();
    const old = await saveFiles(repository, FILES);
    await using _ = await acquireLock(coreOf(repository), { exclusive: false, owner: WRITER });
    await expect(rewrite(repository, [["letters"]], { forget: true })).rejects.toMatchObject({
      code: "repository.locked",
    });
    const ids = (await repository.snapshots()).map(({ id }) => id);
    expect(ids).toHaveLength(2);
    expect(ids).toContain(old.id);
  });

  test("stay, the rest of them, when the lock is removed by someone else", async () => {
    const fixture = await createFixture();
    const { store } = fixture;
    const old = [
      await saveFiles(fixture.repository, FILES),
      await saveFiles(fixture.repository, { ...FILES, more: "m" }),
    ];
    const repository = await open(fixture, {
      ...store,
      remove: async (key, options) => {
        await store.remove(key, options);
        if (!key.startsWith("snapshots/")) return;
        for (const lock of await keysOf(store, "locks/")) await store.remove(lock);
      },
    });
    await expect(rewrite(repository, [["letters"]], { forget: true })).rejects.toMatchObject({
      code: "repository.lock_lost",
    });
    const left = new Set((await repository.snapshots()).map(({ id }) => id));
    expect(old.filter(({ id }) => left.has(id))).toHaveLength(1);
  });

  test("stay, and no new one is written, where what was written cannot be read back", async () => {
    const fixture = await createFixture();
    const { store } = fixture;
    const old = await saveFiles(fixture.repository, FILES);
    // A store that acknowledges packs and loses them.
    const repository = await open(fixture, {
      ...store,
      put: async (key, body, options) => {
        if (!key.startsWith("data/")) await store.put(key, body, options);
      },
    });
    await expect(rewrite(repository, [["letters"]], { forget: true })).rejects.toMatchObject({
      code: "repository.copy_differs",
    });
    expect((await repository.snapshots()).map(({ id }) => id)).toEqual([old.id]);
  });

  test("stay, all of them, where a hold cannot be read", async () => {
    const { repository } = await createFixture();
    const old = await saveFiles(repository, FILES);
    await saveRecord(coreOf(repository), "holds", { another: "version" });
    await expect(rewrite(repository, [["letters"]], { forget: true })).rejects.toMatchObject({
      code: "repository.record_damaged",
    });
    expect((await repository.snapshots()).map(({ id }) => id)).toContain(old.id);
  });

  test("stay where the store holds or denies them", async () => {
    const fixture = await createFixture();
    const { store, clock } = fixture;
    const old = await saveFiles(fixture.repository, FILES);
    const until = new Date(clock.now().getTime() + 1_000);
    const retention: Retention = { mode: "compliance", until };
    const locking: ObjectStore = {
      ...store,
      lock: {
        retentionOf: (key) => Promise.resolve(key.startsWith("locks/") ? undefined : retention),
        extend: () => Promise.resolve(),
      },
    };
    const locked = await open(fixture, locking);
    const plan = await planRewrite(locked, { select: () => true, without: [["letters"]] });
    expect(plan).toMatchObject({ locksRead: true, lockedUntil: until });
    const asked = { ...WRITER, reason: REASON, forget: true };
    expect(await executeRewrite(locked, plan, asked)).toMatchObject({
      outcome: "incomplete",
      remaining: [{ snapshot: old.id, why: "locked", until }],
    });
    const denying: ObjectStore = {
      ...store,
      remove: async (key) => {
        if (key.startsWith("locks/")) return await store.remove(key);
        throw objectStoreError("denied", { message: "no" });
      },
    };
    expect(
      await rewrite(await open(fixture, denying), [["letters"]], { forget: true }),
    ).toMatchObject({ outcome: "incomplete", remaining: [{ snapshot: old.id, why: "denied" }] });
    clock.advance(2_000);
    expect(await rewrite(locked, [["letters"]], { forget: true })).toMatchObject({
      outcome: "complete",
    });
  });
});

describe("the record of an erasure", () => {
  test("knows a path again through later rewrites and copies, and tells none", async () => {
    const fixture = await createFixture();
    const { repository } = fixture;
    const old = await saveFiles(repository, FILES);
    await rewrite(repository, [["buckets", "avatars"]], { forget: true });
    const { rewritten } = await rewrite(repository, [["letters", "jane"]], { forget: true });
    const snapshot = await repository.resolveSnapshot(rewritten[0]?.to ?? "");
    const covered = (erasures: Awaited<ReturnType<typeof erasuresOf>>): readonly boolean[] =>
      [
        ["buckets", "avatars"],
        ["buckets", "avatars", "jane"],
        [Buffer.from("letters"), Buffer.from("jane")],
        ["letters"],
        ["buckets"],
        ["lettersjane"],
      ].map((path) => erasures.some((erasure) => erasure.covers(path)));
    const expected = [true, true, true, false, false, false];
    const erasures = await erasuresOf(repository, snapshot);
    expect(erasures).toHaveLength(2);
    expect(erasures[0]).toMatchObject({ by: WRITER.username, reason: REASON });
    expect(covered(erasures)).toEqual(expected);
    expect(await erasuresOf(repository, old)).toEqual([]);
    const texts = await loadRecords(coreOf(repository), "erasures", (fields) => fields);
    expect(JSON.stringify(texts)).not.toMatch(/jane|avatars|letters/);

    const target = { ...(await createFixture("target")), clock: fixture.clock };
    const plan = await planCopy(repository, target.repository);
    const { copied } = await executeCopy(repository, target.repository, plan, WRITER);
    const carried = await carryRecords(repository, target.repository, ["erasures"], copied);
    expect(carried).toEqual([{ kind: "erasures", carried: 2, present: 0 }]);
    const [copy] = await target.repository.snapshots();
    if (copy === undefined) throw new Error("no copy");
    expect(covered(await erasuresOf(target.repository, copy))).toEqual(expected);
  });
});

describe("records that go with a copy", () => {
  test("name the copies, come once, and only with what was copied", async () => {
    const source = await createFixture();
    const target = { ...(await createFixture("target")), clock: source.clock };
    const held = await saveFiles(source.repository, { a: "a" });
    const other = await saveFiles(source.repository, { b: "b" });
    const core = coreOf(source.repository);
    await saveRecord(core, "holds", { snapshots: [held.id], by: "ann" });
    await saveRecord(core, "holds", { snapshots: [other.id], by: "bob" });
    await saveRecord(core, "holds", { everything: true });
    const plan = await planCopy(source.repository, target.repository, {
      select: ({ id }) => id === held.id,
    });
    const { copied } = await executeCopy(source.repository, target.repository, plan, WRITER);
    const carry = () => carryRecords(source.repository, target.repository, ["holds"], copied);
    expect(await carry()).toEqual([{ kind: "holds", carried: 2, present: 0 }]);
    expect(await carry()).toEqual([{ kind: "holds", carried: 0, present: 2 }]);
    const there = await loadRecords(coreOf(target.repository), "holds", (fields) => fields);
    expect(there.map(({ value }) => value)).toEqual(
      expect.arrayContaining([{ snapshots: [copied[0]?.copy], by: "ann" }, { everything: true }]),
    );
  });
});
