import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { MIB } from "./units.ts";

/** Keeps 200,000 objects while it makes two million, and prints how large the young generation became. */
function youngBytesOf(first: string): number {
  const program = `
    import { getHeapSpaceStatistics } from "node:v8";
    import { boundYoungGeneration } from ${JSON.stringify(fileURLToPath(new URL("garbage.ts", import.meta.url)))};
    ${first}
    const kept = [];
    for (let turn = 0; turn < 200; turn += 1) {
      for (let i = 0; i < 10_000; i += 1) kept[(turn * 10_000 + i) % 200_000] = { i, list: [i] };
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { space_size } = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
    console.log(space_size);`;
  const args = ["--input-type=module-typescript", "--eval", program];
  return Number(execFileSync(process.execPath, args, { encoding: "utf8", env: {} }));
}

test("the young generation grows without a bound, and not much beyond the bound with it", () => {
  expect(youngBytesOf("")).toBeGreaterThan(16 * MIB);
  expect(youngBytesOf("boundYoungGeneration();")).toBeLessThanOrEqual(16 * MIB);
});
