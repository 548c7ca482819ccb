import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { GATES } from "./gates.js";
import { handOver } from "./setup/child.js";
import { ROOT } from "./setup/place.js";
import { main } from "./setup/report.js";
import { readyForTests, readyForVersions } from "./setup/setup.js";
import { passes } from "./setup/steps.js";
import { judge, lastLine, total } from "./test-outcome.js";

/**
 * npm test [-- --yes] [--only PROJECT] [--long]: the set-up that is missing, the gates, then every test. The last line
 * is `N passed, N failed, N skipped`; a gate counts as one test.
 *
 * @typedef {import("./test-outcome.js").Outcome} Outcome
 * @typedef {import("./setup/setup.js").Ready} Ready
 */

const PROJECTS = ["unit", "gates", "integration", "conformance", "fault", "e2e"];

/** Asked for by name alone: it fetches servers and clients of five more versions. */
const VERSIONS = "versions";

const { values } = parseArgs({
  options: {
    yes: { type: "boolean", default: false },
    only: { type: "string" },
    long: { type: "boolean", default: false },
  },
});

/** @type {{ passed: number, failed: number, skipped: number } | undefined} */
let counts;
await main(async (signal) => {
  const args = values.yes ? ["--yes"] : [];
  const ready = await (values.only === VERSIONS ? readyForVersions : readyForTests)(args, signal);
  /** @type {Outcome[]} */
  const outcomes = [];
  if (values.only === undefined)
    for (const gate of GATES) outcomes.push(await runGate(gate, ready, signal));
  const projects =
    values.only === undefined
      ? PROJECTS
      : [...PROJECTS, VERSIONS].filter((name) => name === values.only);
  for (const project of projects) {
    signal.throwIfAborted();
    outcomes.push(await runProject(project, ready));
  }
  const findings = outcomes.flatMap(({ failures, findings: others }) => [...failures, ...others]);
  // All to one stream, so that the counts come last, and by name: a log may be cut to its end.
  for (const finding of findings) process.stdout.write(`FAIL  ${finding}\n`);
  if (outcomes.length === 0) throw new Error(`no project is called ${values.only ?? ""}`);
  counts = total(outcomes);
  return counts.failed === 0 ? 0 : 1;
});
if (counts !== undefined) process.stdout.write(`${lastLine(counts)}\n`);

/**
 * @param {import("./gates.js").Gate} gate
 * @param {Ready} ready
 * @param {AbortSignal} signal
 * @returns {Promise<Outcome>}
 */
async function runGate(gate, ready, signal) {
  const passed = await passes(gate, { env: ready.env, signal });
  const findings = passed ? [] : [`gate ${gate.name}`];
  return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0, failures: [], findings };
}

/**
 * @param {string} project
 * @param {Ready} ready
 * @returns {Promise<Outcome>}
 */
async function runProject(project, ready) {
  const folder = mkdtempSync(join(tmpdir(), "sparekeep-test-"));
  try {
    const reportPath = join(folder, "report.json");
    const env = {
      ...ready.env,
      TEST_REQUIRE: PROJECTS.join(","),
      ...(values.long ? { TEST_LONG: "1" } : {}),
    };
    const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportPath}`];
    const args = [vitest, "run", "--project", project, ...reporters];
    const exitCode = await handOver(ready.nodePath, args, { env, cwd: ROOT });
    return judge({
      project,
      required: true,
      minimum: minimumOf(project),
      exitCode,
      isRoot: process.getuid?.() === 0,
      report: readReport(reportPath),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} path
 * @returns {unknown}
 */
function readReport(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}

/** @param {string} project */
function minimumOf(project) {
  /** @type {unknown} */
  const minimums = JSON.parse(readFileSync(join(ROOT, "scripts", "test-minimums.json"), "utf8"));
  /** @type {unknown} */
  const minimum =
    typeof minimums === "object" && minimums !== null ? Reflect.get(minimums, project) : undefined;
  if (typeof minimum !== "number" || minimum < 1)
    throw new Error(`scripts/test-minimums.json holds no minimum for ${project}`);
  return minimum;
}
