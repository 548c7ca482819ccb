import { beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../src/objectstore/index.ts";
import { listKeys } from "../../src/objectstore/testing/index.ts";
import { createWithEarlier, cutFiles, deadPid, openAndBackUp } from "./crash/backup.ts";
import { recordCuts, reorder } from "./crash/cuts.ts";
import type { Cut } from "./crash/cuts.ts";
import { violationsAfter } from "./crash/violations.ts";

/** The sequence of writes of one backup, each cut before and after. No real disk: hence every one of them. */

interface Recorded {
  readonly earlier: string;
  readonly cuts: readonly Cut[];
  readonly reported: string;
}

let origin: MemoryStore;
let earlier: string;

beforeAll(async () => {
  origin = createMemoryStore({ clock: systemClock });
  earlier = await createWithEarlier(origin);
});

async function record(break_: (store: ObjectStore) => ObjectStore): Promise<Recorded> {
  const { store, cuts } = recordCuts(origin.fork());
  const reported = await openAndBackUp(break_(store), cutFiles, 10, deadPid());
  return { earlier, cuts, reported };
}

/** Up to the first cut that shows any. */
async function firstViolations({ cuts, earlier, reported }: Recorded): Promise<string[]> {
  const found: string[] = [];
  const seen = new Set<string>();
  for (const cut of cuts) {
    if (found.length > 0) break;
    // Before a write and after the one before it the store often holds the same: once is enough.
    const holds = `${snapshotIsAcknowledged(cuts, cut)} ${(await listKeys(cut.left, "")).join(" ")}`;
    if (seen.has(holds)) continue;
    seen.add(holds);
    const committed = snapshotIsAcknowledged(cuts, cut) ? reported : undefined;
    const violations = await violationsAfter(cut.left.fork(), { earlier, reported: committed });
    const at = `cut ${cut.moment} write ${cut.write} (${cut.operation} ${cut.key.slice(0, 16)})`;
    found.push(...violations.map((violation) => `${at}: ${violation}`));
  }
  return found;
}

/** The removal of the lock comes after the commit returned: from there on the run counts as a success. */
function snapshotIsAcknowledged(cuts: readonly Cut[], cut: Cut): boolean {
  const last = cuts.findLast(({ operation }) => operation === "put");
  return last !== undefined && cut.write > last.write;
}

describe("a backup cut at each of its writes", () => {
  test("leaves a clean repository, whole snapshots, and lets the next backup work", async () => {
    const recorded = await record((store) => store);
    const folders = recorded.cuts.map(({ key, operation }) => `${operation} ${key.split("/")[0]}`);
    // It exercised what it says: locks, several packs, an index and a snapshot, in this order.
    const first = (what: string): number => folders.indexOf(what);
    const last = (what: string): number => folders.lastIndexOf(what);
    expect(folders.filter((folder) => folder === "put data").length).toBeGreaterThanOrEqual(2 * 3);
    expect(first("put locks")).toBe(0);
    expect(last("put data")).toBeLessThan(first("put index"));
    expect(last("put index")).toBeLessThan(first("put snapshots"));
    expect(last("put snapshots")).toBeLessThan(first("remove locks"));
    expect(recorded.cuts.length).toBeGreaterThanOrEqual(2 * 7);
    expect(await firstViolations(recorded)).toEqual([]);
  });

  test.for([
    ["the snapshot before the index", "index/", "snapshots/"],
    ["the snapshot before the packs", "data/", "snapshots/"],
    ["the index before the packs, and a cut between", "data/", "index/"],
  ] as const)("is seen to be broken when a store writes %s", async ([, early, late]) => {
    const recorded = await record((store) => reorder(store, early, late));
    const violations = await firstViolations(recorded);
    expect(violations.some((violation) => /missing|damaged|not_found/.test(violation))).toBe(true);
  });
});
