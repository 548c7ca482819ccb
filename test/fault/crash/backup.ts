import { spawnSync } from "node:child_process";
import type { ObjectStore } from "../../../src/objectstore/index.ts";
import { patternBytes } from "../../../src/objectstore/testing/index.ts";
import type { Repository, SnapshotSummary } from "../../../src/repository/index.ts";
import { createOurs, openOurs, saveAll, WRITER } from "../../support/restic-repository.ts";
import type { TestFile } from "../../support/restic-repository.ts";

const MIB = 1024 * 1024;

/** What lies in the repository before the backup that is cut. */
export const earlierFiles: readonly TestFile[] = [
  { path: ["shared"], content: patternBytes(2 * MIB, 1), metadata: { kind: "table" } },
  { path: ["folder", "old"], content: patternBytes(70_000, 2) },
];

const many = Array.from({ length: 1_500 }, (_, index) => ({
  path: ["many", `file ${index}`],
  content: patternBytes(index % 50, index),
}));

/** Several packs of data, a folder in pieces, and something that the repository holds already. */
export const cutFiles: readonly TestFile[] = [
  { path: ["shared"], content: patternBytes(2 * MIB, 1), metadata: { kind: "table" } },
  { path: ["large"], content: patternBytes(24 * MIB, 3) },
  { path: ["table"], content: patternBytes(4 * MIB, 4), metadata: { kind: "table" } },
  ...many,
];

/** What the backup after the cut writes: partly what the cut one may have left behind. */
export const nextFiles: readonly TestFile[] = [
  ...cutFiles.slice(0, 2),
  { path: ["next"], content: patternBytes(90_000, 5) },
];

export async function createWithEarlier(store: ObjectStore): Promise<string> {
  const repository = await createOurs(store);
  const summary = await backUpAs(repository, earlierFiles, 1, process.pid);
  return summary.id;
}

/** `round` dates the snapshot, so that the newest is known. */
export async function backUpAs(
  repository: Repository,
  files: readonly TestFile[],
  round: number,
  pid: number,
): Promise<SnapshotSummary> {
  await using writer = await repository.acquireWriter({ ...WRITER, pid });
  await saveAll(writer, files);
  const time = new Date(Date.UTC(2026, 9, round));
  return await writer.commit({ time, paths: ["/app"], tags: [] });
}

export async function openAndBackUp(
  store: ObjectStore,
  files: readonly TestFile[],
  round: number,
  pid: number,
): Promise<string> {
  return (await backUpAs(await openOurs(store), files, round, pid)).id;
}

/** Of a process that has ended: the lock of a writer that was killed. */
export function deadPid(): number {
  return spawnSync("true").pid;
}
