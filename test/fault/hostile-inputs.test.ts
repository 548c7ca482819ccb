import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { MIB, Secret, systemClock } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import type { MemoryStore } from "../../src/objectstore/index.ts";
import { codeOf, createTemporaryFolder, listKeys } from "../../src/objectstore/testing/index.ts";
import {
  openRepository,
  planRepairIndex,
  planRepairPacks,
  planRepairSnapshots,
  restoreFiles,
} from "../../src/repository/index.ts";
import { plantedNode, plantedTree, Planter } from "../support/plant.ts";
import { sha256 } from "../support/restic-format.ts";
import { backUp, contextOf, createOurs, openOurs, PASSWORD } from "../support/restic-repository.ts";

/** Small inputs that ask for much: time that doubles with each level, memory that is only claimed. */

let origin: MemoryStore;
let keys: Planter["keys"];

beforeAll(async () => {
  origin = createMemoryStore({ clock: systemClock });
  await backUp(await createOurs(origin), [{ path: ["a"], content: Buffer.from("a") }]);
  ({ keys } = await Planter.open(origin, PASSWORD));
});

function fork(): { store: MemoryStore; plant: Planter } {
  const store = origin.fork();
  return { store, plant: new Planter(store, keys) };
}

const folder = (name: string, subtree: string): unknown =>
  plantedNode(name, { type: "dir", mode: 2_147_484_096, subtree });

/** Trees, deepest first, each of which refers `times` times to the one before. */
function chain(depth: number, times: number): Buffer[] {
  const trees = [plantedTree([plantedNode("leaf", {})])];
  for (let level = 1; level < depth; level += 1) {
    const below = sha256(trees.at(-1) ?? Buffer.alloc(0));
    const nodes = Array.from({ length: times }, (_, i) => folder(`${i}`, below));
    trees.push(plantedTree(nodes));
  }
  return trees;
}

async function plantChain(plant: Planter, depth: number, times: number): Promise<string> {
  const trees = chain(depth, times);
  await plant.addPack(trees);
  return await plant.addSnapshot(sha256(trees.at(-1) ?? Buffer.alloc(0)));
}

async function walk(store: MemoryStore, id: string): Promise<number> {
  const repository = await openOurs(store);
  const reader = await repository.acquireReader();
  let entries = 0;
  for await (const entry of reader.entries(await repository.resolveSnapshot(id))) {
    entries += entry.path.length > 0 ? 1 : 0;
  }
  return entries;
}

describe("trees that refer twice to the next one, 50 deep", () => {
  test("end a walk and a restore, and take a check and a repair no longer than 50 trees do", async () => {
    const { store, plant } = fork();
    const id = await plantChain(plant, 50, 2);
    expect(await codeOf(() => walk(store, id))).toBe("repository.tree_damaged");
    const repository = await openOurs(store);
    const { findings } = await repository.check({ readData: true });
    expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
    expect((await planRepairSnapshots(repository)).needed).toBe(false);
  });

  test("are no trouble where they are few: a folder copied 500 times in a folder copied 300 times", async () => {
    const { store, plant } = fork();
    const leaf = plantedTree([plantedNode("leaf", {})]);
    const middle = plantedTree(Array.from({ length: 300 }, (_, i) => folder(`${i}`, sha256(leaf))));
    const top = plantedTree(Array.from({ length: 500 }, (_, i) => folder(`${i}`, sha256(middle))));
    await plant.addPack([leaf, middle, top]);
    expect(await walk(store, await plant.addSnapshot(sha256(top)))).toBe(500 + 500 * 300 * 2);
  });
});

describe("a chain of 4,500 folders", () => {
  test("ends a walk, a restore and a repair with a word, not with the stack", async () => {
    const { store, plant } = fork();
    const id = await plantChain(plant, 4_500, 1);
    expect(await codeOf(() => walk(store, id))).toBe("repository.tree_damaged");
    await using target = await createTemporaryFolder();
    const repository = await openOurs(store);
    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot(id);
    const restored = codeOf(() => restoreFiles(reader, snapshot, join(target.path, "out")));
    expect(await restored).toMatch(/^repository\.(tree_damaged|target_failed)$/);
    expect(await readdir(target.path)).toEqual(["out"]);
    const { findings } = await repository.check({ readData: false });
    expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
    expect((await planRepairSnapshots(repository)).repairs).toHaveLength(1);
  });
});

/** What the process took more than before, at its highest: RSS only grows in this count. */
async function growthBytes(work: () => Promise<unknown>): Promise<number> {
  const before = process.resourceUsage().maxRSS;
  await work();
  return (process.resourceUsage().maxRSS - before) * 1024;
}

describe("claims of memory", () => {
  const zeros = (mib: number): Buffer => Buffer.alloc(mib * MIB, 0x30);

  test.for([
    ["an index", "index", "repository.index_damaged"],
    ["a snapshot", "snapshots", "repository.snapshot_damaged"],
    ["a lock", "locks", "repository.lock_damaged"],
  ] as const)("%s that unpacks to 400 MiB is stopped on the way", async ([, prefix, code]) => {
    const { store, plant } = fork();
    const id = await plant.addFile(prefix, zeros(400), true);
    expect((await store.get(`${prefix}/${id}`)).byteLength).toBeLessThan(MIB);
    const repository = await openOurs(store);
    const use = {
      index: () => repository.acquireReader(),
      snapshots: () => repository.snapshots(),
      locks: () => repository.acquireWriter({ hostname: "h", username: "u", pid: 1 }),
    };
    const grown = await growthBytes(async () => expect(await codeOf(use[prefix])).toBe(code));
    expect(grown).toBeLessThan(200 * MIB);
  });

  test("an index of 60 MiB that is nothing but brackets is told before it becomes objects", async () => {
    const { store, plant } = fork();
    const json = Buffer.from(`{"packs":[${"{},".repeat(20 * MIB)}{}]}`);
    await plant.addFile("index", json, true);
    const repository = await openOurs(store);
    const grown = await growthBytes(async () =>
      expect(await codeOf(() => repository.acquireReader())).toBe("repository.index_damaged"),
    );
    expect(grown).toBeLessThan(400 * MIB);
  });

  test("blobs of 4 GiB in a small pack, by the index and by the header, are damaged and nothing more", async () => {
    const { store, plant } = fork();
    const pack = await plant.addPack([Buffer.from("x")], {
      header: (entries) => {
        const claimed = Buffer.alloc(41);
        claimed[0] = 3;
        claimed.writeUInt32LE(entries.readUInt32LE(1), 1);
        claimed.writeUInt32LE(0xffff_ffff, 5);
        entries.copy(claimed, 9, 5);
        return claimed;
      },
    });
    const blob = { id: sha256(Buffer.from("x")), type: "tree", offset: 0, length: 33 };
    const blobs = [
      { ...blob, uncompressed_length: 0xffff_ffff },
      { ...blob, length: 0xffff_ffff },
      { ...blob, offset: 0xffff_ffff },
    ];
    await plant.addFile("index", Buffer.from(JSON.stringify({ packs: [{ id: pack, blobs }] })));
    const repository = await openOurs(store);
    const grown = await growthBytes(async () => {
      const { findings } = await repository.check({ readData: true });
      expect(findings.map(({ code }) => code)).toContain("blob_damaged");
      await planRepairIndex(repository, { readAllPacks: true });
      await planRepairPacks(repository);
    });
    expect(grown).toBeLessThan(100 * MIB);
  });

  test("a header of 4 GiB is none", async () => {
    const { store } = fork();
    const id = sha256(Buffer.alloc(100, 0xff));
    await store.put(`data/${id.slice(0, 2)}/${id}`, [Buffer.alloc(100, 0xff)]);
    const plan = await planRepairIndex(await openOurs(store));
    expect(plan.ignoredPacks).toEqual([id]);
  });

  test("one blob at 60,000 places, and 60,000 blobs that begin alike, are taken in at once", async () => {
    const { store, plant } = fork();
    const alike = (i: number): string =>
      `${"0".repeat(8)}${sha256(Buffer.from(String(i))).slice(8)}`;
    const many = Array.from({ length: 60_000 }, (_, i) => [
      { id: "ab".repeat(32), type: "data", offset: i, length: 40 },
      { id: alike(i), type: "data", offset: i, length: 40 },
    ]).flat();
    await plant.addFile(
      "index",
      Buffer.from(JSON.stringify({ packs: [{ id: "cd".repeat(32), blobs: many }] })),
      true,
    );
    const repository = await openOurs(store);
    const reader = await repository.acquireReader();
    expect(reader.conflicts.length).toBeLessThanOrEqual(10_000);
    const plan = await planRepairIndex(repository);
    expect(plan.missingPacks).toEqual(["cd".repeat(32)]);
  });
});

test.for([
  [{ N: 2 ** 30 }, "much memory"],
  [{ N: 2 ** 17, p: 4096 }, "hours"],
  [{ r: 2 ** 20, p: 2 ** 10 }, "both"],
])("a key file that asks for %j is refused, not computed", async ([cost]) => {
  const store = origin.fork();
  const [key = ""] = await listKeys(store, "keys/");
  const file = JSON.parse(Buffer.from(await store.get(key)).toString()) as object;
  const bytes = Buffer.from(JSON.stringify({ ...file, ...(cost as object) }));
  await store.remove(key);
  await store.put(`keys/${sha256(bytes)}`, [bytes]);
  const opened = openRepository(contextOf(store), { password: new Secret(PASSWORD) });
  expect(await codeOf(() => opened)).toBe("repository.incompatible");
});
