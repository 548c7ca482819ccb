import { createHash, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { fromHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { objectKey } from "../core.ts";
import { sealBytes } from "../crypto/sealed.ts";
import { formatIndex } from "../index/index-file.ts";
import { formatLock } from "../lock/lock-file.ts";
import { formatHeaderEntry } from "../pack/header.ts";
import type { PackEntry } from "../pack/header.ts";
import { blobIdOf, sealBlob } from "../seal.ts";
import { formatSnapshot } from "../snapshot-file.ts";
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
import { addIndex, coreOf, poison, readIndexes } from "../testing/poison.ts";
import { formatFileNode, formatTree } from "../tree/node.ts";
import { saveUnpacked } from "../unpacked.ts";
import { damagedSnapshots } from "./damaged-snapshots.ts";

/** Damage, one kind a test, and exactly what a check finds of it: first without, then with reading the data. */

const FILES = { "t/orders": rows(6000, "orders"), "t/shops": rows(5, "shops"), readme: "hello" };

interface Damaged extends Fixture {
  readonly data: string;
  readonly tree: string;
}

async function createStored(): Promise<Damaged & { readonly snapshot: string }> {
  const fixture = await createFixture();
  const snapshot = await saveFiles(fixture.repository, FILES);
  const stats = (await Array.fromAsync(fixture.store.list("data/"))).sort(
    (a, b) => b.sizeBytes - a.sizeBytes,
  );
  const [data = "", tree = ""] = stats.map(({ key }) => key);
  return { ...fixture, data, tree, snapshot: snapshot.id };
}

async function codes({ repository }: Fixture, readData: boolean): Promise<readonly string[]> {
  const { findings } = await repository.check({ readData });
  const counts = Map.groupBy(findings, ({ code }) => code);
  return [...counts].map(([code, list]) => (list.length === 1 ? code : `${code} ×${list.length}`));
}

type Damage = (fixture: Damaged & { readonly snapshot: string }) => Promise<unknown>;

const CASES: readonly (readonly [string, Damage, readonly string[], readonly string[]])[] = [
  ["nothing", () => Promise.resolve(), [], []],
  [
    "a pack of data gone",
    ({ store, data }) => store.remove(data),
    ["blob_missing ×3", "pack_missing"],
    ["blob_missing ×3", "pack_missing"],
  ],
  [
    "a pack of trees gone",
    ({ store, tree }) => store.remove(tree),
    ["pack_missing", "tree_missing"],
    ["pack_missing", "tree_missing"],
  ],
  [
    "a bit of a blob flipped",
    ({ store, data }) => overwrite(store, data, flipByte(20)),
    [],
    ["blob_damaged", "pack_damaged"],
  ],
  [
    "a bit of a pack's header flipped",
    ({ store, data }) => overwrite(store, data, flipByte(-10)),
    [],
    ["pack_damaged", "pack_header_damaged"],
  ],
  [
    "a bit of a pack's header length flipped",
    ({ store, data }) => overwrite(store, data, flipByte(-1)),
    [],
    ["pack_damaged", "pack_header_damaged"],
  ],
  [
    "a pack cut in its header",
    ({ store, data }) => overwrite(store, data, (bytes) => bytes.subarray(0, -1)),
    ["pack_size_differs"],
    ["pack_damaged", "pack_header_damaged", "pack_size_differs"],
  ],
  [
    "a pack that grew",
    ({ store, data }) => overwrite(store, data, (bytes) => Buffer.concat([bytes, bytes])),
    ["pack_size_differs"],
    ["pack_damaged", "pack_size_differs"],
  ],
  [
    "an empty pack",
    ({ store, tree }) => overwrite(store, tree, () => Buffer.alloc(0)),
    ["pack_size_differs", "tree_damaged"],
    ["blob_damaged ×2", "pack_damaged", "pack_header_damaged", "pack_size_differs", "tree_damaged"],
  ],
  [
    "a tree's bit flipped",
    ({ store, tree }) => overwrite(store, tree, flipByte(20)),
    ["tree_damaged"],
    ["blob_damaged", "pack_damaged", "tree_damaged"],
  ],
  [
    "the index gone",
    async ({ store }) => {
      for (const key of await keysOf(store, "index/")) await store.remove(key);
    },
    ["pack_unreferenced ×2", "tree_missing"],
    ["pack_unreferenced ×2", "tree_missing"],
  ],
  [
    "the index damaged",
    async ({ store }) => {
      for (const key of await keysOf(store, "index/")) await overwrite(store, key, flipByte(40));
    },
    ["index_damaged", "pack_unreferenced ×2", "tree_missing"],
    ["index_damaged", "pack_unreferenced ×2", "tree_missing"],
  ],
  [
    "the snapshot damaged",
    ({ store, snapshot }) => overwrite(store, `snapshots/${snapshot}`, flipByte(40)),
    ["snapshot_damaged"],
    ["snapshot_damaged"],
  ],
  [
    "a key damaged that nobody uses",
    ({ store }) => store.put(`keys/${"ab".repeat(32)}`, [Buffer.from("{}")]),
    ["key_damaged", "key_unknown"],
    ["key_damaged", "key_unknown"],
  ],
  [
    "foreign files",
    async ({ store }) => {
      for (const key of ["README", "data/ab/notes.txt", "snapshots/tmp-1", "journal/x"]) {
        await store.put(key, [Buffer.from("?")]);
      }
    },
    [],
    [],
  ],
  [
    "a pack in no index",
    ({ store }) => store.put(objectKey.pack("ab".repeat(32)), [Buffer.from("?")]),
    ["pack_unreferenced"],
    ["pack_unreferenced"],
  ],
  [
    "a lock that is no lock",
    ({ store }) => store.put(`locks/${"ab".repeat(32)}`, [Buffer.from("?")]),
    ["lock_damaged"],
    ["lock_damaged"],
  ],
  [
    "an index that names a pack which is not there",
    async (fixture) => {
      await poison(fixture, await fixture.repository.resolveSnapshot("latest"), "before");
    },
    ["pack_missing"],
    ["pack_missing"],
  ],
  [
    "every index entry twice",
    async (fixture) => {
      const core = await coreOf(fixture);
      await addIndex(core, formatIndex(await readIndexes(core)), "after");
    },
    [],
    [],
  ],
  [
    "an index that places a blob wrongly",
    async (fixture) =>
      await misplace(fixture, ({ offset, ...entry }) => ({ ...entry, offset: offset + 1 })),
    ["pack_size_differs"],
    ["blob_damaged", "index_differs", "pack_size_differs"],
  ],
  [
    "an index that states another plain length",
    async (fixture) =>
      await misplace(fixture, (entry) => ({ ...entry, plainBytes: (entry.plainBytes ?? 0) + 1 })),
    ["index_conflict", "pack_size_differs"],
    ["blob_damaged", "index_conflict", "index_differs", "pack_size_differs"],
  ],
];

/** The first blob of the first pack once more, changed. */
async function misplace(fixture: Fixture, change: (entry: PackEntry) => PackEntry): Promise<void> {
  const core = await coreOf(fixture);
  const [pack] = (await readIndexes(core)).filter(({ entries }) => entries[0]?.type === "data");
  const [entry] = pack?.entries ?? [];
  if (pack === undefined || entry === undefined) throw new Error("a pack of data");
  await addIndex(core, formatIndex([{ id: pack.id, entries: [change(entry)] }]), "after");
}

describe("a check finds of", () => {
  test.for(CASES)("%s", async ([, damage, quick, thorough]) => {
    const fixture = await createStored();
    await damage(fixture);
    expect(await codes(fixture, false)).toEqual(quick);
    expect(await codes(fixture, true)).toEqual(thorough);
  });
});

test("a lock left for half an hour is a warning, one of a writer at work is none", async () => {
  const fixture = await createStored();
  const owner = { hostname: "db-9", username: "u", pid: 7 };
  const lock = formatLock({ time: fixture.clock.now(), exclusive: false, ...owner });
  await saveUnpacked(await coreOf(fixture), "lock", lock);
  expect(await codes(fixture, false)).toEqual([]);
  fixture.clock.advance(31 * 60_000);
  const { findings } = await fixture.repository.check({ readData: false });
  expect(findings).toMatchObject([{ code: "lock_stale", severity: "warning" }]);
  expect(findings[0]?.message).toContain("process 7 on db-9");
});

test("a lock at a store that does not tell ages is as old as it says itself", async () => {
  const fixture = await createStored();
  const owner = { hostname: "db-9", username: "u", pid: 7 };
  const lock = formatLock({ time: fixture.clock.now(), exclusive: false, ...owner });
  await saveUnpacked(await coreOf(fixture), "lock", lock);
  const inner = fixture.store;
  const list: ObjectStore["list"] = async function* (prefix, wait) {
    for await (const found of inner.list(prefix, wait)) {
      yield { ...found, modifiedAt: fixture.clock.now(), seenOnly: true };
    }
  };
  const repository = await reopen(fixture, { ...inner, list });
  fixture.clock.advance(29 * 60_000);
  expect((await repository.check({ readData: false })).findings).toEqual([]);
  fixture.clock.advance(2 * 60_000);
  const { findings } = await repository.check({ readData: false });
  expect(findings).toMatchObject([{ code: "lock_stale", severity: "warning" }]);
});

/** A pack of its own, an index and a snapshot around hand-made blobs: what a broken or hostile writer leaves. */
async function plant(
  fixture: Fixture,
  blobs: readonly (readonly ["data" | "tree", Bytes])[],
  tree: Bytes,
): Promise<void> {
  const core = await coreOf(fixture);
  const entries: PackEntry[] = [];
  const body: Bytes[] = [];
  let offset = 0;
  for (const [type, plain] of blobs) {
    const sealed = sealBlob(plain, type, core.master.keys, 3, randomBytes(16));
    const lengthBytes = sealed.bytes.byteLength;
    const plainBytes = sealed.compressed ? { plainBytes: plain.byteLength } : {};
    entries.push({ id: blobIdOf(plain), type, offset, lengthBytes, ...plainBytes });
    body.push(sealed.bytes);
    offset += lengthBytes;
  }
  const header = sealBytes(
    Buffer.concat(entries.map(formatHeaderEntry)),
    core.master.keys,
    randomBytes(16),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.byteLength);
  const pack = Buffer.concat([...body, header, length]);
  const id = createHash("sha256").update(pack).digest("hex");
  await core.store.put(objectKey.pack(id), [pack]);
  await saveUnpacked(core, "index", formatIndex([{ id, entries }]));
  const snapshot = formatSnapshot({
    time: new Date("2026-01-01T00:00:00Z"),
    tree: Buffer.from(blobIdOf(tree)).toString("hex"),
    paths: ["/"],
    hostname: "h",
    username: "u",
    tags: [],
    programVersion: "sparekeep 0.0.0",
  });
  await saveUnpacked(core, "snapshot", snapshot);
}

function treeOf(content: Bytes, sizeBytes: number): Bytes {
  const node = { name: Buffer.from("f"), mode: 0o600, modifiedAt: new Date(0), attributes: [] };
  return formatTree([formatFileNode({ ...node, sizeBytes, content })]);
}

describe("a check of what a broken writer wrote finds", () => {
  const data = Buffer.from("content");

  test("nothing where all is well", async () => {
    const fixture = await createFixture();
    const tree = treeOf(blobIdOf(data), data.byteLength);
    await plant(
      fixture,
      [
        ["data", data],
        ["tree", tree],
      ],
      tree,
    );
    expect(await codes(fixture, true)).toEqual([]);
  });

  test("a size that the blobs do not add up to, which stock check passes over", async () => {
    const fixture = await createFixture();
    const tree = treeOf(blobIdOf(data), data.byteLength + 1);
    await plant(
      fixture,
      [
        ["data", data],
        ["tree", tree],
      ],
      tree,
    );
    const { findings } = await fixture.repository.check({ readData: true });
    expect(findings).toMatchObject([
      { severity: "error", code: "node_size_differs", subject: { name: "f" } },
    ]);
    const snapshots = await fixture.repository.snapshots();
    const damaged = await damagedSnapshots(fixture.repository, snapshots, findings);
    expect(damaged).toEqual(snapshots.map(({ id }) => id));
  });

  test("a blob that no index has, and which file needs it", async () => {
    const fixture = await createFixture();
    const tree = treeOf(fromHex("ab".repeat(32)), 7);
    await plant(fixture, [["tree", tree]], tree);
    const { findings } = await fixture.repository.check({ readData: false });
    const subject = { name: "f", blob: "ab".repeat(32) };
    expect(findings).toMatchObject([{ code: "blob_missing", subject }]);
  });

  test.for(['{"nodes":[{"name":"x"}]}\n', '{"nodes":[', "nonsense"])(
    "the tree %j damaged",
    async (json) => {
      const fixture = await createFixture();
      const tree = Buffer.from(json);
      await plant(fixture, [["tree", tree]], tree);
      expect(await codes(fixture, true)).toEqual(["tree_damaged"]);
    },
  );

  test("at most a thousand of one kind, and how many more", async () => {
    const fixture = await createFixture();
    const node = {
      name: Buffer.from("f"),
      mode: 0,
      modifiedAt: new Date(0),
      attributes: [],
      sizeBytes: 9,
    };
    const nodes = Array.from({ length: 1500 }, () =>
      formatFileNode({ ...node, content: new Uint8Array(0) }),
    );
    const tree = formatTree(nodes);
    await plant(fixture, [["tree", tree]], tree);
    const { findings } = await fixture.repository.check({ readData: false });
    expect(findings).toHaveLength(1001);
    expect(findings.find(({ code }) => code === "further_findings")?.subject).toEqual({
      code: "node_size_differs",
      count: "500",
    });
  });
});

test("a check reports what it read, and stops when told to", async () => {
  const fixture = await createStored();
  const seen: number[] = [];
  const report = await fixture.repository.check({
    readData: true,
    onProgress: ({ doneBytes }) => void seen.push(doneBytes),
  });
  const stored = await Array.fromAsync(fixture.store.list("data/"));
  expect(report).toMatchObject({ snapshots: 1, packs: 2 });
  expect(report.readBytes).toBe(stored.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  expect(seen.at(-1)).toBe(report.readBytes);
  const signal = AbortSignal.abort();
  await expect(fixture.repository.check({ readData: true, signal })).rejects.toThrow(
    expect.objectContaining({ code: "kernel.cancelled" }),
  );
});
