/**
 * Ours in the `scale` benchmark. `folder REPOSITORY PASSWORD-FILE FOLDER` backs up a folder of small objects, as the
 * source of a bucket will: several read ahead, each saved as a file. `blobs REPOSITORY PASSWORD-FILE COUNT` makes a
 * repository of so many blobs. Prints what the commit returned.
 */
import { randomBytes } from "node:crypto";
import { existsSync, opendirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { boundYoungGeneration, Secret, systemClock } from "../src/kernel/index.ts";
import type { Bytes } from "../src/kernel/index.ts";
import { createFsStore } from "../src/objectstore/index.ts";
import { createRepository, openRepository } from "../src/repository/index.ts";
import type { SnapshotWriter } from "../src/repository/index.ts";

// As the program itself does.
boundYoungGeneration();
const [verb = "", repositoryFolder = "", passwordFile = "", what = ""] = process.argv.slice(2);
const PARALLEL = 256;
const modifiedAt = new Date("2026-11-01T00:00:00Z");
const password = new Secret(readFileSync(passwordFile, "utf8").trim());
const context = {
  store: createFsStore(repositoryFolder, { random: randomBytes }),
  clock: systemClock,
  random: randomBytes,
};
const owner = { hostname: "bench", username: "bench" };

interface Item {
  readonly path: readonly string[];
  readonly read: () => Bytes;
}

/** Read by the calling thread: from the page cache that is several times cheaper than four trips to Node's thread pool. */
function* itemsBelow(folder: string, path: readonly string[] = []): Generator<Item> {
  using open = opendirSync(join(folder, ...path));
  for (let entry = open.readSync(); entry !== null; entry = open.readSync()) {
    const below = [...path, entry.name];
    if (entry.isDirectory()) yield* itemsBelow(folder, below);
    else yield { path: below, read: () => readFileSync(join(folder, ...below)) };
  }
}

function* generated(count: number): Generator<Item> {
  for (let number = 0; number < count; number += 1) {
    const name = `object ${String(number).padStart(8, "0")}`;
    const read = (): Bytes => Buffer.from(`what ${name} holds`);
    yield { path: [`folder ${number % 1000}`, name], read };
  }
}

async function saveAll(writer: SnapshotWriter, items: Generator<Item>): Promise<void> {
  const work = async (): Promise<void> => {
    for (let next = items.next(); next.done !== true; next = items.next()) {
      const { path, read } = next.value;
      await writer.saveFile(path, read(), { kind: "file", modifiedAt });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
}

const exists = existsSync(join(repositoryFolder, "config"));
const repository = exists
  ? await openRepository(context, { password, next: "write" })
  : await createRepository(context, { password, ...owner });
if (verb !== "init") {
  await using writer = await repository.acquireWriter({ ...owner, pid: process.pid });
  await saveAll(writer, verb === "folder" ? itemsBelow(what) : generated(Number(what)));
  const summary = await writer.commit({ time: systemClock.now(), paths: ["/objects"], tags: [] });
  console.log(JSON.stringify(summary));
}
