import { afterAll, describe, expect, test } from "vitest";
import { faultCampaign, HONEST_FAULTS } from "./campaign/faults.ts";
import { SCENARIOS } from "./campaign/all.ts";

/** Every verb against every fault of a store. The campaign counts what struck and fails if a fault never did. */
const LONG = process.env["TEST_LONG"] === "1";
const SEED = process.env["FAULT_SEED"] ?? "faults";
const SEEDS = Array.from({ length: LONG ? 12 : 2 }, (_, i) => `${SEED}-${i}`);

const hits: Record<string, number> = {};

describe("on a store that fails", () => {
  test.for(SCENARIOS)("$verb", { timeout: 3_600_000 }, async (scenario) => {
    const counts = await faultCampaign(scenario, HONEST_FAULTS, SEEDS);
    for (const [name, count] of Object.entries(counts.hits)) hits[name] = (hits[name] ?? 0) + count;
    console.log(
      `${scenario.verb}: ${JSON.stringify(counts.hits)}; ended ${JSON.stringify(counts.ended)}`,
    );
    expect(counts.faults, `run again with FAULT_SEED=${SEED}`).toEqual([]);
    expect(counts.ended.well).toBeGreaterThan(0);
  });

  afterAll(() => {
    const never = HONEST_FAULTS.filter(({ name }) => (hits[name] ?? 0) === 0);
    expect(never.map(({ name }) => name)).toEqual([]);
  });
});
