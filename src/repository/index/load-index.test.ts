import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { toHex } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import { createFixture } from "../testing/fixtures.ts";
import { saveUnpacked } from "../unpacked.ts";
import { BlobIndex } from "./blob-index.ts";
import { formatIndex } from "./index-file.ts";
import type { IndexedPack } from "./index-file.ts";
import { indexFiles, takeIndexFiles } from "./load-index.ts";
import type { TakenIndex } from "./load-index.ts";

function packOf(blobs: number): IndexedPack {
  const entries = Array.from({ length: blobs }, (_, i) => ({
    id: randomBytes(32),
    type: i % 3 === 0 ? ("tree" as const) : ("data" as const),
    offset: i * 100,
    lengthBytes: 100,
    ...(i % 2 === 0 ? { plainBytes: 200 } : {}),
  }));
  return { id: toHex(randomBytes(32)), entries };
}

async function written(...files: readonly Uint8Array[]) {
  const core = coreOf((await createFixture()).repository);
  for (const json of files) await saveUnpacked(core, "index", json);
  return core;
}

test("an index taken in from its bytes holds what its files say, marked packs apart", async () => {
  const packs = Array.from({ length: 7 }, (_, i) => packOf(i * 40 + 1));
  const [first, second, third, ...others] = packs;
  if (first === undefined || second === undefined || third === undefined) throw new Error("none");
  const core = await written(
    formatIndex([first, second]),
    formatIndex([third], [packOf(3)]),
    formatIndex(others),
    Buffer.from(` ${Buffer.from(formatIndex([first])).toString()}`.trim().replace(":[", ": [")),
  );
  const index = new BlobIndex();
  const taken: TakenIndex[] = [];
  for await (const file of takeIndexFiles(core, index)) {
    if ("error" in file) throw file.error;
    taken.push(file);
  }
  expect(taken.filter(({ marks }) => marks)).toHaveLength(1);
  for await (const file of indexFiles(core)) {
    if ("error" in file) throw file.error;
    const numbers = taken.find(({ id }) => id === file.id)?.packs ?? [];
    expect(Array.from(numbers, (n) => index.packIds[n])).toEqual(file.packs.map(({ id }) => id));
  }
  expect(index.size).toBe(packs.reduce((sum, { entries }) => sum + entries.length, 0));
  // The second saying of a pack, and what the scanner had added before it gave up, are no other places.
  expect(index.hasRepeats).toBe(false);
  for (const pack of packs) {
    for (const entry of pack.entries) {
      expect(index.at(index.position(entry.id, entry.type))).toEqual({ ...entry, pack: pack.id });
    }
  }
});

test("a file that turns out to be no index adds nothing, not even in part", async () => {
  const spoiled = Buffer.from(formatIndex([packOf(30_000), packOf(5)]).subarray(0, -2));
  const good = packOf(100);
  const core = await written(formatIndex([good]), spoiled);
  const index = new BlobIndex();
  const errors: string[] = [];
  for await (const file of takeIndexFiles(core, index)) {
    if ("error" in file) errors.push(file.error.code);
  }
  expect(errors).toEqual(["repository.index_damaged"]);
  expect(index.packIds).toEqual([good.id]);
  expect(index.size).toBe(100);
  for (const entry of good.entries) expect(index.has(entry.id, entry.type)).toBe(true);
  index.add(
    { id: randomBytes(32), type: "data", offset: 0, lengthBytes: 1 },
    index.packNumber("x"),
  );
  expect(index.size).toBe(101);
});

test("slots are made for what the other files will hold, and for no more than their bytes can", async () => {
  const files = Array.from({ length: 8 }, () => formatIndex([packOf(2_000)]));
  const core = await written(...files);
  const index = new BlobIndex();
  const sizes: number[] = [];
  for await (const file of takeIndexFiles(core, index)) {
    if ("error" in file) throw file.error;
    sizes.push(index.memoryBytes);
  }
  // 16,000 blobs fit into one segment: after the first file nothing grows.
  expect(new Set(sizes).size).toBe(1);
});
