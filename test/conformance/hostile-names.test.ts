import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Bytes } from "../../src/kernel/index.ts";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";
import { restoreFiles, storedNameOf } from "../../src/repository/index.ts";
import { entriesOf, filesBelow, withoutShards } from "../support/restic-files.ts";
import {
  backUp,
  createOurs,
  expectedFiles,
  PASSWORD,
  storeAt,
} from "../support/restic-repository.ts";
import type { TestFile } from "../support/restic-repository.ts";
import { createRestic, NEWER_RESTIC_VERSIONS, RESTIC_VERSIONS } from "../support/restic.ts";

const bytes = (text: string): Bytes => Buffer.from(text);
const raw = (...values: number[]): Bytes => Buffer.from(values);

/** Names that buckets hold and file systems may not. `same`: any file system of ours holds it as it is. */
const NAMES: readonly (readonly [what: string, name: Bytes, same: boolean])[] = [
  ["a plain one", bytes("plain"), true],
  ["a slash", bytes("a/b"), false],
  ["only a slash", bytes("/"), false],
  ["an absolute path", bytes("/etc/passwd"), false],
  ["a way up", bytes("../../up"), false],
  ["a dot", bytes("."), false],
  ["two dots", bytes(".."), false],
  ["three dots", bytes("..."), true],
  ["nothing", bytes(""), false],
  ["NUL", bytes("a\0b"), false],
  ["only NUL", raw(0), false],
  ["255 bytes", bytes("n".repeat(255)), true],
  ["256 bytes", bytes("n".repeat(256)), false],
  ["300 bytes", bytes("m".repeat(300)), false],
  ["300 bytes that differ at the end", bytes(`${"m".repeat(299)}x`), false],
  ["1024 bytes of three-byte characters", bytes("語".repeat(341)), false],
  ["300 bytes that are not UTF-8", Buffer.alloc(300, 0xff), false],
  ["escapes without end", bytes("%".repeat(200)), false],
  ["double quotes", bytes('"quoted"'), true],
  ["single quotes", bytes("it's"), true],
  ["backslashes", bytes("a\\b\\\\x41\\"), true],
  ["a newline", bytes("line\nbreak"), true],
  ["a carriage return and a tab", bytes("a\r\tb"), true],
  ["control characters", bytes("\u0001\u0007\b\f\u001b[31m\u007f"), true],
  ["invalid UTF-8", raw(0x61, 0xff, 0xfe, 0x62), true],
  ["a cut character", raw(0x61, 0xe2, 0x82), true],
  ["an overlong slash", raw(0xc0, 0xaf), true],
  ["a UTF-8 surrogate", raw(0xed, 0xa0, 0x80), true],
  ["the replacement character", bytes("\ufffd"), true],
  ["a percent sign", bytes("100%"), false],
  ["what an escaped slash looks like", bytes("%2F"), false],
  ["what an escaped percent sign looks like", bytes("%252F"), false],
  ["what an escaped nothing looks like", bytes("%empty"), false],
  ["what a piece of a folder looks like", bytes("%-a"), false],
  ["upper case", bytes("CASE"), true],
  ["lower case", bytes("case"), true],
  ["composed", bytes("\u00e9"), true],
  ["decomposed", bytes("e\u0301"), true],
  ["a trailing dot", bytes("dot."), true],
  ["a trailing space", bytes("space "), true],
  ["only a space", bytes(" "), true],
  ["a leading dash", bytes("-rf"), true],
  ["a tilde", bytes("~root"), true],
  ["a star", bytes("*"), true],
  ["Windows' own", bytes("CON"), true],
  ["a colon", bytes("a:b"), true],
  ["HTML", bytes('<b onload="x">&amp;'), true],
  ["line separators", bytes("\u2028\u2029\u0085\u00a0\u200b\u202e"), true],
  ["beyond the first plane", bytes("\u{1F511}\u{10FFFF}\u{E000}"), true],
];

const FILES: readonly TestFile[] = NAMES.flatMap(([what, name]) => [
  { path: ["files", name], content: bytes(`content of ${what}`) },
  { path: ["folders", name, "leaf"], content: bytes(`leaf below ${what}`) },
]);

/** Under the names that stock tools see. */
const STORED: readonly TestFile[] = FILES.map(({ path, content }) => ({
  path: path.map((name) => storedNameOf(Buffer.from(name))),
  content,
}));

describe("names that no file system was made for", () => {
  test("are stored as themselves where they can be, and otherwise escaped, no two alike", () => {
    const stored = NAMES.map(([, name]) => Buffer.from(storedNameOf(name)).toString("latin1"));
    expect(new Set(stored).size).toBe(NAMES.length);
    for (const [index, [what, name, same]] of NAMES.entries()) {
      expect([what, stored[index] === Buffer.from(name).toString("latin1")]).toEqual([what, same]);
      expect(Buffer.from(storedNameOf(name)).byteLength).toBeLessThanOrEqual(255);
      expect(stored[index]).not.toMatch(/[/\0]|^\.{0,2}$/);
    }
  });

  test("come back true from our reader, and as files of their own from our restorer", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(join(folder.path, "repository")));
    await backUp(repository, FILES);
    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot("latest");
    const read: string[] = [];
    for await (const { path } of reader.entries(snapshot)) {
      read.push(path.map((name) => Buffer.from(name).toString("hex")).join("/"));
    }
    const hexOf = ({ path }: TestFile): string =>
      path.map((name) => Buffer.from(name).toString("hex")).join("/");
    expect(new Set(read)).toEqual(new Set([...FILES.map(hexOf), ...foldersOf(FILES, hexOf)]));
    for (const { path, content } of FILES) {
      const entry = await reader.find(snapshot, path);
      expect(entry.sizeBytes).toBe(typeof content === "function" ? -1 : content.byteLength);
    }

    const target = join(folder.path, "target");
    const result = await restoreFiles(reader, snapshot, target);
    expect(result.files).toBe(FILES.length);
    const restored = await filesBelow(target);
    const contents = (files: Iterable<string>): string[] =>
      [...files].filter((file) => file.startsWith("file")).sort((a, b) => (a < b ? -1 : 1));
    expect(contents(restored.values())).toEqual(contents((await expectedFiles(FILES)).values()));
    for (const [what, name, same] of NAMES.filter(([, , same]) => same)) {
      const path = Buffer.concat([Buffer.from(`${target}/files/`), name]);
      expect([what, (await lstat(path)).isFile(), same]).toEqual([what, true, true]);
    }
    // Nothing beside the target.
    expect(
      [...(await filesBelow(folder.path)).keys()].filter((path) => !path.includes("/")),
    ).toEqual(expect.arrayContaining(["repository", "target"]));
    expect(await lstat(join(folder.path, "up")).catch(() => "not there")).toBe("not there");
  });
});

describe.for(RESTIC_VERSIONS)("restic %s on names that no file system was made for", (version) => {
  test("checks and restores each to a file of its own", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(join(folder.path, "repository")));
    await backUp(repository, FILES);
    await using restic = await createRestic(version, join(folder.path, "repository"), PASSWORD);
    await restic.run(["check", "--read-data"]);
    const { stderr } = await restic.run([
      "restore",
      "latest",
      "--target",
      join(folder.path, "out"),
    ]);
    expect(stderr).toBe("");
    const restored = withoutShards(await filesBelow(join(folder.path, "out")));
    expect(restored).toEqual(await expectedFiles(STORED));
  });

  test("stores and lists such names itself, and our reader sees the same bytes", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(join(folder.path, "repository")));
    await backUp(repository, FILES);
    await using restic = await createRestic(version, join(folder.path, "repository"), PASSWORD);
    const out = join(folder.path, "out");
    await restic.run(["restore", "latest", "--target", out]);
    await restic.run(["backup", "."], { cwd: out });
    const reader = await repository.acquireReader();
    const theirs = await repository.resolveSnapshot("latest");
    // The attribute with the true name went to the disk and back with every file that has one.
    expect(await entriesOf(reader, reader.entries(theirs))).toEqual(await expectedFiles(FILES));
  });
});

describe.for(NEWER_RESTIC_VERSIONS)("restic %s rewriting hostile names", (version) => {
  test("finds our trees written as it writes them", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(folder.path));
    await backUp(repository, FILES);
    await using restic = await createRestic(version, folder.path, PASSWORD);
    await restic.run(["rewrite", "--forget", "--exclude", "plain"]);
    await restic.run(["check", "--read-data"]);
    const reader = await repository.acquireReader();
    const latest = await repository.resolveSnapshot("latest");
    const expected = await expectedFiles(
      FILES.filter(({ path }) => !path.some((name) => Buffer.from(name).toString() === "plain")),
    );
    expect(await entriesOf(reader, reader.entries(latest))).toEqual(expected);
  });
});

function foldersOf(files: readonly TestFile[], show: (file: TestFile) => string): Set<string> {
  const folders = new Set<string>();
  for (const { path, content } of files) {
    for (let depth = 1; depth < path.length; depth += 1) {
      folders.add(show({ path: path.slice(0, depth), content }));
    }
  }
  return folders;
}
