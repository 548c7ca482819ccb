import { afterAll, describe, expect, test } from "vitest";
import { OLDEST_RESTIC } from "../support/restic.ts";
import { crashCampaign } from "./campaign/crashes.ts";
import type { ObjectStore } from "../../src/objectstore/index.ts";
import { SCENARIOS } from "./campaign/all.ts";
import {
  copyScenario,
  passwordScenario,
  pruneScenario,
  rewriteScenario,
} from "./campaign/life-scenarios.ts";
import { backupScenario } from "./campaign/scenarios.ts";
import type { Scenario } from "./campaign/scenarios.ts";
import { reorder } from "./crash/cuts.ts";
import { deadPid } from "./crash/backup.ts";

/**
 * Every verb that writes, cut at its writes: what is left is judged by our check, by reading every snapshot, by stock
 * restic, and by running the same verb again. `npm run test:fault` runs all of it; a bounded part runs in CI.
 */
const LONG = process.env["TEST_LONG"] === "1";
const SEED = process.env["FAULT_SEED"] ?? "campaign";
const SEEDS = Array.from({ length: LONG ? 12 : 1 }, (_, i) => `${SEED}-${i}`);

/** The same verb over a store that breaks the order of its writes. */
function over(scenario: Scenario, break_: (store: ObjectStore) => ObjectStore): Scenario {
  return {
    ...scenario,
    run: (world, owner) => {
      const { main, copy } = world.stores;
      return scenario.run({ ...world, stores: { main: break_(main), copy: break_(copy) } }, owner);
    },
  };
}

/** Acknowledges what is put below `folder`, and keeps it only once something was removed below `until`. */
function keepLate(store: ObjectStore, folder: string, until: string): ObjectStore {
  const held: (() => Promise<void>)[] = [];
  return {
    ...store,
    put: async (key, body, options) => {
      if (!key.startsWith(folder)) return store.put(key, body, options);
      const copies = body.map((part) => Buffer.from(part));
      held.push(() => store.put(key, copies, options));
    },
    remove: async (key, options) => {
      await store.remove(key, options);
      if (key.startsWith(until)) for (const put of held.splice(0)) await put();
    },
  };
}

const PLANTED: readonly (readonly [string, Scenario])[] = [
  [
    "a backup whose snapshot is there before its data",
    over(backupScenario, (store) => reorder(store, "data/", "snapshots/")),
  ],
  [
    "a copy whose snapshots are there before their index",
    over(copyScenario, (store) => reorder(store, "index/", "snapshots/")),
  ],
  [
    "a prune that removes old indexes before the new ones are there",
    over(pruneScenario, (store) => keepLate(store, "index/", "index/")),
  ],
  [
    "a rewrite that removes the old snapshots before the new ones are there",
    over(rewriteScenario, (store) => keepLate(store, "snapshots/", "snapshots/")),
  ],
  [
    "a change of password that removes the old key before the new one is there",
    over(passwordScenario, (store) => keepLate(store, "keys/", "keys/")),
  ],
];

describe("the campaign bites", () => {
  test.for(PLANTED)("%s", { timeout: 120_000 }, async ([, scenario]) => {
    const { crashes, faults } = await crashCampaign(scenario, {
      seeds: ["planted"],
      stockEvery: Infinity,
      restic: OLDEST_RESTIC,
      deadPid: deadPid(),
    });
    expect(crashes).toBeGreaterThan(0);
    // Most verbs read back what they wrote and refuse to go on: then that is the fault which is told.
    expect(faults.length).toBeGreaterThan(0);
  });
});

let total = 0;

describe("cut at its writes", () => {
  test.for(SCENARIOS)("$verb", { timeout: 3_600_000 }, async (scenario) => {
    const counts = await crashCampaign(scenario, {
      seeds: SEEDS,
      stockEvery: LONG ? 4 : 6,
      restic: OLDEST_RESTIC,
      deadPid: deadPid(),
      ...(LONG ? {} : { most: 24 }),
    });
    const { crashes, byStock, cut, faults } = counts;
    console.log(
      `${scenario.verb}: ${crashes} crashes, ${byStock} of them read by restic, seeds ${SEEDS.join(" ")}; ${JSON.stringify(cut)}`,
    );
    expect(faults, `run again with FAULT_SEED=${SEED}`).toEqual([]);
    expect(crashes).toBeGreaterThanOrEqual(LONG ? 70 : 6);
    expect(byStock).toBeGreaterThan(0);
    total += crashes;
  });

  afterAll(() => {
    expect(total).toBeGreaterThanOrEqual(LONG ? 1_000 : 80);
  });
});
