import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");
const CONFIGS = ["tsconfig.json", ".oxlintrc.json", ".oxfmtrc.json", "knip.json"];

/** A throwaway project under the real configuration of every gate, in which a violation can be planted. */
export interface PlantedProject extends Disposable {
  readonly folder: string;
  /** Runs an installed tool in it with the arguments that the gate uses. */
  run(tool: string, args: readonly string[]): { readonly code: number; readonly output: string };
}

export function plantProject(files: Readonly<Record<string, string>>): PlantedProject {
  const folder = mkdtempSync(join(tmpdir(), "sparekeep-gate-"));
  for (const name of CONFIGS) copyFileSync(join(ROOT, name), join(folder, name));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const manifest = { name: "planted", version: "1.0.0", private: true, type: "module" };
  const all = { "package.json": `${JSON.stringify(manifest, null, 2)}\n`, ...files };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return {
    folder,
    run: (tool, args) => {
      const ended = spawnSync(join(ROOT, "node_modules", ".bin", tool), [...args], {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" },
      });
      return { code: ended.status ?? -1, output: `${ended.stdout}${ended.stderr}` };
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
