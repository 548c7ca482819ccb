import { spawn } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Secret, systemClock } from "../../src/kernel/index.ts";
import type { Clock } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../src/objectstore/index.ts";
import {
  codeOf,
  createTemporaryFolder,
  listKeys,
  patternBytes,
} from "../../src/objectstore/testing/index.ts";
import { executeRepairIndex, openRepository, planRepairIndex } from "../../src/repository/index.ts";
import { entriesOf } from "../support/restic-files.ts";
import {
  backUp,
  contextOf,
  createOurs,
  expectedFiles,
  openOurs,
  PASSWORD,
  saveAll,
  storeAt,
} from "../support/restic-repository.ts";
import type { TestFile } from "../support/restic-repository.ts";

/** Many writers at once on one store, each with a clock of its own that is wrong by hours. */

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

function skewed(clock: Clock, byMs: number): Clock {
  return { ...clock, now: () => new Date(clock.now().getTime() + byMs) };
}

const filesOf = (writer: number): readonly TestFile[] => [
  { path: ["shared"], content: patternBytes(200_000, 1) },
  { path: [`own ${writer}`, "a"], content: patternBytes(150_000, 100 + writer) },
];

/** Removals of lock files, each with the age of the file by the store's clock. */
function watchRemovals(store: MemoryStore, now: () => number) {
  const removed: { key: string; ageMs: number }[] = [];
  const watched: ObjectStore = {
    ...store,
    remove: async (key, options) => {
      const stat = await store.stat(key);
      if (stat !== undefined && key.startsWith("locks/")) {
        removed.push({ key, ageMs: now() - stat.modifiedAt.getTime() });
      }
      await store.remove(key, options);
    },
  };
  return { removed, watched };
}

describe("a crowd of writers whose clocks are wrong by up to six hours", () => {
  test("loses nothing, removes the stale locks and no live one", async () => {
    let storeMs = Date.UTC(2026, 5, 1);
    const storeClock = { now: () => new Date(storeMs) };
    const inner = createMemoryStore({ clock: storeClock });
    const clockOf = (byMs: number): Clock =>
      skewed({ ...systemClock, now: storeClock.now, sleep: () => Promise.resolve() }, byMs);
    await createOurs(inner);
    const open = (store: ObjectStore, byMs: number) =>
      openRepository(
        { ...contextOf(store), clock: clockOf(byMs), packBytes: 60_000 },
        { password: new Secret(PASSWORD) },
      );
    const owner = (n: number) => ({ hostname: `host-${n}`, username: "u", pid: 1000 + n });
    // Dead machines, ahead and behind: what they wrote into their locks says nothing of their age.
    const dead = await Promise.all(
      [-6, 0, 6].map(async (hours, n) =>
        (await open(inner, hours * HOUR_MS)).acquireWriter(owner(100 + n)),
      ),
    );
    const deadLocks = await listKeys(inner, "locks/");
    expect(deadLocks).toHaveLength(3);
    storeMs += 31 * MINUTE_MS;
    const { removed, watched } = watchRemovals(inner, () => storeMs);
    // One slow writer, whose lock is 24 minutes old when the crowd comes.
    const slow = await (await open(watched, -6 * HOUR_MS)).acquireWriter(owner(50));
    const slowLocks = (await listKeys(inner, "locks/")).filter((key) => !deadLocks.includes(key));
    storeMs += 24 * MINUTE_MS;
    const crowd = Array.from({ length: 12 }, (_, n) => n);
    const ids = await Promise.all(
      crowd.map(async (n) => {
        const repository = await open(watched, (n - 6) * HOUR_MS);
        await using writer = await repository.acquireWriter(owner(n));
        await saveAll(writer, filesOf(n));
        const own = await writer.commit({ time: new Date(2026, 5, n + 1), paths: ["/"], tags: [] });
        return own.id;
      }),
    );
    // Whoever wants to be alone waits for the slow one, whatever either's clock says.
    const alone = await open(watched, 6 * HOUR_MS);
    const plan = await planRepairIndex(alone, { readAllPacks: true });
    expect(await codeOf(() => executeRepairIndex(plan, { owner: owner(60) }))).toBe(
      "repository.locked",
    );
    await saveAll(slow, filesOf(50));
    const last = await slow.commit({ time: new Date(2026, 6, 1), paths: ["/"], tags: [] });
    expect(removed.filter(({ ageMs }) => ageMs > 30 * MINUTE_MS).map(({ key }) => key)).toEqual(
      expect.arrayContaining(deadLocks),
    );
    expect(removed.map(({ key }) => key)).not.toEqual(expect.arrayContaining(slowLocks));
    await slow[Symbol.asyncDispose]();
    expect(await listKeys(inner, "locks/")).toEqual([]);
    const repository = await openOurs(inner);
    const reader = await repository.acquireReader();
    for (const [i, id] of [...ids, last.id].entries()) {
      const snapshot = await repository.resolveSnapshot(id);
      const files = filesOf(i === ids.length ? 50 : i);
      expect(await entriesOf(reader, reader.entries(snapshot))).toEqual(await expectedFiles(files));
    }
    const { findings } = await repository.check({ readData: true });
    expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
    // The dead never come back to life: their lock is gone, and so they commit nothing.
    for (const writer of dead) {
      const commit = codeOf(() => writer.commit({ time: new Date(), paths: [], tags: [] }));
      expect(await commit).toBe("repository.lock_lost");
      await writer[Symbol.asyncDispose]();
    }
  });
});

const CHILD = join(import.meta.dirname, "crash/crowd-child.ts");

async function runChild(folder: string, writer: number, skewMs: number): Promise<string> {
  const child = spawn(process.execPath, [CHILD, folder, String(writer), String(skewMs)]);
  let [out, err] = ["", ""];
  child.stdout.on("data", (bytes: Buffer) => (out += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (err += bytes.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`writer ${writer} ended with ${code}: ${err}`);
  return out.trim();
}

test("four processes at once on one folder, ahead and behind: every snapshot is whole", async () => {
  await using folder = await createTemporaryFolder();
  const store = storeAt(folder.path);
  await backUp(await createOurs(store), filesOf(0));
  const skews = [-6, -1, 1, 6].map((hours) => hours * HOUR_MS);
  const ids = await Promise.all(skews.map((skew, n) => runChild(folder.path, n + 1, skew)));
  const repository = await openOurs(store);
  const reader = await repository.acquireReader();
  for (const [i, id] of ids.entries()) {
    const snapshot = await repository.resolveSnapshot(id);
    const expected = await expectedFiles(filesOf(i + 1));
    expect(await entriesOf(reader, reader.entries(snapshot))).toEqual(expected);
  }
  const { findings } = await repository.check({ readData: true });
  expect(findings.filter(({ severity }) => severity !== "information")).toEqual([]);
  expect(await listKeys(store, "locks/")).toEqual([]);
});
