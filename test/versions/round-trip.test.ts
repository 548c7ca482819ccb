import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Cluster } from "../support/cluster.ts";
import { oddCatalog } from "../support/odd-catalog/index.ts";
import { differencesOf, roundTrip, startVersion } from "../support/versions.ts";

const MAJORS = [13, 14, 15, 16, 17, 18];
const NEWEST = 18;

/** What each version brought, for it and those after it. */
function novelties(major: number): string {
  return MAJORS.filter((one) => one > 13 && one <= major)
    .map((one) => readFileSync(join(import.meta.dirname, `since-${one}.sql`), "utf8"))
    .join("\n");
}

async function startOdd(major: number): Promise<Cluster> {
  const source = await startVersion(major);
  await source.createDatabase("odd");
  await source.psql(`${oddCatalog()}\n${novelties(major)}`, "odd");
  return source;
}

describe("the odd catalog, and what each version brought", () => {
  test.for(MAJORS)("comes back from %i into its own version: nothing differs", async (major) => {
    await using source = await startOdd(major);
    const { result, oracle } = await roundTrip(source, major, major);
    expect(result.issues).toEqual([]);
    expect(result.verified.tables).toBeGreaterThanOrEqual(40);
    expect(result.catalog.compared).toBe(true);
    // Off until it is released, and said so.
    const off = major < 15 ? [] : ["publication filtered"];
    expect(differencesOf(result).map((one) => `${one.class}: ${one.object}`)).toEqual(
      off.map((object) => `withheld: ${object}`),
    );
    expect(oracle).toEqual(off.map((object) => `${object}: exists: present became missing`));
  });

  test.for(MAJORS.filter((major) => major < NEWEST))(
    `comes back from %i into ${NEWEST}: no difference of ours, the same rows`,
    async (major) => {
      await using source = await startOdd(major);
      const { result, oracle } = await roundTrip(source, major, NEWEST);
      expect(result.issues).toEqual([]);
      expect(result.catalog).toMatchObject({ compared: true, counts: { ours: 0 } });
      expect(oracle.filter((one) => /^(?:rows|sequence value) /.test(one))).toEqual([]);
    },
  );
});
