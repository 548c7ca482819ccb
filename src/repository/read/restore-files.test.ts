import {
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { asBlobId } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import {
  contentOf,
  createFixture,
  FILE,
  flipByte,
  overwrite,
  rows,
  saveFiles,
  streamOf,
  WRITER,
} from "../testing/fixtures.ts";
import type { Entry, EntryPath, Snapshot, SnapshotReader } from "../types.ts";
import { restoreFiles } from "./restore-files.ts";

let root: string;
let target: string;
let outside: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sparekeep-restore-"));
  target = join(root, "target");
  outside = join(root, "outside");
  await mkdir(outside);
  await writeFile(join(outside, "precious"), "precious");
});

afterEach(async () => {
  const left = await readdir(outside);
  const precious = await readFile(join(outside, "precious"), "utf8");
  await rm(root, { recursive: true });
  if (left.join() !== "precious" || precious !== "precious") {
    throw new Error("a restore wrote outside its target");
  }
});

async function stored(
  files: readonly (readonly [EntryPath, string | Bytes])[],
): Promise<{ reader: SnapshotReader; snapshot: Snapshot }> {
  const { repository } = await createFixture();
  await using writer = await repository.acquireWriter(WRITER);
  for (const [path, content] of files) await writer.saveFile(path, streamOf(content), FILE);
  const { id } = await writer.commit({ time: new Date(), paths: ["/"], tags: [] });
  const reader = await repository.acquireReader();
  return { reader, snapshot: await repository.resolveSnapshot(id) };
}

/** A reader of entries that no writer of ours makes: what a hostile tree says. */
function hostileReader(reader: SnapshotReader, entries: readonly Partial<Entry>[]): SnapshotReader {
  const blank = {
    type: "file",
    sizeBytes: 0,
    mode: 0o600,
    modifiedAt: new Date(0),
    content: [],
  } as const;
  return {
    conflicts: [],
    holds: (blob) => reader.holds(blob),
    find: (...args) => reader.find(...args),
    read: (...args) => reader.read(...args),
    async *entries() {
      for (const entry of entries) {
        await Promise.resolve();
        yield { ...blank, path: [], extendedAttributes: {}, ...entry };
      }
    },
  };
}

function path(...names: string[]): readonly Bytes[] {
  return names.map((name) => Buffer.from(name));
}

describe("restoring files", () => {
  test("brings back content, names, modes and times, folders' too", async () => {
    const table = rows(20_000);
    const { reader, snapshot } = await stored([
      [["database", "tables", "orders"], table],
      [["database", "100%"], "percent"],
      [["empty"], ""],
    ]);
    const restored = await restoreFiles(reader, snapshot, target);
    expect(restored).toMatchObject({
      files: 3,
      folders: 2,
      bytes: table.byteLength + 7,
      renamed: [],
    });
    expect(await readFile(join(target, "database", "tables", "orders"))).toEqual(table);
    expect(await readFile(join(target, "database", "100%"), "utf8")).toBe("percent");
    const folder = await lstat(join(target, "database"));
    expect(folder.mode & 0o777).toBe(0o700);
    expect(folder.mtime).toEqual(FILE.modifiedAt);
    expect((await lstat(join(target, "empty"))).mtime).toEqual(FILE.modifiedAt);
  });

  test("of one folder keeps its place", async () => {
    const { reader, snapshot } = await stored([
      [["a", "b", "c"], "c"],
      [["a", "d"], "d"],
    ]);
    const restored = await restoreFiles(reader, snapshot, target, { below: ["a", "b"] });
    expect(restored.files).toBe(1);
    expect(await readFile(join(target, "a", "b", "c"), "utf8")).toBe("c");
    expect(await readdir(join(target, "a"))).toEqual(["b"]);
  });

  test("escapes what no file system holds, tells so, and mixes nothing up", async () => {
    const names = ["a/b", "a%2Fb", "..", ".", "", "\0", "x".repeat(300)];
    const { reader, snapshot } = await stored(names.map((name) => [["bucket", name], name]));
    const restored = await restoreFiles(reader, snapshot, target);
    expect(restored.files).toBe(names.length);
    expect(restored.renamed).toHaveLength(names.length);
    const byName = new Map(restored.renamed.map((r) => [String(r.path[1]), String(r.name)]));
    for (const name of names) {
      const written = await readFile(join(target, "bucket", byName.get(name) ?? "?"), "utf8");
      expect(written).toBe(name);
    }
  });

  test("does not touch a file that is there, unless asked to replace it", async () => {
    const { reader, snapshot } = await stored([[["a"], "new"]]);
    await mkdir(target);
    await writeFile(join(target, "a"), "old");
    await expect(restoreFiles(reader, snapshot, target)).rejects.toThrow(
      expect.objectContaining({ code: "repository.target_exists" }),
    );
    expect(await readFile(join(target, "a"), "utf8")).toBe("old");
    await restoreFiles(reader, snapshot, target, { overwrite: true });
    expect(await readFile(join(target, "a"), "utf8")).toBe("new");
  });

  test("refuses a folder in the place of a file", async () => {
    const { reader, snapshot } = await stored([[["a"], "new"]]);
    await mkdir(join(target, "a"), { recursive: true });
    await expect(restoreFiles(reader, snapshot, target, { overwrite: true })).rejects.toThrow(
      expect.objectContaining({ code: "repository.target_exists" }),
    );
  });

  test("leaves no half of a file when its blobs are damaged", async () => {
    const fixture = await createFixture();
    const snapshot = await saveFiles(fixture.repository, { big: rows(60_000) });
    const stats = await Array.fromAsync(fixture.store.list("data/"));
    const [data] = stats.sort((a, b) => b.sizeBytes - a.sizeBytes);
    await overwrite(fixture.store, data?.key ?? "", flipByte((data?.sizeBytes ?? 0) - 100_000));
    const reader = await fixture.repository.acquireReader();
    await expect(restoreFiles(reader, snapshot, target)).rejects.toThrow(
      expect.objectContaining({ code: "repository.blob_damaged" }),
    );
    expect(await readdir(target)).toEqual([]);
  });

  test("into what cannot be a folder says so", async () => {
    const { reader, snapshot } = await stored([[["a"], "a"]]);
    await expect(restoreFiles(reader, snapshot, join(outside, "precious"))).rejects.toThrow(
      expect.objectContaining({ code: "repository.target_failed" }),
    );
  });

  test("stops when aborted", async () => {
    const { reader, snapshot } = await stored([[["a"], "a"]]);
    const signal = AbortSignal.abort();
    await expect(restoreFiles(reader, snapshot, target, { signal })).rejects.toThrow(
      expect.objectContaining({ code: "kernel.cancelled" }),
    );
  });
});

describe("a hostile tree", () => {
  test.for([
    ["climbs", path("..", "outside", "planted")],
    ["is absolute", path("/tmp/planted")],
    ["has slashes in it", path("a/../../outside/planted")],
    ["has nothing in it", path("", "", "planted")],
    ["hides a NUL", path("a\0/../..", "outside", "planted")],
  ] as const)("whose name %s writes inside the target alone", async ([, name]) => {
    const { reader, snapshot } = await stored([[["x"], "x"]]);
    const restored = await restoreFiles(hostileReader(reader, [{ path: name }]), snapshot, target);
    expect(restored.files).toBe(1);
    expect(await readdir(root)).toEqual(["outside", "target"]);
  });

  test("with a symlink and then a folder of its name does not go through it", async () => {
    const { reader, snapshot } = await stored([[["x"], "x"]]);
    const hostile = hostileReader(reader, [
      { path: path("way"), type: "symlink", linkTarget: Buffer.from(outside) },
      { path: path("way"), type: "dir" },
      { path: path("way", "precious") },
    ]);
    await expect(restoreFiles(hostile, snapshot, target)).rejects.toThrow(
      expect.objectContaining({ code: "repository.target_unsafe" }),
    );
    expect(await readlink(join(target, "way"))).toBe(outside);
  });

  test.for([
    ["a symlink, then a file of its name", ["symlink", "file"], false, "target_exists"],
    ["a folder, then a symlink of its name", ["dir", "symlink"], false, "target_exists"],
    ["a folder, then a symlink of its name", ["dir", "symlink"], true, "target_exists"],
    ["a file, then a folder of its name", ["file", "dir"], true, "target_unsafe"],
    ["one file twice", ["file", "file"], false, "target_exists"],
  ] as const)("with %s (%j, overwriting: %j) stops there", async ([, types, overwrites, code]) => {
    const { reader, snapshot } = await stored([[["x"], "x"]]);
    const hostile = hostileReader(reader, [
      ...types.map((type) => ({ path: path("way"), type, linkTarget: Buffer.from(outside) })),
      { path: path("way", "precious") },
    ]);
    const options = { overwrite: overwrites };
    await expect(restoreFiles(hostile, snapshot, target, options)).rejects.toThrow(
      expect.objectContaining({ code: `repository.${code}` }),
    );
  });

  test("with a symlink and then a file of its name, overwriting, replaces the link and not what it leads to", async () => {
    const { reader, snapshot } = await stored([[["x"], "x"]]);
    const way = { path: path("precious"), linkTarget: Buffer.from(join(outside, "precious")) };
    const hostile = hostileReader(reader, [
      { ...way, type: "symlink" },
      { ...way, type: "file" },
    ]);
    await restoreFiles(hostile, snapshot, target, { overwrite: true });
    expect((await lstat(join(target, "precious"))).isFile()).toBe(true);
  });

  test("finds a symlink already in the target and does not go through it, overwriting or not", async () => {
    const { reader, snapshot } = await stored([[["way", "precious"], "overwritten"]]);
    await mkdir(target);
    await symlink(outside, join(target, "way"));
    for (const replace of [false, true]) {
      await expect(restoreFiles(reader, snapshot, target, { overwrite: replace })).rejects.toThrow(
        expect.objectContaining({ code: "repository.target_unsafe" }),
      );
    }
  });

  test("replaces links, symbolic and hard, without writing to what they lead to", async () => {
    const { reader, snapshot } = await stored([
      [["hard"], "new"],
      [["soft"], "new"],
    ]);
    await mkdir(target);
    await symlink(join(outside, "precious"), join(target, "soft"));
    await link(join(outside, "precious"), join(target, "hard"));
    await restoreFiles(reader, snapshot, target, { overwrite: true });
    expect(await readFile(join(target, "soft"), "utf8")).toBe("new");
    expect(await readFile(join(target, "hard"), "utf8")).toBe("new");
  });

  test("brings no set-user-id bit, no device, and no size that is not there", async () => {
    const { reader, snapshot } = await stored([[["x"], "x"]]);
    const [blob = asBlobId("")] = (await reader.find(snapshot, ["x"])).content;
    const hostile = hostileReader(reader, [
      { path: path("suid"), mode: 0o4755, content: [blob], sizeBytes: 1 },
      { path: path("device"), type: "other" },
    ]);
    const restored = await restoreFiles(hostile, snapshot, target);
    expect(restored.skipped).toEqual([path("device")]);
    expect((await lstat(join(target, "suid"))).mode & 0o7777).toBe(0o755);
    const lying = hostileReader(reader, [{ path: path("lie"), content: [blob], sizeBytes: 2 }]);
    await expect(restoreFiles(lying, snapshot, target)).rejects.toThrow(
      expect.objectContaining({ code: "repository.tree_damaged" }),
    );
    expect((await readdir(target)).sort()).toEqual(["suid"]);
    expect((await contentOf(reader, await reader.find(snapshot, ["x"]))).toString()).toBe("x");
  });
});
