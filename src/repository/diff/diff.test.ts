import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Bytes } from "../../kernel/index.ts";
import { codeOf } from "../../objectstore/testing/index.ts";
import { createFixture, keysOf, pathOf, streamOf, WRITER } from "../testing/fixtures.ts";
import type { Repository, Snapshot } from "../types.ts";
import { diffSnapshots } from "./diff.ts";
import type { DiffOptions, DiffTotals } from "./diff.ts";

interface File {
  readonly content: string;
  readonly mode?: number;
}
type Folder = Readonly<Record<string, File>>;

const TIME = new Date("2026-01-02T03:04:05Z");

async function save(repository: Repository, files: Folder): Promise<Snapshot> {
  await using writer = await repository.acquireWriter(WRITER);
  for (const [path, { content, mode = 0o600 }] of Object.entries(files)) {
    const metadata = { kind: "file", modifiedAt: TIME, mode } as const;
    await writer.saveFile(path.split("/"), streamOf(content), metadata);
  }
  const { id } = await writer.commit({ time: TIME, paths: ["/db"], tags: [] });
  return await repository.resolveSnapshot(id);
}

interface Found {
  readonly lines: readonly string[];
  readonly totals: DiffTotals;
}

async function diff(
  repository: Repository,
  before: Snapshot,
  after: Snapshot,
  options: DiffOptions = {},
): Promise<Found> {
  const found = await diffSnapshots(repository, before, after, options);
  const lines: string[] = [];
  for await (const change of found.changes) {
    lines.push(`${change.modifier} ${pathOf(change)}${change.type === "dir" ? "/" : ""}`);
  }
  return { lines, totals: found.totals() };
}

async function between(before: Folder, after: Folder, options: DiffOptions = {}): Promise<Found> {
  const { repository } = await createFixture();
  const [old, young] = [await save(repository, before), await save(repository, after)];
  return await diff(repository, old, young, options);
}

const OLD: Folder = {
  "a/gone": { content: "123" },
  "a/same": { content: "same" },
  "a/moved": { content: "moved" },
  changed: { content: "1234567890" },
  "kind/below": { content: "was a folder" },
  mode: { content: "mode" },
  "zone/one": { content: "1" },
};
const YOUNG: Folder = {
  "a/same": { content: "same" },
  changed: { content: "12345" },
  kind: { content: "is a file" },
  mode: { content: "mode", mode: 0o644 },
  "new/deep/file": { content: "12" },
  "new/moved": { content: "moved" },
  "zone/one": { content: "1" },
};

test("what is on one side, other content, other metadata and another type are told apart", async () => {
  const { lines, totals } = await between(OLD, YOUNG);
  expect(lines).toEqual([
    "- a/gone",
    "- a/moved",
    "M changed",
    "T kind",
    "- kind/below",
    "U mode",
    "+ new/",
    "+ new/deep/",
    "+ new/deep/file",
    "+ new/moved",
  ]);
  expect(totals).toMatchObject({
    changedFiles: 1,
    // changed, kind, file: what moved is no new blob.
    added: { files: 2, folders: 2, others: 0, sizeBytes: 7, dataBlobs: 3 },
    removed: { files: 3, folders: 0, others: 0, sizeBytes: 20, dataBlobs: 3 },
  });
});

test("a snapshot does not differ from itself, and nothing is read for that", async () => {
  const { repository } = await createFixture();
  const only = await save(repository, OLD);
  expect(await diff(repository, only, only)).toMatchObject({
    lines: [],
    totals: { added: { dataBlobs: 0, treeBlobs: 0, blobBytes: 0 }, removed: { treeBlobs: 0 } },
  });
});

test("a blob that an unchanged folder needs too is not new", async () => {
  const content = "kept elsewhere";
  const { totals } = await between(
    { "deep/er/kept": { content }, x: { content: "x" } },
    { "deep/er/kept": { content }, x: { content } },
  );
  expect(totals.added).toMatchObject({ dataBlobs: 0, treeBlobs: 1 });
  expect(totals.removed).toMatchObject({ dataBlobs: 1, treeBlobs: 1 });
});

describe("below a path", () => {
  test.for([
    [["a"], ["- a/gone", "- a/moved"]],
    [["zone"], []],
    [["zone", "one"], []],
    [["changed"], ["M changed"]],
    [["kind"], ["T kind", "- kind/below"]],
    [["kind", "below"], ["- kind/below"]],
    [
      ["new", "deep"],
      ["+ new/deep/", "+ new/deep/file"],
    ],
  ] as const)("%o", async ([below, expected]) => {
    expect((await between(OLD, YOUNG, { below })).lines).toEqual(expected);
  });

  test("that neither has is an error", async () => {
    expect(await codeOf(() => between(OLD, YOUNG, { below: ["no", "such"] }))).toBe(
      "repository.path_not_found",
    );
  });
});

/** What a list of both sides' paths says: the same in any repository. */
function modelOf(before: Folder, after: Folder): readonly string[] {
  const linesOf = (files: Folder, other: Folder, modifier: string) => {
    const folders = (of: Folder) =>
      new Set(
        Object.keys(of).flatMap((path) =>
          path
            .split("/")
            .slice(0, -1)
            .map((_, depth, names) => `${names.slice(0, depth + 1).join("/")}/`),
        ),
      );
    const theirs = new Set([...folders(other), ...Object.keys(other)]);
    return [...folders(files), ...Object.keys(files)]
      .filter((path) => !theirs.has(path))
      .map((path) => `${modifier} ${path}`);
  };
  const changed = Object.entries(before).flatMap(([path, { content, mode }]) => {
    const young = after[path];
    if (young === undefined || (young.content === content && young.mode === mode)) return [];
    return [`${young.content === content ? "U" : "M"} ${path}`];
  });
  return [...linesOf(before, after, "-"), ...linesOf(after, before, "+"), ...changed].sort();
}

describe("whatever two snapshots hold", () => {
  const name = fc.constantFrom("a", "b", "ä", "%2F", "z.", "A-", "~");
  // Folders end with "+", so that no path is a file in one and a folder in the other.
  const path = fc
    .tuple(fc.array(name, { maxLength: 2 }), name)
    .map(([folders, last]) => [...folders.map((folder) => `${folder}+`), last].join("/"));
  const folder = fc.dictionary(
    path,
    fc.record({ content: fc.constantFrom("", "1", "22"), mode: fc.constantFrom(0o600, 0o644) }),
    { maxKeys: 12 },
  );

  test("is what a list of their paths says", async () => {
    await fc.assert(
      fc.asyncProperty(folder, folder, async (before, after) => {
        const { repository } = await createFixture();
        const [old, young] = [await save(repository, before), await save(repository, after)];
        const { lines } = await diff(repository, old, young);
        expect([...lines].sort()).toEqual(modelOf(before, after));
      }),
      { numRuns: 20 },
    );
  });
});

describe("a folder in shards", () => {
  const many = (from: number, to: number): Record<string, File> =>
    Object.fromEntries(
      Array.from({ length: to - from }, (_, n) => [
        `many/object-${String(from + n).padStart(5, "0")}`,
        { content: "x" },
      ]),
    );
  const beginsShard = (n: number): boolean =>
    createHash("sha256")
      .update(`object-${String(n).padStart(5, "0")}`)
      .digest()[0] === 0;

  test("differs where its names do, through other cuts and without them", async () => {
    const before = many(0, 1500);
    const after = { ...many(3, 1500), "many/object-00700-b": { content: "y" } };
    expect((await between(before, after)).lines).toEqual([
      "- many/object-00000",
      "- many/object-00001",
      "- many/object-00002",
      "+ many/object-00700-b",
    ]);
    const flat = await between(many(0, 1100), many(0, 1000));
    expect(flat.lines).toEqual(Object.keys(many(1000, 1100)).map((path) => `- ${path}`));
  });

  test("is entered only where its shards differ; the others are read for their blobs, once, at the end", async () => {
    const { repository, store } = await createFixture();
    const before = many(0, 3000);
    // The last name of its shard: on the other side the next shard is the head by then.
    const cut = Array.from({ length: 1500 }, (_, n) => 1000 + n).find(beginsShard) ?? 0;
    const extra = `many/object-${String(cut - 1).padStart(5, "0")}-b`;
    const after = { ...before, [extra]: { content: "other" } };
    const [old, young] = [await save(repository, before), await save(repository, after)];
    let reads = 0;
    const inner = store.getRange.bind(store);
    const getRange = (...line: Parameters<typeof inner>): Promise<Bytes> => {
      reads += 1;
      return inner(...line);
    };
    Object.assign(store, { getRange });
    const walk = async (from: Snapshot, to: Snapshot) => {
      reads = 0;
      const found = await diffSnapshots(repository, from, to);
      const lines: string[] = [];
      for await (const { modifier, path } of found.changes) {
        lines.push(`${modifier} ${pathOf({ path })} after ${reads} reads`);
      }
      expect(reads).toBeGreaterThan(10);
      return { lines, totals: found.totals() };
    };
    // Of each side the root, the folder, and the shard with the change.
    expect(await walk(old, young)).toMatchObject({
      lines: [`+ ${extra} after 6 reads`],
      totals: { added: { dataBlobs: 1, treeBlobs: 3, files: 1 }, removed: { treeBlobs: 3 } },
    });
    expect((await walk(young, old)).lines).toEqual([`- ${extra} after 6 reads`]);
  });

  test("differs as a list of its paths says, whatever came and went", async () => {
    const all = Object.entries(many(0, 1400));
    const some = fc
      .subarray(all, { minLength: 1150 })
      .map((entries) => Object.fromEntries(entries));
    await fc.assert(
      fc.asyncProperty(some, some, async (before, after) => {
        const { repository } = await createFixture();
        const [old, young] = [await save(repository, before), await save(repository, after)];
        const { lines } = await diff(repository, old, young);
        expect([...lines].sort()).toEqual(modelOf(before, after));
      }),
      { numRuns: 4 },
    );
  });
});

test("a tree whose pack is gone is an error", async () => {
  const fixture = await createFixture();
  const { repository, store } = fixture;
  const [old, young] = [await save(repository, OLD), await save(repository, YOUNG)];
  for (const key of await keysOf(store, "data/")) await store.remove(key);
  expect(await codeOf(() => diff(repository, old, young))).toBe("repository.blob_not_found");
});
