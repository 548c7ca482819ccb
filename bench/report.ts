/** What a benchmark says, and where it is kept. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";

export interface BenchResult {
  readonly bench: string;
  readonly ratios: Readonly<Record<string, number>>;
  readonly ours: Readonly<Record<string, number>>;
  readonly peer: Readonly<Record<string, number>>;
  /** What was compared, how often, and which peer could not be had and why. */
  readonly notes: readonly string[];
}

interface StoredResult extends BenchResult {
  readonly date: string;
  readonly commit: string;
  readonly machine: Machine;
}

interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly node: string;
}

const RESULTS = join(import.meta.dirname, "results");

/** DESIGN's aims; a ratio is ours / peer. */
const AIMS: Readonly<Record<string, string>> = {
  "repository.cold": "≤ 0.9",
  "repository.unchanged": "≤ 0.9",
  "repository.rss": "≤ 256 MiB",
  "maintenance.prune": "≤ 1.0",
  "maintenance.check": "≤ 1.0",
  "maintenance.check_read_data": "≤ 1.0",
  "postgres.pg_dump_fc": "≤ 0.35",
  "postgres.pg_dump_fd_j2": "≤ 0.4",
  "postgres.restic_pipe": "≤ 0.6",
  "postgres.bare_copy": "≤ 1.5",
  "postgres.pg_dump_newest": "≤ 1.0",
  "postgres.next_day_bytes": "≤ 0.05",
  "postgres.next_day_scattered_bytes": "≤ 0.35",
  "postgres.pg_restore_j2": "≤ 0.8",
};

/** Full runs only: a quick one says whether the benchmark works. */
export function keepResult(result: BenchResult, at: Date): void {
  const date = at.toISOString().slice(0, 10);
  const stored: StoredResult = { ...result, date, commit: commitId(), machine: machine() };
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(
    join(RESULTS, `${result.bench}-${date}.json`),
    `${JSON.stringify(stored, undefined, 2)}\n`,
  );
  writeFileSync(join(RESULTS, "README.md"), readme());
}

function machine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
}

function commitId(): string {
  return execFileSync("git", ["rev-parse", "--short", "HEAD"], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  }).trim();
}

function isStored(value: unknown): value is StoredResult {
  return typeof value === "object" && value !== null && "ratios" in value && "machine" in value;
}

/** Every result that is kept, newest first. */
function readme(): string {
  const names = readdirSync(RESULTS).filter((name) => name.endsWith(".json"));
  const results = names
    .map((name): unknown => JSON.parse(readFileSync(join(RESULTS, name), "utf8")))
    .filter(isStored)
    .toSorted((a, b) => b.date.localeCompare(a.date) || a.bench.localeCompare(b.bench));
  const head =
    "# Benchmark results\n\nWritten by `npm run bench -- NAME`. A ratio is ours / peer, measured in the same " +
    "run, alternating, medians; lower is better. `rss` is our peak in MiB.\n";
  return [head, ...results.map(section)].join("\n");
}

function section(result: StoredResult): string {
  const { bench, date, commit, machine } = result;
  const rows = Object.entries(result.ratios).map(([key, ratio]) => {
    const aim = AIMS[`${bench}.${key}`] ?? "";
    return `| ${key} | ${ratio} | ${aim} | ${result.ours[key] ?? ""} | ${result.peer[key] ?? ""} |`;
  });
  return [
    `## ${bench}, ${date}\n`,
    `Commit ${commit}; ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, Node ${machine.node}.\n`,
    "| key | ratio | aim | ours | peer |",
    "|---|---|---|---|---|",
    ...rows,
    "",
    ...result.notes.map((note) => `- ${note}`),
    "",
  ].join("\n");
}
