import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Bytes } from "../../kernel/index.ts";
import { PendingFolder, reservePath } from "./pending.ts";
import { saveTree } from "./save-tree.ts";
import { latin1 } from "./names.ts";
import { needsShards, shardRanges } from "./shard.ts";
import { FileItem, FolderItem, ShardedItem } from "./tree-item.ts";

interface Saved {
  readonly trees: Map<string, Bytes>;
  readonly root: string;
}

async function save(names: readonly string[]): Promise<Saved> {
  const root = new PendingFolder();
  for (const name of names) {
    const file = {
      mode: 0o600,
      modifiedAtMs: 1_700_000_000_000,
      sizeBytes: 4,
      content: "x".repeat(32),
    };
    reservePath(root, ["bucket", name]).save(file);
  }
  const trees = new Map<string, Bytes>();
  const saved = await saveTree(root, (json) => {
    const id = createHash("sha256").update(json).digest("hex");
    trees.set(id, json);
    return Promise.resolve(id);
  });
  return { trees, root: saved.tree };
}

function newBytes(before: Saved, after: Saved): number {
  const added = [...after.trees].filter(([id]) => !before.trees.has(id));
  return added.reduce((sum, [, json]) => sum + json.byteLength, 0);
}

function keys(count: number): string[] {
  return Array.from(
    { length: count },
    (_, i) => `${createHash("md5").update(String(i)).digest("hex")}.jpg`,
  );
}

test("folders as deep in each other as a path may be are stored", async () => {
  const root = new PendingFolder();
  const file = { mode: 0o600, modifiedAtMs: 0, sizeBytes: 0, content: "" };
  reservePath(
    root,
    Array.from({ length: 1024 }, () => "d"),
  ).save(file);
  let trees = 0;
  const saved = await saveTree(root, () => {
    trees += 1;
    return Promise.resolve("0".repeat(64));
  });
  expect(saved.files).toBe(1);
  expect(trees).toBe(1024);
});

test("no entry's JSON is longer than is reckoned for it", () => {
  const byte = fc.string({
    unit: fc.constantFrom("%", "/", "\0", "\x01", '"', "&", "a", "\xff", "\x80", "\xe2", "\u2028"),
  });
  const name = fc
    .oneof(byte, fc.string({ unit: "binary", maxLength: 300 }))
    .map((text) => latin1(Buffer.from(text)));
  fc.assert(
    fc.property(name, name, fc.nat(40), (one, other, blobs) => {
      const attributes = [[other, one]] as const;
      const content = "x".repeat(32 * blobs);
      const file = { mode: 0o7777, modifiedAtMs: 8.64e15, sizeBytes: 2 ** 52, content, attributes };
      const id = "a".repeat(64);
      const items = [
        new FileItem(one, file),
        new FolderItem(one, id, 8.64e15),
        new ShardedItem(one.slice(0, 250), one, id, 8.64e15),
      ];
      for (const item of items) {
        expect(Buffer.byteLength(item.json())).toBeLessThanOrEqual(item.mostBytes);
      }
    }),
  );
});

describe("huge folders", () => {
  test(
    "of 40,000 write two small trees and not one of 14 MB for one more",
    { timeout: 60_000 },
    async () => {
      const names = keys(40_000);
      const before = await save(names);
      const after = await save([...names, "7777777777777777.jpg"]);
      expect(newBytes(before, after)).toBeLessThan(400_000);
      expect([...after.trees.values()].every(({ byteLength }) => byteLength < 1_000_000)).toBe(
        true,
      );
    },
  );

  test("keep their shards when names come and go elsewhere", async () => {
    const names = keys(20_000);
    const before = await save(names);
    const after = await save(names.filter((_, i) => i !== 777));
    const changed = [...after.trees.keys()].filter((id) => !before.trees.has(id));
    // The shard that lost a name, perhaps the next one's name, the folder, the root.
    expect(changed.length).toBeLessThanOrEqual(4);
  });

  test("do not depend on the order of arrival", async () => {
    const names = keys(3000);
    expect((await save(names)).root).toBe((await save(names.toReversed())).root);
  });

  test("of names that share 253 bytes are stored all the same", async () => {
    const names = keys(1500).map((name) => "n".repeat(219) + name);
    const { trees } = await save(names);
    const text = [...trees.values()].map((json) => Buffer.from(json).toString()).join("");
    for (const name of names) expect(text).toContain(`"name":"${name}"`);
  });
});

describe("ranges", () => {
  const items = fc
    .uniqueArray(fc.string({ minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 300 })
    .map((names) =>
      names
        .map((name) => Buffer.from(name))
        .sort((a, b) => Buffer.compare(a, b))
        .map((name) => ({ name: name.toString("latin1"), jsonBytes: 100_000 })),
    );

  test("cover every item once, in order, each named after what it begins with", () => {
    fc.assert(
      fc.property(items, (sorted) => {
        const ranges = shardRanges(sorted, 0);
        expect(ranges[0]?.from).toBe(0);
        expect(ranges.at(-1)?.to).toBe(sorted.length);
        ranges.forEach(({ name, from }, i) => {
          expect(i === 0 ? 0 : ranges[i - 1]?.to).toBe(from);
          const compare = (other: string): number =>
            Buffer.compare(Buffer.from(name, "latin1"), Buffer.from(other, "latin1"));
          expect(compare(sorted[from]?.name ?? "")).toBeLessThanOrEqual(0);
          expect(compare(sorted[from - 1]?.name ?? "")).toBeGreaterThan(0);
        });
      }),
    );
  });

  test("are made only of what is large", () => {
    const item = { name: "a", jsonBytes: 300 };
    expect(needsShards(Array.from({ length: 1024 }, () => item))).toBe(false);
    expect(needsShards(Array.from({ length: 1025 }, () => item))).toBe(true);
    const large = { name: "a", jsonBytes: 3_000_000 };
    expect(needsShards([large])).toBe(false);
    expect(needsShards([large, large])).toBe(true);
  });
});
