import { chmod, mkdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createTemporaryFolder, patternBytes } from "../../src/objectstore/testing/index.ts";
import { diffSnapshots } from "../../src/repository/index.ts";
import type { DiffTotals, Repository } from "../../src/repository/index.ts";
import { createOurs, openOurs, PASSWORD, storeAt } from "../support/restic-repository.ts";
import { createRestic, NEWEST_RESTIC, OLDEST_RESTIC } from "../support/restic.ts";
import type { Restic } from "../support/restic.ts";

/** Our comparison of two snapshots against restic's, on snapshots that restic made. */

interface Difference {
  readonly changes: readonly string[];
  readonly added: object;
  readonly removed: object;
  readonly changedFiles: number;
}

async function plantBefore(folder: string): Promise<void> {
  for (const name of ["data/same", "data/gone/deep", "links"]) {
    await mkdir(join(folder, name), { recursive: true });
  }
  await writeFile(join(folder, "data/same/file"), patternBytes(300_000, 1));
  await writeFile(join(folder, "data/gone/deep/file"), patternBytes(2_000_000, 2));
  await writeFile(join(folder, "data/changed"), patternBytes(3_000_000, 3));
  await writeFile(join(folder, "data/moved"), patternBytes(700_000, 4));
  await writeFile(join(folder, "data/mode"), "mode");
  await writeFile(join(folder, "data/touched"), "touched");
  await writeFile(join(folder, "links/becomes"), "a link");
  await symlink("becomes", join(folder, "links/to"));
}

async function plantAfter(folder: string): Promise<void> {
  await rm(join(folder, "data/gone"), { recursive: true });
  await rm(join(folder, "data/moved"));
  await mkdir(join(folder, "data/new/deep"), { recursive: true });
  await writeFile(join(folder, "data/new/deep/moved"), patternBytes(700_000, 4));
  await writeFile(join(folder, "data/new/fresh"), patternBytes(1_200_000, 5));
  await writeFile(join(folder, "data/changed"), patternBytes(3_100_000, 3));
  await chmod(join(folder, "data/mode"), 0o755);
  await utimes(join(folder, "data/touched"), new Date(0), new Date(1_000_000));
  await rm(join(folder, "links/becomes"));
  await symlink("to", join(folder, "links/becomes"));
  await symlink("../data", join(folder, "links/new"));
}

async function idsOf(restic: Restic): Promise<readonly string[]> {
  const listed = (await restic.json(["snapshots"])) as readonly { id: string; time: string }[];
  return [...listed].sort((a, b) => (a.time < b.time ? -1 : 1)).map(({ id }) => id);
}

interface ResticLine {
  readonly message_type?: string;
  readonly path: string;
  readonly modifier: string;
  readonly changed_files: number;
  readonly added: object;
  readonly removed: object;
}

async function theirs(restic: Restic, ids: readonly string[]): Promise<Difference> {
  const lines = (await restic.jsonLines(["diff", "--metadata", ...ids])) as readonly ResticLine[];
  const totals = lines.find(({ message_type }) => message_type === "statistics");
  if (totals === undefined) throw new Error("restic diff without statistics");
  const changes = lines
    .filter(({ message_type }) => message_type === "change")
    // Where restic says two things, the first is the one: T before U, M before its guess of bit rot.
    .map(({ modifier, path }) => `${modifier.slice(0, 1)} ${path}`);
  const { added, removed, changed_files: changedFiles } = totals;
  return { changes: changes.sort(), added, removed, changedFiles };
}

async function ours(repository: Repository, ids: readonly string[]): Promise<Difference> {
  const [before, after] = await Promise.all(ids.map((id) => repository.resolveSnapshot(id)));
  if (before === undefined || after === undefined) throw new Error("not two snapshots");
  const diff = await diffSnapshots(repository, before, after);
  const changes: string[] = [];
  for await (const { modifier, path, type } of diff.changes) {
    const name = path.map((part) => Buffer.from(part).toString()).join("/");
    changes.push(`${modifier} /${name}${type === "dir" ? "/" : ""}`);
  }
  const { added, removed, changedFiles } = diff.totals();
  return {
    changes: changes.sort(),
    added: asTheirs(added),
    removed: asTheirs(removed),
    changedFiles,
  };
}

function asTheirs(side: DiffTotals["added"]): object {
  return {
    files: side.files,
    dirs: side.folders,
    others: side.others,
    data_blobs: side.dataBlobs,
    tree_blobs: side.treeBlobs,
    bytes: side.blobBytes,
  };
}

test.for([[OLDEST_RESTIC], [NEWEST_RESTIC]] as const)(
  "two snapshots of restic %s differ for us as they do for restic",
  async ([version]) => {
    await using folder = await createTemporaryFolder();
    const [source, place] = [join(folder.path, "source"), join(folder.path, "repository")];
    await createOurs(storeAt(place));
    await using restic = await createRestic(version, place, PASSWORD);
    await mkdir(source);
    await plantBefore(source);
    await restic.run(["backup", "."], { cwd: source });
    await plantAfter(source);
    await restic.run(["backup", "."], { cwd: source });
    const ids = await idsOf(restic);
    expect(ids).toHaveLength(2);
    const repository = await openOurs(storeAt(place));
    const expected = await theirs(restic, ids);
    expect(expected.changes.length).toBeGreaterThan(12);
    expect(await ours(repository, ids)).toEqual(expected);
    const back = [...ids].reverse();
    expect(await ours(repository, back)).toEqual(await theirs(restic, back));
  },
);
