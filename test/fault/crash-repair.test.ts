import { describe, expect, test } from "vitest";
import { Secret, systemClock, toAppError } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../src/objectstore/index.ts";
import { listKeys, patternBytes } from "../../src/objectstore/testing/index.ts";
import {
  executeRepairIndex,
  executeRepairPacks,
  executeRepairSnapshots,
  openRepository,
  planRepairIndex,
  planRepairPacks,
  planRepairSnapshots,
} from "../../src/repository/index.ts";
import type { Repository } from "../../src/repository/index.ts";
import { sha256Of } from "../support/restic-files.ts";
import { backUp, contextOf, createOurs, PASSWORD, WRITER } from "../support/restic-repository.ts";
import { deadPid } from "./crash/backup.ts";
import { recordCuts } from "./crash/cuts.ts";

/** A repair cut before and after each of its writes: what could be read before can be read then, and it can be repeated. */

/** Every repair of one test runs as a process that has ended by the time somebody else comes. */
const OWNER = { owner: { ...WRITER, pid: deadPid() } };

function openSmallPacks(store: ObjectStore): Promise<Repository> {
  return openRepository(
    { ...contextOf(store), packBytes: 100_000 },
    { password: new Secret(PASSWORD) },
  );
}

const files = (round: number) =>
  Array.from({ length: 6 }, (_, i) => ({
    path: [`folder ${i % 2}`, `file ${i}`],
    content: patternBytes(60_000, i < 3 ? i : i + 10 * round),
  }));

async function createDamaged(damage: (store: MemoryStore) => Promise<void>): Promise<MemoryStore> {
  const store = createMemoryStore({ clock: systemClock });
  await createOurs(store);
  for (const round of [1, 2]) {
    await backUp(await openSmallPacks(store), files(round), new Date(Date.UTC(2026, 9, round)));
  }
  await damage(store);
  return store;
}

/** What can be read, file by file: snapshot and path, and the hash of what came. */
async function readable(store: ObjectStore): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const repository = await openSmallPacks(store);
  const snapshots = (await listKeys(store, "snapshots/")).map((key) => key.slice(10));
  const reader = await repository.acquireReader().catch(() => undefined);
  if (reader === undefined) return found;
  for (const id of snapshots) {
    try {
      const snapshot = await repository.resolveSnapshot(id);
      for await (const entry of reader.entries(snapshot)) {
        if (entry.type !== "file") continue;
        const path = entry.path.map((name) => Buffer.from(name).toString()).join("/");
        const content = await sha256Of(reader.read(entry)).catch(() => undefined);
        if (content !== undefined) found.set(`${id} ${path}`, content);
      }
    } catch (thrown) {
      if (toAppError(thrown).kind !== "corrupt") throw thrown;
    }
  }
  return found;
}

async function flip(store: ObjectStore, key: string, at: number): Promise<void> {
  const bytes = Buffer.from(await store.get(key));
  const place = at < 0 ? bytes.byteLength + at : at;
  bytes[place] = (bytes[place] ?? 0) ^ 4;
  await store.remove(key);
  await store.put(key, [bytes]);
}

const nth = async (store: ObjectStore, prefix: string, n: number): Promise<string> =>
  (await listKeys(store, prefix)).toSorted()[n] ?? "";

/** The largest one is of data, the others too but for the small ones. */
async function dataPacks(store: ObjectStore): Promise<string[]> {
  const stats = await Array.fromAsync(store.list("data/"));
  return stats.sort((a, b) => b.sizeBytes - a.sizeBytes).map(({ key }) => key);
}

async function repairIndex(repository: Repository): Promise<void> {
  const plan = await planRepairIndex(repository, { readAllPacks: true });
  if (plan.needed) await executeRepairIndex(plan, OWNER);
}

async function repairPacks(repository: Repository): Promise<void> {
  const plan = await planRepairPacks(repository);
  if (plan.needed) await executeRepairPacks(plan, OWNER);
}

async function repairSnapshots(repository: Repository): Promise<void> {
  const plan = await planRepairSnapshots(repository);
  if (plan.needed) await executeRepairSnapshots(plan, OWNER);
}

const CASES: readonly (readonly [
  what: string,
  damage: (store: MemoryStore) => Promise<void>,
  repair: (repository: Repository) => Promise<void>,
])[] = [
  [
    "an index, one of them damaged",
    async (store) => flip(store, await nth(store, "index/", 1), 50),
    repairIndex,
  ],
  [
    "an index that names a pack that is gone",
    async (store) => {
      await store.remove((await dataPacks(store))[1] ?? "");
    },
    repairIndex,
  ],
  [
    "packs with a flipped bit, a cut end and a damaged header",
    async (store) => {
      const [first = "", second = "", third = ""] = await dataPacks(store);
      await flip(store, first, 100);
      await flip(store, second, -20);
      const bytes = await store.get(third);
      await store.remove(third);
      await store.put(third, [bytes.subarray(0, bytes.byteLength - 100)]);
    },
    repairPacks,
  ],
  [
    "snapshots whose pack is gone",
    async (store) => {
      await store.remove((await dataPacks(store))[0] ?? "");
    },
    repairSnapshots,
  ],
];

describe("a repair cut at each of its writes", () => {
  test.for(CASES)("of %s", async ([, damage, repair]) => {
    const origin = await createDamaged(damage);
    const before = await readable(origin);
    const { store, cuts } = recordCuts(origin.fork());
    await repair(await openSmallPacks(store));
    expect(cuts.filter(({ operation }) => operation === "put").length).toBeGreaterThan(2);
    const states = new Map<string, MemoryStore>();
    for (const { left, write, operation, key, moment } of cuts) {
      const keys = (await listKeys(left, "")).filter((name) => !name.startsWith("locks/"));
      if (states.has(keys.join(" "))) continue;
      states.set(keys.join(" "), left);
      const at = `${moment} write ${write} (${operation} ${key.slice(0, 14)})`;
      const after = await readable(left);
      const lost = [...before].filter(([path, content]) => after.get(path) !== content);
      expect([at, lost]).toEqual([at, []]);
    }
    // From the ruins of each the repair can be planned anew, and ends where the one that was not cut ended.
    const contents = async (of: ObjectStore): Promise<string[]> =>
      [...(await readable(of))].map(([path, hash]) => `${path.slice(65)} ${hash}`).toSorted();
    const repaired = await contents(store);
    for (const left of [...states.values()].filter((_, i) => i % 3 === 1)) {
      const again = left.fork();
      await repair(await openSmallPacks(again));
      expect(await contents(again)).toEqual(repaired);
    }
  });
});
