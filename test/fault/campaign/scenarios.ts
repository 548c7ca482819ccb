import { patternBytes } from "../../../src/objectstore/testing/index.ts";
import type { TestFile } from "../../support/restic-repository.ts";
import { contentOf } from "./judge.ts";
import type { Content, Expectation } from "./judge.ts";
import { backUpDay, createIn, createWorld, openIn, ownerWith, timeOf } from "./world.ts";
import type { MemoryWorld, Owner, Place, World } from "./world.ts";

/** The verbs of the campaign: what was there before, what runs, and what must hold at every moment of it. */
export interface Scenario {
  readonly verb: string;
  /** What was there before. */
  prepare(): Promise<MemoryWorld>;
  /** To its end. It may be run again in what a cut of it left. */
  run(world: World, owner: Owner): Promise<void>;
  /** `done`: the verb had returned. */
  expect(done: boolean): Promise<readonly Expectation[]>;
}

/** An outcome that says what it left undone: honest, and no success. */
export class IncompleteRun extends Error {}

/** What the application held on a day: something that stays, something that changes, something that is new. */
export function filesOf(day: number): readonly TestFile[] {
  const known = FILES.get(day);
  if (known !== undefined) return known;
  const files: readonly TestFile[] = [
    { path: ["stays"], content: patternBytes(90_000, 1), metadata: { kind: "table" } },
    { path: ["changes"], content: patternBytes(60_000, 100 + day), metadata: { kind: "table" } },
    { path: ["person", "letter"], content: patternBytes(40_000, 7) },
    { path: ["person", `photo ${day}`], content: patternBytes(30_000, 200 + day) },
    ...Array.from({ length: 20 }, (_, i) => ({
      path: ["many", `file ${i}`],
      content: patternBytes(50 + i * (day % 3), i),
    })),
  ];
  FILES.set(day, files);
  return files;
}
const FILES = new Map<number, readonly TestFile[]>();

export async function worldWithDays(
  seed: string,
  days: readonly number[],
  places: readonly Place[] = ["main"],
): Promise<MemoryWorld> {
  const world = createWorld(seed);
  for (const place of places) await createIn(world, place);
  const repository = await openIn(world, "main");
  for (const day of days) await backUpDay(repository, ownerWith(process.pid), filesOf(day), day);
  return world;
}

export async function contentsOf(
  days: readonly number[],
  change: (files: readonly TestFile[]) => readonly (readonly TestFile[])[] = (files) => [files],
): Promise<ReadonlyMap<string, readonly Content[]>> {
  const entries = days.map(async (day) => {
    const contents = await Promise.all(change(filesOf(day)).map(contentOf));
    return [isoOf(day), contents] as const;
  });
  return new Map(await Promise.all(entries));
}

export function isoOf(day: number): string {
  return timeOf(day).toISOString();
}

export const backupScenario: Scenario = {
  verb: "backup",
  prepare: () => worldWithDays("backup", [1, 2]),
  run: async (world, owner) => {
    for (const day of [10, 11, 12]) {
      await backUpDay(await openIn(world, "main"), owner, filesOf(day), day);
    }
  },
  expect: async (done) => [
    {
      place: "main",
      contents: await contentsOf([1, 2, 10, 11, 12]),
      required: [1, 2, ...(done ? [10, 11, 12] : [])].map(isoOf),
    },
  ],
};
