/** npm run bench -- NAME [--quick]: ours beside its peers, the last line is JSON, a full result is kept in results/. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../src/kernel/index.ts";
import { benchMaintenance } from "./maintenance.ts";
import { benchPostgres } from "./postgres.ts";
import { keepResult } from "./report.ts";
import { benchRepository } from "./repository.ts";
import { benchScale } from "./scale.ts";
import type { BenchOptions } from "./repository.ts";
import type { BenchResult } from "./report.ts";

const BENCHES: Readonly<Record<string, (options: BenchOptions) => Promise<BenchResult>>> = {
  repository: benchRepository,
  postgres: benchPostgres,
  scale: benchScale,
  maintenance: benchMaintenance,
};

const [name = ""] = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const quick = process.argv.includes("--quick");
const bench = BENCHES[name];
if (bench === undefined) {
  console.error(`npm run bench -- NAME [--quick], NAME one of: ${Object.keys(BENCHES).join(", ")}`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), "sparekeep-bench-"));
try {
  const result = await bench({ quick, folder });
  if (!quick) keepResult(result, systemClock.now());
  for (const note of result.notes) console.log(note);
  const { ratios, ours, peer } = result;
  console.log(JSON.stringify({ bench: name, ratios, ours, peer }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
