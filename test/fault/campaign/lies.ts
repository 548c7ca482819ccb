import { AppError, toAppError } from "../../../src/kernel/index.ts";
import type { ObjectStore } from "../../../src/objectstore/index.ts";
import { createFaultyStore } from "../../../src/objectstore/testing/index.ts";
import type { Repository } from "../../../src/repository/index.ts";
import { entryFile } from "../../support/restic-files.ts";
import type { Expectation } from "./judge.ts";
import type { Scenario } from "./scenarios.ts";
import { forkWorld, openIn, ownerWith } from "./world.ts";
import type { MemoryWorld, World } from "./world.ts";

/** A store that says "done" and keeps something else: what it spoiled must be named, and never be read as right. */
export type Lie = "truncate" | "flip" | "forget";

export interface LieOutcome {
  /** Keys that were spoiled and are there, or were forgotten. */
  readonly spoiled: readonly string[];
  readonly faults: readonly string[];
}

export async function lieCampaign(
  scenario: Scenario,
  origin: MemoryWorld,
  lie: Lie,
  folder: string,
): Promise<LieOutcome> {
  const world = forkWorld(origin, `${lie} ${folder}`);
  const spoiled = new Set<string>();
  const lying = createFaultyStore(world.stores.main, {
    decide: ({ operation, key }) => {
      // One write in two, so that what lies beside it must still be right.
      if (operation !== "put" || !key.startsWith(folder)) return undefined;
      if (spoiled.size > 0 && spoiled.size % 2 === 0) return undefined;
      spoiled.add(key);
      return lie;
    },
  });
  const faults: string[] = [];
  try {
    await scenario.run(
      { ...world, stores: { ...world.stores, main: lying } },
      ownerWith(process.pid),
    );
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.kind === "bug") faults.push(String(thrown));
  }
  const [expectation] = await scenario.expect(false);
  if (expectation === undefined) throw new Error("a scenario that expects nothing");
  const left = await stillSpoiled(world.stores.main, [...spoiled], lie);
  faults.push(...(await unnamed(world, left)), ...(await misread(world, expectation)));
  return { spoiled: left, faults };
}

async function stillSpoiled(
  store: ObjectStore,
  keys: readonly string[],
  lie: Lie,
): Promise<string[]> {
  const left: string[] = [];
  for (const key of keys) {
    const there = (await store.stat(key)) !== undefined;
    // A verb may have removed it again, or put it a second time.
    if (there === (lie !== "forget")) left.push(key);
  }
  return left;
}

/** What check does not name. A forgotten index or snapshot is no damage that anybody could see: what it named is missing. */
async function unnamed(world: World, spoiled: readonly string[]): Promise<string[]> {
  const repository = await openIn(world, "main");
  const { findings } = await repository.check({ readData: true });
  const named = JSON.stringify(findings.filter(({ severity }) => severity === "error"));
  return spoiled
    .map((key) => key.slice(key.lastIndexOf("/") + 1))
    .filter((id) => !named.includes(id))
    .map((id) => `check does not name ${id}`);
}

/** Whatever is read is what was saved, or an error that says "corrupt". */
async function misread(world: World, expectation: Expectation): Promise<string[]> {
  const repository = await openIn(world, "main");
  const wrong: string[] = [];
  const note = (thrown: unknown): void => {
    const { kind, message } = toAppError(thrown);
    if (kind !== "corrupt") wrong.push(message);
  };
  try {
    for (const snapshot of await repository.snapshots()) {
      const allowed = expectation.contents.get(snapshot.time.toISOString()) ?? [];
      for (const [path, file] of await readable(repository, snapshot.id, note)) {
        if (!allowed.some((content) => content.get(path) === file)) wrong.push(`${path} misread`);
      }
    }
  } catch (thrown) {
    note(thrown);
  }
  return wrong;
}

async function readable(
  repository: Repository,
  id: string,
  note: (thrown: unknown) => void,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  try {
    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot(id);
    for await (const entry of reader.entries(snapshot)) {
      const path = entry.path.map((name) => Buffer.from(name).toString("latin1")).join("/");
      try {
        found.set(path, await entryFile(reader, entry));
      } catch (thrown) {
        note(thrown);
      }
    }
  } catch (thrown) {
    note(thrown);
  }
  return found;
}
