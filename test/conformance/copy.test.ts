import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createTemporaryFolder, patternBytes } from "../../src/objectstore/testing/index.ts";
import { executeCopy, planCopy } from "../../src/repository/index.ts";
import type { CopyResult, Repository } from "../../src/repository/index.ts";
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
import { createRestic, NEWEST_RESTIC, OLDEST_RESTIC } from "../support/restic.ts";

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
