import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildKernel, KERNELS } from "../../scripts/build-wasm.ts";

const ROOT = join(import.meta.dirname, "../..");

describe("committed WebAssembly", () => {
  test("there is a kernel for each job that JavaScript is too slow for", () => {
    expect(KERNELS.map(({ name }) => name)).toEqual(["Poly1305", "Gear", "RowHash", "CopyFrames"]);
  });

  test.for(KERNELS)("$output is what $source compiles to", async (kernel) => {
    const committed = readFileSync(join(ROOT, kernel.output), "utf8");
    const built = await buildKernel(kernel);
    expect(built).toContain("WebAssembly.Module");
    expect(committed === built).toBe(true);
  });

  test.for(KERNELS)("$output holds the bytes of no other source", async (kernel) => {
    const other = KERNELS.find(({ source }) => source !== kernel.source)?.source ?? "";
    const built = await buildKernel({ ...kernel, source: other });
    expect(readFileSync(join(ROOT, kernel.output), "utf8") === built).toBe(false);
  });
});
