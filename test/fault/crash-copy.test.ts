import { randomBytes } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { AppError, Secret, systemClock, toAppError } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../src/objectstore/index.ts";
import { listKeys, patternBytes } from "../../src/objectstore/testing/index.ts";
import {
  createInlineSealer,
  createRepository,
  erasuresOf,
  executeCopy,
  executeRewrite,
  openRepository,
  planCopy,
  planRewrite,
} from "../../src/repository/index.ts";
import type { Repository, RepositoryContext, Snapshot } from "../../src/repository/index.ts";
import { entriesOf } from "../support/restic-files.ts";
import { backUp, WRITER } from "../support/restic-repository.ts";
import type { TestFile } from "../support/restic-repository.ts";
import { deadPid } from "./crash/backup.ts";
import { recordCuts, reorder } from "./crash/cuts.ts";
import type { Cut } from "./crash/cuts.ts";

/** A copy and a rewrite, each cut before and after each of its writes. In memory, so that none is left out. */

const PACK_BYTES = 60_000;
const GONE = ["letters", "jane"];

const PASSWORD = new Secret("correct horse");
/** A repository is opened several times a cut. */
const CHEAP = { N: 2, r: 1, p: 1 };
/** A lock waits before it looks again; nobody else is here. */
const clock = { ...systemClock, sleep: () => Promise.resolve() };

let source: MemoryStore;
let target: MemoryStore;
let wanted: readonly string[];

beforeAll(async () => {
  source = await create();
  target = await create();
  const file = (path: string, sizeBytes: number, seed: number): TestFile => ({
    path: path.split("/"),
    content: patternBytes(sizeBytes, seed),
    metadata: { kind: "table" },
  });
  const shared = [file("orders", 150_000, 1), file("letters/joe", 9, 2)];
  const repository = await open(source);
  await backUp(repository, [...shared, file("letters/jane", 12, 3)]);
  const more = [...shared, file("more", 120_000, 4), file("letters/jane", 13, 5)];
  await backUp(repository, more, new Date("2026-11-02T10:00:00Z"));
  wanted = await snapshotsOf(repository);
});

function contextOf(store: ObjectStore): RepositoryContext {
  const random = (size: number): Buffer => randomBytes(size);
  return { store, clock, random, createSealer: createInlineSealer, packBytes: PACK_BYTES };
}

async function create(): Promise<MemoryStore> {
  const store = createMemoryStore({ clock });
  const { hostname, username } = WRITER;
  const options = { password: PASSWORD, hostname, username, cost: CHEAP };
  await createRepository(contextOf(store), options);
  return store;
}

function open(store: ObjectStore): Promise<Repository> {
  return openRepository(contextOf(store), { password: PASSWORD });
}

/** What each snapshot holds, in one line. */
async function snapshotsOf(repository: Repository): Promise<readonly string[]> {
  const reader = await repository.acquireReader();
  const found: string[] = [];
  for (const snapshot of await repository.snapshots()) {
    const entries = await entriesOf(reader, reader.entries(snapshot));
    const parts = [...entries].map(([path, what]) => `${path} ${what}`);
    found.push([snapshot.time.toISOString(), ...parts].join("; "));
  }
  return found.sort();
}

async function copyInto(store: ObjectStore, pid: number): Promise<string> {
  const from = await open(source.fork());
  const to = await open(store);
  const result = await executeCopy(from, to, await planCopy(from, to), { ...WRITER, pid });
  return result.outcome;
}

async function rewriteIn(store: ObjectStore, pid: number): Promise<string> {
  const repository = await open(store);
  const plan = await planRewrite(repository, { select: () => true, without: [GONE] });
  const options = { ...WRITER, pid, reason: "a request", forget: true };
  return (await executeRewrite(repository, plan, options)).outcome;
}

async function checkErrors(repository: Repository): Promise<string[]> {
  const { findings } = await repository.check({ readData: true });
  return findings.filter(({ severity }) => severity === "error").map(({ code }) => code);
}

type Look = (store: MemoryStore) => Promise<readonly string[]>;

/** Each cut once that leaves something else in the store; the first that shows a violation ends it. */
async function firstViolations(cuts: readonly Cut[], look: Look): Promise<readonly string[]> {
  const seen = new Set<string>();
  for (const { left, moment, write, operation, key } of cuts) {
    const holds = (await listKeys(left, "")).join(" ");
    if (seen.has(holds)) continue;
    seen.add(holds);
    const found = await attempt(() => look(left.fork()));
    const at = `cut ${moment} write ${write} (${operation} ${key.slice(0, 16)})`;
    if (found.length > 0) return found.map((violation) => `${at}: ${violation}`);
  }
  return [];
}

async function attempt(work: () => Promise<readonly string[]>): Promise<readonly string[]> {
  try {
    return await work();
  } catch (thrown) {
    const { code, message } = toAppError(thrown);
    return [`${code}: ${message}`];
  }
}

async function afterCopy(store: MemoryStore): Promise<readonly string[]> {
  const repository = await open(store);
  const found = await checkErrors(repository);
  const there = await snapshotsOf(repository);
  if (!there.every((one) => wanted.includes(one))) found.push("a snapshot that is not whole");
  if ((await copyInto(store, process.pid)) !== "complete") found.push("the next copy fails");
  if (String(await snapshotsOf(repository)) !== String(wanted)) found.push("the next copy differs");
  found.push(...(await checkErrors(repository)));
  if ((await listKeys(store, "locks/")).length > 0) found.push("locks left behind");
  return found;
}

async function afterRewrite(store: MemoryStore): Promise<readonly string[]> {
  const repository = await open(store);
  const found = await checkErrors(repository);
  const without = wanted.map((one) => one.replace(/; letters\/jane file \d+ [0-9a-f]{64}/, ""));
  const there = await snapshotsOf(repository);
  for (const [at, one] of wanted.entries()) {
    if (!there.includes(one) && !there.includes(without[at] ?? "")) found.push("a point is gone");
  }
  if (there.length > 4) found.push("a snapshot too many");
  await finishRewrite(store);
  if (String(await snapshotsOf(repository)) !== String([...without].sort())) {
    found.push("the next rewrite differs");
  }
  for (const snapshot of await repository.snapshots()) {
    if (!(await isToldErased(repository, snapshot))) found.push("erased without a record");
  }
  found.push(...(await checkErrors(repository)));
  if ((await listKeys(store, "locks/")).length > 0) found.push("locks left behind");
  return found;
}

/** Nothing to find means that the cut run had done all of it; its lock is then left to the next one. */
async function finishRewrite(store: MemoryStore): Promise<void> {
  try {
    await rewriteIn(store, process.pid);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "repository.path_not_found") throw thrown;
    await using _writer = await (await open(store)).acquireWriter(WRITER);
  }
}

async function isToldErased(repository: Repository, snapshot: Snapshot): Promise<boolean> {
  return (await erasuresOf(repository, snapshot)).some((erasure) => erasure.covers(GONE));
}

function folders(cuts: readonly Cut[]): readonly string[] {
  return cuts.map(({ operation, key }) => `${operation} ${key.split("/").slice(0, -1).join("/")}`);
}

describe("a copy cut at each of its writes", () => {
  test("leaves a clean target with whole snapshots, and the next one finishes", async () => {
    const { store, cuts } = recordCuts(target.fork());
    expect(await copyInto(store, deadPid())).toBe("complete");
    const order = folders(cuts).map((folder) => folder.replace(/\/.*/, ""));
    expect(order.filter((folder) => folder === "put data").length).toBeGreaterThanOrEqual(2 * 3);
    expect(order.indexOf("put locks")).toBe(0);
    expect(order.lastIndexOf("put data")).toBeLessThan(order.lastIndexOf("put index"));
    expect(order.lastIndexOf("put index")).toBeLessThan(order.indexOf("put snapshots"));
    expect(order.lastIndexOf("put snapshots")).toBeLessThan(order.indexOf("remove locks"));
    expect(await firstViolations(cuts, afterCopy)).toEqual([]);
  });

  test("is seen to be broken when a store lists packs before it has them", async () => {
    const { store, cuts } = recordCuts(target.fork());
    await copyInto(reorder(store, "data/", "index/"), deadPid());
    expect(await firstViolations(cuts, afterCopy)).toEqual(
      expect.arrayContaining([expect.stringMatching(/pack_missing/)]),
    );
  });

  test.for(["data/", "index/"])("writes no snapshot over %s that is not there", async (early) => {
    const store = target.fork();
    expect(await copyInto(reorder(store, early, "snapshots/"), deadPid())).toBe("incomplete");
    expect(await listKeys(store, "snapshots/")).toEqual([]);
  });
});

describe("a rewrite cut at each of its writes", () => {
  test("loses no point, records what is gone, and the next one finishes", async () => {
    const { store, cuts } = recordCuts(source.fork());
    expect(await rewriteIn(store, deadPid())).toBe("complete");
    const order = folders(cuts).filter((folder) => !folder.endsWith("locks"));
    const [tree = "", ...rest] = [...new Set(order)];
    expect(tree).toMatch(/^put data/);
    expect(rest).toEqual([
      "put index",
      "put sparekeep/erasures",
      "put snapshots",
      "remove snapshots",
    ]);
    expect(await firstViolations(cuts, afterRewrite)).toEqual([]);
  });

  test("removes nothing while the new snapshot is not there", async () => {
    const store = source.fork();
    const before = await listKeys(store, "snapshots/");
    const late = reorder(store, "snapshots/", "never/");
    await expect(rewriteIn(late, process.pid)).rejects.toMatchObject({
      code: "objectstore.not_found",
    });
    expect(await listKeys(store, "snapshots/")).toEqual(before);
  });

  test("is seen to be broken when a store removes before it writes", async () => {
    const { store, cuts } = recordCuts(source.fork());
    const eager: ObjectStore = {
      ...store,
      put: async (key, body, options) => {
        if (key.startsWith("snapshots/")) {
          for (const old of await listKeys(source, "snapshots/")) await store.remove(old);
        }
        await store.put(key, body, options);
      },
    };
    await rewriteIn(eager, deadPid());
    expect(await firstViolations(cuts, afterRewrite)).toEqual(
      expect.arrayContaining([expect.stringMatching(/a point is gone/)]),
    );
  });
});
