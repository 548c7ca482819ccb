import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../src/kernel/index.ts";
import { asOf, createMemoryStore } from "../../src/objectstore/index.ts";
import type { ObjectStore } from "../../src/objectstore/index.ts";
import { createTemporaryFolder, patternBytes } from "../../src/objectstore/testing/index.ts";
import { executeRecoverVersions, planRecoverVersions } from "../../src/repository/index.ts";
import { filesBelow } from "../support/restic-files.ts";
import { backUp, createOurs, expectedFiles, PASSWORD } from "../support/restic-repository.ts";
import type { TestFile } from "../support/restic-repository.ts";
import { createRestic, NEWEST_RESTIC, OLDEST_RESTIC } from "../support/restic.ts";

/** Stock restic judges what `--as-of` shows and what was put back: it opens both, reads every byte and restores. */

const FILES: readonly TestFile[] = [
  { path: ["database", "table"], content: patternBytes(400_000, 7), metadata: { kind: "table" } },
  { path: ["note"], content: Buffer.from("hello") },
];

async function writeOut(store: ObjectStore, folder: string): Promise<void> {
  for await (const { key } of store.list("")) {
    const path = join(folder, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, await store.get(key));
  }
}

async function expectWhole(version: string, store: ObjectStore): Promise<void> {
  await using folder = await createTemporaryFolder();
  const repository = join(folder.path, "repository");
  await writeOut(store, repository);
  await using restic = await createRestic(version, repository, PASSWORD);
  const checked = await restic.run(["check", "--read-data"]);
  expect(checked.stdout).toContain("no errors were found");
  const recovered = join(folder.path, "recovered");
  await restic.run(["restore", "latest", "--target", recovered]);
  expect(await filesBelow(recovered)).toEqual(await expectedFiles(FILES));
}

test.for([...new Set([OLDEST_RESTIC, NEWEST_RESTIC])])(
  "restic %s opens, checks and restores the past and what was put back from it",
  async (version) => {
    let nowMs = systemClock.now().getTime();
    const store = createMemoryStore({ clock: { now: () => new Date(nowMs) }, versioned: true });
    await backUp(await createOurs(store), FILES);
    const moment = new Date(nowMs);
    nowMs += 1;
    for await (const { key } of store.list("")) await store.put(key, [Buffer.from("garbage")]);
    for await (const { key } of store.list("index/")) await store.remove(key);
    await expectWhole(version, asOf(store, moment));
    const plan = await planRecoverVersions(store, { moment, removeAdded: true });
    expect(await executeRecoverVersions(store, plan)).toMatchObject({ outcome: "complete" });
    await expectWhole(version, store);
  },
);
