import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createTemporaryFolder, patternBytes } from "../../src/objectstore/testing/index.ts";
import { executeCopy, executeRewrite, planCopy, planRewrite } from "../../src/repository/index.ts";
import type { CopyResult, EntryPath, Repository } from "../../src/repository/index.ts";
import { filesBelow, withoutShards } from "../support/restic-files.ts";
import {
  backUp,
  createOurs,
  expectedFiles,
  openOurs,
  PASSWORD,
  storeAt,
  WRITER,
} from "../support/restic-repository.ts";
import type { TestFile } from "../support/restic-repository.ts";
import {
  createRestic,
  NEWER_RESTIC_VERSIONS,
  NEWEST_RESTIC,
  OLDEST_RESTIC,
} from "../support/restic.ts";

const OTHER_PASSWORD = "quite another password";

const files: readonly TestFile[] = [
  { path: ["manifest.json"], content: Buffer.from("{}\n") },
  { path: ["db", "orders"], content: patternBytes(3_000_000, 1), metadata: { kind: "table" } },
  { path: ["buckets", "plain", "name"], content: patternBytes(300_000, 2) },
  ...Array.from({ length: 1_300 }, (_, index) => ({
    path: ["buckets", "many", `object ${index}`],
    content: patternBytes(index % 40, index),
  })),
];
const later: readonly TestFile[] = [
  ...files.slice(1),
  { path: ["manifest.json"], content: Buffer.from("{ }\n") },
  { path: ["db", "new"], content: patternBytes(200_000, 3), metadata: { kind: "table" } },
];

async function copyAll(source: Repository, target: Repository): Promise<CopyResult> {
  return await executeCopy(source, target, await planCopy(source, target), WRITER);
}

/** 0.14 tells the skips as text too. */
function copiedBy(stdout: string): { readonly copied: number; readonly skipped: number } {
  return {
    copied: stdout.match(/snapshot [0-9a-f]+ saved/g)?.length ?? 0,
    skipped: stdout.match(/was already copied/g)?.length ?? 0,
  };
}

describe.for([...new Set([OLDEST_RESTIC, NEWEST_RESTIC])])("restic %s and a copy", (version) => {
  test("reads ours byte for byte, and copies nothing again, in either direction", async () => {
    await using folder = await createTemporaryFolder();
    const [from, to, back] = ["from", "to", "back"].map((name) => join(folder.path, name));
    if (from === undefined || to === undefined || back === undefined) throw new Error("no folder");
    const source = await createOurs(storeAt(from));
    const target = await createOurs(storeAt(to), OTHER_PASSWORD);
    await backUp(source, files);
    await backUp(source, later, new Date("2026-11-02T10:00:00Z"));
    expect((await copyAll(source, target)).copied).toHaveLength(2);

    await using inSource = await createRestic(version, from, PASSWORD);
    await using inTarget = await createRestic(version, to, OTHER_PASSWORD);
    await inTarget.run(["check", "--read-data"]);
    for (const [index, wanted] of [files, later].entries()) {
      const [snapshots, copies] = [await source.snapshots(), await target.snapshots()];
      expect(copies[index]?.tree).toBe(snapshots[index]?.tree);
      const out = join(folder.path, `out ${index}`);
      await inTarget.run(["restore", copies[index]?.id ?? "", "--target", out]);
      expect(withoutShards(await filesBelow(out))).toEqual(await expectedFiles(wanted));
    }

    const fromOurs = ["--from-repo", from, "--from-password-file", inSource.passwordFile];
    const again = await inTarget.run(["copy", ...fromOurs, "-v"]);
    expect(copiedBy(again.stdout)).toEqual({ copied: 0, skipped: 2 });
    const fromTarget = ["--from-repo", to, "--from-password-file", inTarget.passwordFile];
    const backwards = await inSource.run(["copy", ...fromTarget, "-v"]);
    expect(copiedBy(backwards.stdout)).toEqual({ copied: 0, skipped: 2 });

    // What restic copied, ours finds; what restic wrote, ours copies, and restic finds that again.
    const third = await createOurs(storeAt(back), "third");
    await using inThird = await createRestic(version, back, "third");
    expect(copiedBy((await inThird.run(["copy", ...fromOurs, "-v"])).stdout).copied).toBe(2);
    expect(await copyAll(source, third)).toMatchObject({ copied: [], blobsNew: 0 });
    const plain = join(folder.path, "out 0", "db");
    await inSource.run(["backup", ".", "--tag", "theirs"], { cwd: plain });
    const result = await copyAll(await openOurs(storeAt(from)), third);
    expect(result.copied).toHaveLength(1);
    await inThird.run(["check", "--read-data"]);
    expect(copiedBy((await inThird.run(["copy", ...fromOurs, "-v"])).stdout)).toEqual({
      copied: 0,
      skipped: 3,
    });
  });
});

const REWRITTEN: readonly (readonly [what: string, without: readonly EntryPath[]])[] = [
  ["a file of a large folder", [["buckets", "many", "object 7"]]],
  ["a whole folder and a file", [["buckets", "plain"], ["manifest.json"]]],
  ["the only file of a folder, which stays", [["buckets", "plain", "name"]]],
];

describe.for(NEWER_RESTIC_VERSIONS)("restic %s rewrite --exclude", (version) => {
  test.for(REWRITTEN)("and ours give one tree without %s", async ([, without]) => {
    await using folder = await createTemporaryFolder();
    const path = join(folder.path, "repository");
    const repository = await createOurs(storeAt(path));
    // Below the size from which a folder is in shards, which stock restic excludes nothing through.
    const { id } = await backUp(repository, files.slice(0, 900));
    const plan = await planRewrite(repository, { select: () => true, without });
    const options = { ...WRITER, reason: "a request", forget: false };
    const { rewritten } = await executeRewrite(repository, plan, options);
    const ours = await repository.resolveSnapshot(rewritten[0]?.to ?? "");

    await using restic = await createRestic(version, path, PASSWORD);
    const excludes = without.flatMap((names) => ["--exclude", `/${names.map(String).join("/")}`]);
    await restic.run(["rewrite", id, ...excludes]);
    const all = await repository.snapshots();
    const theirs = all.find((one) => one.id !== id && one.id !== ours.id);
    expect(theirs?.tree).toBe(ours.tree);
    const { time, tags, paths, original } = ours;
    expect({ time, tags, paths, original }).toEqual({
      time: theirs?.time,
      tags: theirs?.tags,
      paths: theirs?.paths,
      original: theirs?.original,
    });
    expect(original).toBe(id);
    await restic.run(["check", "--read-data"]);
  });
});

describe.for([...new Set([OLDEST_RESTIC, NEWEST_RESTIC])])("restic %s", (version) => {
  test("checks and restores what was rewritten through shards, and its prune ends the erasure", async () => {
    await using folder = await createTemporaryFolder();
    const path = join(folder.path, "repository");
    const repository = await createOurs(storeAt(path));
    await backUp(repository, later);
    const gone = [
      ["buckets", "many", "object 0"],
      ["buckets", "many", "object 39"],
      ["db", "orders"],
    ];
    const plan = await planRewrite(repository, { select: () => true, without: gone });
    await executeRewrite(repository, plan, { ...WRITER, reason: "a request", forget: true });
    await using restic = await createRestic(version, path, PASSWORD);
    const bytesOf = async (): Promise<number> => {
      const stats = await Array.fromAsync(storeAt(path).list("data/"));
      return stats.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    };
    const before = await bytesOf();
    await restic.run(["prune", "--max-unused", "0"]);
    // The 3 MB of db/orders do not compress.
    expect(before - (await bytesOf())).toBeGreaterThan(2_900_000);
    await restic.run(["check", "--read-data"]);
    const out = join(folder.path, "out");
    await restic.run(["restore", "latest", "--target", out]);
    const kept = later.filter(({ path: own }) => !gone.some((one) => String(one) === String(own)));
    expect(kept).toHaveLength(later.length - 3);
    expect(withoutShards(await filesBelow(out))).toEqual(await expectedFiles(kept));
  });
});
