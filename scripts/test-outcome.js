/**
 * Counts what Vitest reported, and refuses what a green exit code hides: a required project that skipped a test, and
 * a project that ran fewer tests than it is known to hold.
 *
 * `failures` names each failed test with what it said first; `findings` is what failed and is no test.
 *
 * @typedef {{ passed: number, failed: number, skipped: number, failures: readonly string[],
 *   findings: readonly string[] }} Outcome
 * @typedef {{ status: string, fullName: string, failureMessages?: readonly unknown[] }} TestReport
 * @typedef {{ name: string, status: string, message: string, assertionResults: readonly TestReport[] }} FileReport
 */

/** Ends the name of a test that only root can run; elsewhere its skip is excused. */
export const NEEDS_ROOT = "[needs root]";

/**
 * @param {{ project: string, required: boolean, minimum: number, exitCode: number, isRoot: boolean,
 *   report: unknown }} run `report` is what Vitest's JSON reporter wrote, parsed
 * @returns {Outcome}
 */
export function judge({ project, required, minimum, exitCode, isRoot, report }) {
  const files = filesOf(report);
  if (files === undefined)
    return {
      passed: 0,
      failed: 1,
      skipped: 0,
      failures: [],
      findings: [`${project}: Vitest wrote no readable report`],
    };
  const tests = files.flatMap((file) => file.assertionResults);
  const of = (/** @type {string} */ status) => tests.filter((test) => test.status === status);
  const brokenFiles = files.filter(
    (file) =>
      file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  );
  const skips = tests.filter((test) => test.status !== "passed" && test.status !== "failed");
  const findings = [
    ...brokenFiles.map((file) => `${project}: ${file.name} could not run: ${file.message}`),
    ...forbiddenSkips(skips, required, isRoot).map(
      (name) => `${project}: skipped although required: ${name}`,
    ),
    ...tooFew(project, of("passed").length + of("failed").length, minimum),
  ];
  const failed = of("failed").length + findings.length;
  if (exitCode !== 0 && failed === 0)
    findings.push(`${project}: Vitest ended with ${exitCode} although no test failed`);
  return {
    passed: of("passed").length,
    failed: of("failed").length + findings.length,
    skipped: skips.length,
    failures: of("failed").map((test) => `${project}: ${test.fullName}: ${firstLine(test)}`),
    findings,
  };
}

/** @param {readonly Outcome[]} outcomes */
export function total(outcomes) {
  const sum = (/** @type {"passed" | "failed" | "skipped"} */ key) =>
    outcomes.reduce((count, outcome) => count + outcome[key], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

/** @param {{ passed: number, failed: number, skipped: number }} counts */
export function lastLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** @param {TestReport} test */
function firstLine({ failureMessages }) {
  const message = failureMessages?.[0];
  return typeof message === "string" ? (message.split("\n")[0] ?? "") : "it said nothing";
}

/**
 * @param {readonly TestReport[]} skips
 * @param {boolean} required
 * @param {boolean} isRoot
 */
function forbiddenSkips(skips, required, isRoot) {
  if (!required) return [];
  return skips.map((test) => test.fullName).filter((name) => isRoot || !name.endsWith(NEEDS_ROOT));
}

/**
 * @param {string} project
 * @param {number} ran
 * @param {number} minimum
 */
function tooFew(project, ran, minimum) {
  return ran >= minimum
    ? []
    : [`${project}: ${ran} tests ran, at least ${minimum} must (scripts/test-minimums.json)`];
}

/**
 * @param {unknown} report
 * @returns {readonly FileReport[] | undefined}
 */
function filesOf(report) {
  if (typeof report !== "object" || report === null || !("testResults" in report)) return undefined;
  const { testResults } = report;
  return Array.isArray(testResults) && testResults.every(isFileReport) ? testResults : undefined;
}

/**
 * @param {unknown} value
 * @returns {value is FileReport}
 */
function isFileReport(value) {
  return (
    typeof value === "object" &&
    value !== null &&
    "name" in value &&
    "status" in value &&
    "assertionResults" in value &&
    Array.isArray(value.assertionResults)
  );
}
