import { describe, expect, test } from "vitest";
import { lieCampaign } from "./campaign/lies.ts";
import type { Lie } from "./campaign/lies.ts";
import { backupScenario } from "./campaign/scenarios.ts";

const LIES: readonly (readonly [Lie, string])[] = [
  ["truncate", "data/"],
  ["flip", "data/"],
  ["forget", "data/"],
  ["truncate", "index/"],
  ["flip", "index/"],
  ["truncate", "snapshots/"],
  ["flip", "snapshots/"],
];

describe("a store that keeps something else than it acknowledged", () => {
  test.for(LIES)(
    "%s below %s: the damage is named, and nothing is misread",
    async ([lie, folder]) => {
      const origin = await backupScenario.prepare();
      const { spoiled, faults } = await lieCampaign(backupScenario, origin, lie, folder);
      expect(spoiled.length).toBeGreaterThan(0);
      expect(faults).toEqual([]);
    },
  );
});
