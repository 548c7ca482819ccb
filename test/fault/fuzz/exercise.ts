import { AppError, Secret, systemClock, toAppError } from "../../../src/kernel/index.ts";
import { parseManifest } from "../../../src/manifest/index.ts";
import type { ObjectStore } from "../../../src/objectstore/index.ts";
import {
  checkAndRemember,
  openRepository,
  planRepairIndex,
  planRepairPacks,
  planRepairSnapshots,
} from "../../../src/repository/index.ts";
import type { Repository } from "../../../src/repository/index.ts";
import { contextOf, PASSWORD, WRITER } from "../../support/restic-repository.ts";

/** More entries than a walk may give before it must have refused: the deadline, counted in work and not in time. */
const MAX_ENTRIES = 300_000;

/** Everything that reads. Answers the codes that came back; throws for whatever is no error of the closed table. */
export async function exercise(store: ObjectStore): Promise<ReadonlySet<string>> {
  const codes = new Set<string>();
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
      codes.add("fine");
    } catch (thrown) {
      const error = toAppError(thrown);
      if (!(thrown instanceof AppError) || error.kind === "bug") throw thrown;
      codes.add(error.code);
    }
  };
  const opened: Repository[] = [];
  await attempt(async () => {
    const clock = { ...systemClock, sleep: () => Promise.resolve() };
    const context = { ...contextOf(store), clock };
    opened.push(await openRepository(context, { password: new Secret(PASSWORD) }));
  });
  for (const repository of opened) {
    await attempt(() => readAll(repository));
    await attempt(async () => {
      const { findings } = await repository.check({ readData: true });
      for (const { severity, code } of findings)
        if (severity === "error") codes.add(`found ${code}`);
    });
    await attempt(() => checkAndRemember(repository, { read: "none", withinMs: 1000 }));
    await attempt(() => planRepairIndex(repository, { readAllPacks: true }));
    await attempt(() => planRepairPacks(repository));
    await attempt(() => planRepairSnapshots(repository));
    await attempt(async () => {
      await using writer = await repository.acquireWriter(WRITER);
      writer.discard(["nothing"]);
    });
  }
  return codes;
}

async function readAll(repository: Repository): Promise<void> {
  const reader = await repository.acquireReader();
  for (const snapshot of await repository.snapshots()) {
    let entries = 0;
    for await (const entry of reader.entries(snapshot)) {
      entries += 1;
      if (entries > MAX_ENTRIES) throw new Error("a walk without end");
      if (entry.type !== "file") continue;
      const bytes = await Array.fromAsync(reader.read(entry));
      if (Buffer.from(entry.path.at(-1) ?? []).toString() === "manifest.json") {
        parseManifest(Buffer.concat(bytes));
      }
    }
  }
}
