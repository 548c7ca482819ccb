import { afterAll, describe, expect, test } from "vitest";
import { OLDEST_RESTIC } from "../support/restic.ts";
import { crashCampaign } from "./campaign/crashes.ts";
import { SCENARIOS } from "./campaign/all.ts";
import { deadPid } from "./crash/backup.ts";

/**
 * Every verb that writes, cut at its writes: what is left is judged by our check, by reading every snapshot, by stock
 * restic, and by running the same verb again. `npm run test:fault` runs all of it; a bounded part runs in CI.
 */
const LONG = process.env["TEST_LONG"] === "1";
const SEED = process.env["FAULT_SEED"] ?? "campaign";
const SEEDS = Array.from({ length: LONG ? 12 : 1 }, (_, i) => `${SEED}-${i}`);

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
