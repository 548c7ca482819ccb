import { randomBytes } from "node:crypto";
import { mkdir, readdir, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { createFsStore } from "./index.ts";
import { fsError } from "./fs-errors.ts";
import { dropBytes } from "./fs-write.ts";
import { codeOf, createTemporaryFolder, describeObjectStore, listKeys } from "./testing/index.ts";
import { patternBytes } from "./testing/index.ts";

async function linkless(): Promise<never> {
  throw Object.assign(new Error("operation not permitted"), { code: "EPERM" });
}

describeObjectStore("fs", async () => {
  const folder = await createTemporaryFolder();
  const store = createFsStore(join(folder.path, "made", "by", "put"), { random: randomBytes });
  return { store, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
});

describe("fs store", () => {
  test("keeps folders and files from other users, and files from being written again", async () => {
    await using folder = await createTemporaryFolder();
    const store = createFsStore(folder.path, { random: randomBytes });
    await store.put("data/ab/x", [patternBytes(10)]);
    expect((await stat(join(folder.path, "data"))).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder.path, "data/ab"))).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder.path, "data/ab/x"))).mode & 0o777).toBe(0o400);
  });

  test("leaves no temporary file behind, done, refused or aborted", async () => {
    await using folder = await createTemporaryFolder();
    const store = createFsStore(folder.path, { random: randomBytes });
    await store.put("a", [patternBytes(10)], { ifAbsent: true });
    await store.put("a", [patternBytes(11)]);
    await codeOf(() => store.put("a", [patternBytes(10)], { ifAbsent: true }));
    const control = new AbortController();
    const random = (size: number): Uint8Array => {
      control.abort();
      return randomBytes(size);
    };
    const aborted = createFsStore(folder.path, { random });
    const { signal } = control;
    const code = await codeOf(() => aborted.put("b", [patternBytes(10)], { signal }));
    expect(code).toBe("kernel.cancelled");
    expect(await readdir(folder.path)).toEqual(["a"]);
  });

  test("has a folder durable before anything in it, also for who did not make it", async () => {
    await using folder = await createTemporaryFolder();
    await mkdir(join(folder.path, "data/left"), { recursive: true });
    const synced: string[] = [];
    const gate = Promise.withResolvers<void>();
    const syncFolder = async (path: string): Promise<void> => {
      if (path === join(folder.path, "data")) await gate.promise;
      synced.push(path.slice(folder.path.length));
    };
    const store = createFsStore(folder.path, { random: randomBytes, syncFolder });
    const done: string[] = [];
    const put = async (key: string): Promise<void> => {
      await store.put(key, [patternBytes(10)]);
      done.push(key);
    };
    const first = put("data/ab/x");
    // The folder is there now, its name not yet durable.
    while (!(await readdir(join(folder.path, "data"))).includes("ab")) await setImmediate();
    const puts = [first, put("data/ab/y"), put("data/left/z")];
    // Long enough for each of the others to have come to its end.
    for (let other = 0; other < 20; other += 1) {
      await store.put(`other/${other}`, [patternBytes(10)]);
    }
    expect(done).toEqual([]);
    gate.resolve();
    await Promise.all(puts);
    // Of the folder of the store itself nothing was made, and above it nothing is looked at.
    expect(new Set(synced)).toEqual(new Set(["/data/ab", "/data/left", "/data", "", "/other"]));
    synced.length = 0;
    await put("data/ab/v");
    expect(synced).toEqual(["/data/ab"]);
  });

  test("has a name durable that another attempt, or another writer, gave", async () => {
    await using folder = await createTemporaryFolder();
    const synced: string[] = [];
    let fails = false;
    const syncFolder = async (path: string): Promise<void> => {
      if (fails) throw Object.assign(new Error("i/o error"), { code: "EIO" });
      synced.push(path.slice(folder.path.length));
    };
    const store = createFsStore(folder.path, { random: randomBytes, syncFolder });
    await store.put("a/first", [patternBytes(1)]);
    const put = (): Promise<void> => store.put("a/x", [patternBytes(1)], { ifAbsent: true });
    const remove = (): Promise<void> => store.remove("a/x");
    for (const [work, again] of [
      [put, "objectstore.exists"],
      [remove, "no error"],
    ] as const) {
      fails = true;
      expect(await codeOf(work)).toBe("objectstore.unavailable");
      // What comes next finds it done, and must not take it for durable.
      expect(await codeOf(work)).toBe("objectstore.unavailable");
      fails = false;
      synced.length = 0;
      expect(await codeOf(work)).toBe(again);
      expect(synced).toEqual(["/a"]);
    }
    // Of a folder that is not there nothing is to be synced.
    await store.remove("never/was");
  });

  test("does not list leftovers, and removes those older than a day with the next put", async () => {
    await using folder = await createTemporaryFolder();
    const stale = join(folder.path, `~${"0".repeat(24)}`);
    const fresh = join(folder.path, `~${"1".repeat(24)}`);
    const foreign = join(folder.path, "~not ours");
    for (const path of [stale, fresh, foreign]) await writeFile(path, "partial");
    await utimes(stale, 1_000, 1_000);
    await utimes(foreign, 1_000, 1_000);
    const store = createFsStore(folder.path, { random: randomBytes });
    await store.put("a", [patternBytes(1)]);
    expect(await listKeys(store, "")).toEqual(["a"]);
    expect((await readdir(folder.path)).sort()).toEqual(
      ["a", `~${"1".repeat(24)}`, "~not ours"].sort(),
    );
  });

  test("puts with ifAbsent where hard links are unknown", async () => {
    await using folder = await createTemporaryFolder();
    const store = createFsStore(folder.path, { random: randomBytes, link: linkless });
    await store.put("a", [patternBytes(5)], { ifAbsent: true });
    const code = await codeOf(() => store.put("a", [patternBytes(6)], { ifAbsent: true }));
    expect(code).toBe("objectstore.exists");
    expect((await store.get("a")).byteLength).toBe(5);
    expect(await readdir(folder.path)).toEqual(["a"]);
  });

  test("follows symbolic links to folders and ignores those that lead nowhere", async () => {
    await using folder = await createTemporaryFolder();
    await mkdir(join(folder.path, "other-disk"));
    await mkdir(join(folder.path, "repository"));
    await symlink(join(folder.path, "other-disk"), join(folder.path, "repository/data"));
    await symlink(join(folder.path, "gone"), join(folder.path, "repository/dangling"));
    const store = createFsStore(join(folder.path, "repository"), { random: randomBytes });
    await store.put("data/x", [patternBytes(5)]);
    expect(await listKeys(store, "")).toEqual(["data/x"]);
    expect(await store.stat("dangling")).toBeUndefined();
  });

  test("says denied where the system refuses", async () => {
    // Refused to everyone, root too, and nothing is changed by trying.
    const store = createFsStore("/proc/sys/kernel", { random: randomBytes });
    const code = await codeOf(() => store.remove("ostype"));
    expect(code).toBe("objectstore.denied");
    expect(await store.stat("ostype")).toBeDefined();
  });

  test("writes the rest when the system took less than it was given", () => {
    const parts = [Buffer.from("abc"), Buffer.from("de"), Buffer.from("f")];
    const rest = (count: number): string => Buffer.concat(dropBytes(parts, count)).toString();
    const expected = ["abcdef", "bcdef", "cdef", "def", "ef", "f", ""];
    expect(expected.map((_, count) => rest(count))).toEqual(expected);
  });

  test.for([
    ["ENOENT", "objectstore.not_found"],
    ["ENOTDIR", "objectstore.not_found"],
    ["EEXIST", "objectstore.exists"],
    ["EACCES", "objectstore.denied"],
    ["EROFS", "objectstore.denied"],
    ["ENOSPC", "objectstore.full"],
    ["EDQUOT", "objectstore.full"],
    ["EFBIG", "objectstore.full"],
    ["EIO", "objectstore.unavailable"],
    ["ESTALE", "objectstore.unavailable"],
    ["EMFILE", "objectstore.unavailable"],
  ] as const)("wraps %s as %s with its cause", ([errno, code]) => {
    const cause = Object.assign(new Error("from the system"), { code: errno });
    const error = fsError(cause, "write", "data/ab/x");
    expect(error).toMatchObject({ code, cause, subject: { key: "data/ab/x", errno } });
  });
});
