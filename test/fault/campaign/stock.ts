import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ObjectStore } from "../../../src/objectstore/index.ts";
import { createTemporaryFolder } from "../../../src/objectstore/testing/index.ts";
import { filesBelow, withoutShards } from "../../support/restic-files.ts";
import { createRestic } from "../../support/restic.ts";
import { openAndSay } from "./judge.ts";
import type { Expectation } from "./judge.ts";
import type { World } from "./world.ts";

/** The same question to restic: everything read, every snapshot restored and compared. */
export async function stockFaultsOf(
  world: World,
  expectation: Expectation,
  version: string,
): Promise<string[]> {
  await using folder = await createTemporaryFolder();
  const repository = join(folder.path, "repository");
  await writeOut(world.stores[expectation.place], repository);
  const { repository: ours, password } = await openAndSay(world, expectation);
  await using restic = await createRestic(version, repository, password.reveal());
  await restic.run(["unlock"]);
  const { code, stderr } = await restic.run(["check", "--read-data"], { codes: [0, 1] });
  const found = code === 0 ? [] : [`restic check: ${stderr.slice(0, 500)}`];
  for (const snapshot of await ours.snapshots()) {
    const out = join(folder.path, snapshot.id);
    await restic.run(["restore", snapshot.id, "--target", out]);
    const restored = withoutShards(await filesBelow(out));
    const allowed = expectation.contents.get(snapshot.time.toISOString()) ?? [];
    const same = allowed.some(
      (content) =>
        content.size === restored.size &&
        [...content].every(([path, file]) => restored.get(path) === file),
    );
    if (!same)
      found.push(`restic restored the snapshot of ${snapshot.time.toISOString()} otherwise`);
  }
  return found.map((fault) => `${expectation.place}: ${fault}`);
}

export async function writeOut(store: ObjectStore, folder: string): Promise<void> {
  for await (const { key } of store.list("")) {
    const path = join(folder, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, await store.get(key));
  }
  for (const name of ["data", "index", "keys", "locks", "snapshots"]) {
    await mkdir(join(folder, name), { recursive: true });
  }
}
