import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");

test("the published package is built, and runs without a warning", () => {
  const folder = mkdtempSync(join(tmpdir(), "sparekeep-dist-"));
  try {
    copyFileSync(join(ROOT, "package.json"), join(folder, "package.json"));
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    const tsc = join(ROOT, "node_modules", ".bin", "tsc");
    const args = ["-p", "tsconfig.build.json", "--outDir", join(folder, "dist")];
    const built = spawnSync(tsc, args, { cwd: ROOT, encoding: "utf8" });
    expect({ code: built.status, output: built.stdout }).toEqual({ code: 0, output: "" });
    const main = join(folder, "dist", "main.js");
    const ran = spawnSync(process.execPath, [main, "--version"], { encoding: "utf8" });
    expect({ code: ran.status, stderr: ran.stderr }).toEqual({ code: 0, stderr: "" });
    expect(ran.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
