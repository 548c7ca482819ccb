import { AppError, collectBytes, equalBytes, Secret } from "../../src/kernel/index.ts";
import type { Bytes, Clock, RandomBytes } from "../../src/kernel/index.ts";
import type { ObjectStore, Retention } from "../../src/objectstore/index.ts";
import {
  createInlineSealer,
  createRepository,
  lockedUntil,
  openRepository,
} from "../../src/repository/index.ts";
import type { PointLock, Repository, RepositoryContext } from "../../src/repository/index.ts";
import { PASSWORD, saveAll, TEST_COST, WRITER } from "./restic-repository.ts";
import type { TestFile } from "./restic-repository.ts";

/**
 * Engine trap 18 as a story over any store with Object Lock: a backup a day, each point locked for `lockDays`; on the last
 * day everything that can be deleted is, version by version, and every point that claims a lock must still come back.
 */
export interface Day31Options {
  readonly store: ObjectStore;
  /** For good; `objectstore.denied` while a lock holds. */
  readonly deleteVersion: (key: string, version: string) => Promise<void>;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** The store's clock. */
  readonly storeTime: () => Date;
  /** Lets one day of the story pass. */
  readonly nextDay: () => Promise<void>;
  /** A day of the story: real days on a clock that is moved, a second on a real server. */
  readonly dayMs: number;
  readonly days: number;
  readonly lockDays: number;
  readonly backUp: BackUpLocked;
}

/** One backup, and until when it claims that nobody deletes it. */
export type BackUpLocked = (
  repository: Repository,
  store: ObjectStore,
  files: readonly TestFile[],
  lock: PointLock,
) => Promise<Claim>;

export interface Claim {
  readonly snapshot: string;
  readonly until: Date | undefined;
}

export interface Day31Result {
  /** Points that still claimed a lock when the intruder was done. */
  readonly claimed: number;
  readonly deletedVersions: number;
  readonly deniedVersions: number;
  /** Of the claimed points, those that do not come back byte for byte, and why. */
  readonly broken: readonly string[];
}

export async function day31(options: Day31Options): Promise<Day31Result> {
  const { store, clock, random, nextDay, dayMs, lockDays } = options;
  const context = { store, clock, random, createSealer: createInlineSealer, packBytes: 20_000 };
  await createRepository(context, {
    password: new Secret(PASSWORD),
    hostname: WRITER.hostname,
    username: WRITER.username,
    cost: TEST_COST,
  });
  const lock: PointLock = {
    mode: "governance",
    until: (storeTime) => new Date(storeTime.getTime() + lockDays * dayMs),
  };
  const points: { readonly claim: Claim; readonly files: readonly TestFile[] }[] = [];
  for (let day = 1; day <= options.days; day += 1) {
    const files = filesOfDay(day, random);
    const repository = await open(context);
    points.push({ claim: await options.backUp(repository, store, files, lock), files });
    await nextDay();
  }
  const deletion = await deleteEverything(options);
  // On a real server the deletion takes time; what ran out meanwhile claims nothing any more.
  const now = options.storeTime();
  const claimed = points.filter(({ claim }) => claim.until !== undefined && claim.until > now);
  const broken: string[] = [];
  for (const { claim, files } of claimed) {
    const problem = await problemOf(context, claim, files);
    if (problem !== undefined) broken.push(problem);
  }
  return { claimed: claimed.length, ...deletion, broken };
}

/** As the writer does it; what it claims is what is read back from the store. */
export const backUpWithLock: BackUpLocked = async (repository, _store, files, lock) => {
  await using writer = await repository.acquireWriter({ ...WRITER, lock });
  await saveAll(writer, files);
  const time = new Date("2026-11-01T10:00:00Z");
  const summary = await writer.commit({ time, paths: ["/app"], tags: [] });
  const snapshot = await repository.resolveSnapshot(summary.id);
  const held = await lockedUntil(repository, snapshot);
  if (held?.until.getTime() !== summary.lockedUntil?.getTime()) {
    throw new Error(
      `claims ${summary.lockedUntil?.toISOString()}, holds ${held?.until.toISOString()}`,
    );
  }
  return { snapshot: summary.id, until: held?.until };
};

/** The trap: only what this run wrote is locked. Config and keys are locked as well, so that nothing else fails first. */
export const backUpNaively: BackUpLocked = async (repository, store, files, lock) => {
  const before = new Set(await keysOf(store));
  let snapshot: string;
  {
    await using writer = await repository.acquireWriter(WRITER);
    await saveAll(writer, files);
    const time = new Date("2026-11-01T10:00:00Z");
    snapshot = (await writer.commit({ time, paths: ["/app"], tags: [] })).id;
  }
  const found = await store.stat(`snapshots/${snapshot}`);
  const until = lock.until(found?.modifiedAt ?? new Date(0));
  const retention: Retention = { mode: lock.mode, until };
  for (const key of await keysOf(store)) {
    const always = key === "config" || key.startsWith("keys/");
    if (always || !before.has(key)) await store.lock?.extend(key, retention);
  }
  return { snapshot, until };
};

/** One file that never changes, one of which a little does, one that is new. */
function filesOfDay(day: number, random: RandomBytes): readonly TestFile[] {
  return [
    { path: ["never changes"], content: constant(random) },
    { path: ["database", "counter"], content: Buffer.from(`day ${day}`) },
    { path: ["database", "log"], content: Buffer.from(random(5_000)) },
  ];
}

const CONSTANTS = new WeakMap<RandomBytes, Bytes>();

function constant(random: RandomBytes): Bytes {
  const known = CONSTANTS.get(random) ?? Buffer.from(random(60_000));
  CONSTANTS.set(random, known);
  return known;
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  return (await Array.fromAsync(store.list(""))).map(({ key }) => key);
}

function open(context: RepositoryContext): Promise<Repository> {
  return openRepository(context, { password: new Secret(PASSWORD) });
}

/** What an intruder does who may delete versions and bypass nothing. */
async function deleteEverything({
  store,
  deleteVersion,
}: Day31Options): Promise<Pick<Day31Result, "deletedVersions" | "deniedVersions">> {
  let [deletedVersions, deniedVersions] = [0, 0];
  const versions = await Array.fromAsync(store.versions?.list("") ?? []);
  for (const { key, version } of versions) {
    try {
      await deleteVersion(key, version);
      deletedVersions += 1;
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "objectstore.denied") throw thrown;
      deniedVersions += 1;
    }
  }
  return { deletedVersions, deniedVersions };
}

async function problemOf(
  context: RepositoryContext,
  claim: Claim,
  files: readonly TestFile[],
): Promise<string | undefined> {
  try {
    const repository = await open(context);
    const snapshot = await repository.resolveSnapshot(claim.snapshot);
    const reader = await repository.acquireReader();
    for (const { path, content } of files) {
      const bytes = await collectBytes(reader.read(await reader.find(snapshot, path)));
      if (typeof content === "function" || !equalBytes(bytes, content)) return "other bytes";
    }
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    return thrown.code;
  }
}
