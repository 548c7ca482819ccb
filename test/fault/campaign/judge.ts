import { toAppError } from "../../../src/kernel/index.ts";
import type { Secret } from "../../../src/kernel/index.ts";
import type { Repository, Snapshot } from "../../../src/repository/index.ts";
import { entriesOf } from "../../support/restic-files.ts";
import { expectedFiles } from "../../support/restic-repository.ts";
import type { TestFile } from "../../support/restic-repository.ts";
import { openIn, passwordOf } from "./world.ts";
import type { Place, World } from "./world.ts";

export type Content = ReadonlyMap<string, string>;

/** What must hold of one repository at any moment of a verb. Snapshots are known by their time. */
export interface Expectation {
  readonly place: Place;
  /** What a snapshot of this time may hold, each the whole of it. */
  readonly contents: ReadonlyMap<string, readonly Content[]>;
  /** Times that must be there. */
  readonly required: readonly string[];
  /** Times that must not be there any more. */
  readonly gone?: readonly string[];
  /** One of them must open the repository; by default the place's own. */
  readonly passwords?: readonly Secret[];
}

const HASHED = new Map<readonly TestFile[], Promise<Content>>();

/** Hashed once, not at every cut. */
export function contentOf(files: readonly TestFile[]): Promise<Content> {
  const known = HASHED.get(files) ?? expectedFiles(files);
  HASHED.set(files, known);
  return known;
}

/** In words, what does not hold (I1, I2, I3). */
export async function faultsOf(world: World, expectation: Expectation): Promise<string[]> {
  const found: string[] = [];
  try {
    const repository = await openWithAny(world, expectation);
    const { findings } = await repository.check({ readData: true });
    for (const { severity, code, message } of findings) {
      if (severity === "error") found.push(`check: ${code}: ${message}`);
    }
    const snapshots = await repository.snapshots();
    const times = new Set(snapshots.map(({ time }) => time.toISOString()));
    for (const time of expectation.required) {
      if (!times.has(time)) found.push(`the snapshot of ${time} is gone`);
    }
    for (const time of expectation.gone ?? []) {
      if (times.has(time)) found.push(`the snapshot of ${time} is still there`);
    }
    for (const snapshot of snapshots) {
      const fault = await contentFault(repository, snapshot, expectation);
      if (fault !== undefined) found.push(fault);
    }
  } catch (thrown) {
    const { code, message } = toAppError(thrown);
    found.push(`${code}: ${message}`);
  }
  return found.map((fault) => `${expectation.place}: ${fault}`);
}

export async function openWithAny(world: World, expectation: Expectation): Promise<Repository> {
  return (await openAndSay(world, expectation)).repository;
}

/** With the first password that opens it. */
export async function openAndSay(
  world: World,
  { place, passwords = [passwordOf(place)] }: Expectation,
): Promise<{ readonly repository: Repository; readonly password: Secret }> {
  let refused: unknown;
  for (const password of passwords) {
    try {
      return { repository: await openIn(world, place, password), password };
    } catch (thrown) {
      if (toAppError(thrown).code !== "repository.wrong_password") throw thrown;
      refused = thrown;
    }
  }
  throw refused;
}

async function contentFault(
  repository: Repository,
  snapshot: Snapshot,
  { contents }: Expectation,
): Promise<string | undefined> {
  const allowed = contents.get(snapshot.time.toISOString());
  if (allowed === undefined) return `a snapshot of ${snapshot.time.toISOString()} that nobody made`;
  const reader = await repository.acquireReader();
  const read = await entriesOf(reader, reader.entries(snapshot));
  if (allowed.some((content) => same(content, read))) return undefined;
  return `the snapshot of ${snapshot.time.toISOString()} holds something else`;
}

function same(expected: Content, read: Content): boolean {
  if (expected.size !== read.size) return false;
  return [...expected].every(([path, file]) => read.get(path) === file);
}
