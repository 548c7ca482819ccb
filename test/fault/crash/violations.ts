import { toAppError } from "../../../src/kernel/index.ts";
import type { ObjectStore } from "../../../src/objectstore/index.ts";
import { listKeys } from "../../../src/objectstore/testing/index.ts";
import type { Repository, Snapshot } from "../../../src/repository/index.ts";
import { entriesOf } from "../../support/restic-files.ts";
import type { TestFile } from "../../support/restic-repository.ts";
import { expectedFiles, openOurs } from "../../support/restic-repository.ts";
import { cutFiles, earlierFiles, nextFiles, openAndBackUp } from "./backup.ts";

export interface CrashExpectations {
  /** Id of the snapshot that was there before. */
  readonly earlier: string;
  /** Id of the snapshot that was reported as a success before the cut, if one was. */
  readonly reported: string | undefined;
}

/** What must hold after a cut (I1, I2), and what of it does not. Ends with the next backup into the same store. */
export async function violationsAfter(
  store: ObjectStore,
  expectations: CrashExpectations,
): Promise<string[]> {
  const found: string[] = [];
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (thrown) {
      const error = toAppError(thrown);
      found.push(`${what}: ${error.code}: ${error.message}`);
    }
  };
  await attempt("what the cut left", async () => {
    const repository = await openOurs(store);
    found.push(...(await checkErrors(repository)));
    found.push(...(await snapshotFaults(repository, expectations)));
  });
  await attempt("the next backup", async () => {
    const next = await openAndBackUp(store, nextFiles, 20, process.pid);
    const repository = await openOurs(store);
    const snapshot = await repository.resolveSnapshot("latest");
    if (snapshot.id !== next) found.push("the next backup's snapshot is not the newest");
    found.push(...(await contentFaults(repository, snapshot, nextFiles)));
    found.push(...(await checkErrors(repository)));
    const locks = await listKeys(store, "locks/");
    if (locks.length > 0) found.push(`${locks.length} locks left behind`);
  });
  return found;
}

async function checkErrors(repository: Repository): Promise<string[]> {
  const { findings } = await repository.check({ readData: true });
  return findings
    .filter(({ severity }) => severity === "error")
    .map(({ code, message }) => `check: ${code}: ${message}`);
}

async function snapshotFaults(
  repository: Repository,
  { earlier, reported }: CrashExpectations,
): Promise<string[]> {
  const found: string[] = [];
  const snapshots = await repository.snapshots();
  const ids = snapshots.map(({ id }): string => id);
  if (!ids.includes(earlier)) found.push("the earlier snapshot is gone");
  if (reported !== undefined && !ids.includes(reported)) {
    found.push("a snapshot that was reported as a success is not there");
  }
  for (const snapshot of snapshots) {
    const files = snapshot.id === earlier ? earlierFiles : cutFiles;
    found.push(...(await contentFaults(repository, snapshot, files)));
  }
  return found;
}

/** Hashed once, not at every cut. */
const expectations = new Map<readonly TestFile[], Map<string, string>>();

async function contentFaults(
  repository: Repository,
  snapshot: Snapshot,
  files: readonly TestFile[],
): Promise<string[]> {
  const reader = await repository.acquireReader();
  const expected = await (expectations.get(files) ?? expectedFiles(files));
  expectations.set(files, expected);
  const read = await entriesOf(reader, reader.entries(snapshot));
  const wrong = [...expected].filter(([path, file]) => read.get(path) !== file);
  if (wrong.length === 0 && read.size === expected.size) return [];
  return [`snapshot ${snapshot.id.slice(0, 8)} differs in ${wrong.length} entries`];
}
