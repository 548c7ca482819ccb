import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { judge, lastLine, NEEDS_ROOT, total } from "../../scripts/test-outcome.js";
import { plantProject } from "../support/planted-project.ts";

const RUN = { project: "fault", required: true, minimum: 1, exitCode: 0, isRoot: true };

function reportOf(...statuses: readonly string[]): unknown {
  const assertionResults = statuses.map((status, index) => ({ status, fullName: `case ${index}` }));
  return { testResults: [{ name: "a.test.ts", status: "passed", message: "", assertionResults }] };
}

describe("the outcome of a project", () => {
  test("counts what passed", () => {
    const outcome = judge({ ...RUN, report: reportOf("passed", "passed") });
    expect(outcome).toEqual({ passed: 2, failed: 0, skipped: 0, failures: [], findings: [] });
  });

  test("fails on a failed test, and names it with the first line that it said", () => {
    const failed = { status: "failed", fullName: "keeps it", failureMessages: ["not kept\n  at"] };
    const outcome = judge({
      ...RUN,
      exitCode: 1,
      report: {
        testResults: [
          {
            name: "a.test.ts",
            status: "failed",
            message: "",
            assertionResults: [failed, { status: "passed", fullName: "x" }],
          },
        ],
      },
    });
    expect(outcome).toMatchObject({ passed: 1, failed: 1, findings: [] });
    expect(outcome.failures).toEqual(["fault: keeps it: not kept"]);
  });

  test("names a failed test that said nothing", () => {
    const outcome = judge({ ...RUN, exitCode: 1, report: reportOf("failed") });
    expect(outcome.failures).toEqual(["fault: case 0: it said nothing"]);
  });

  test.for(["skipped", "pending", "todo", "disabled"])(
    "fails on a required test that is %s",
    (status) => {
      const outcome = judge({ ...RUN, report: reportOf("passed", status) });
      expect(outcome).toMatchObject({ passed: 1, failed: 1, skipped: 1 });
      expect(outcome.findings).toEqual(["fault: skipped although required: case 1"]);
    },
  );

  test("lets a test be skipped where the project is not required", () => {
    const outcome = judge({ ...RUN, required: false, report: reportOf("passed", "skipped") });
    expect(outcome).toMatchObject({ failed: 0, skipped: 1 });
  });

  test("excuses a test that needs root from other users alone", () => {
    const skipped = { status: "skipped", fullName: `mounts a full disk ${NEEDS_ROOT}` };
    const passed = { status: "passed", fullName: "x" };
    const report = {
      testResults: [
        { name: "a", status: "passed", message: "", assertionResults: [passed, skipped] },
      ],
    };
    expect(judge({ ...RUN, isRoot: false, report }).failed).toBe(0);
    expect(judge({ ...RUN, isRoot: true, report }).failed).toBe(1);
  });

  test("fails when fewer tests ran than must", () => {
    const outcome = judge({ ...RUN, minimum: 3, report: reportOf("passed", "passed", "skipped") });
    expect(outcome.findings).toContain(
      "fault: 2 tests ran, at least 3 must (scripts/test-minimums.json)",
    );
    expect(judge({ ...RUN, report: { testResults: [] } }).failed).toBe(1);
  });

  test("fails on a file that could not run", () => {
    const broken = { name: "b.test.ts", status: "failed", message: "no", assertionResults: [] };
    const outcome = judge({ ...RUN, minimum: 0, exitCode: 1, report: { testResults: [broken] } });
    expect(outcome.findings).toEqual(["fault: b.test.ts could not run: no"]);
  });

  test("fails when Vitest failed with every test green", () => {
    expect(judge({ ...RUN, exitCode: 1, report: reportOf("passed") }).failed).toBe(1);
  });

  test.for([undefined, null, "", {}, { testResults: 1 }, { testResults: [{}] }])(
    "fails when the report is %j",
    (report) => {
      expect(judge({ ...RUN, report })).toMatchObject({ passed: 0, failed: 1 });
    },
  );

  test("ends in one plain line", () => {
    const sum = total([
      judge({ ...RUN, report: reportOf("passed", "passed") }),
      judge({ ...RUN, report: reportOf("passed", "skipped") }),
    ]);
    expect(lastLine(sum)).toBe("3 passed, 1 failed, 1 skipped");
  });

  test("understands what Vitest really writes", () => {
    using project = plantProject({
      "a.test.ts": `import { describe, expect, test } from "vitest";
test("one", () => expect(1).toBe(1));
test.skip("two", () => {});
test.skipIf(true)("three", () => {});
describe.skip("four", () => { test("five", () => {}); });
test.todo("six");
`,
      "vitest.config.ts": "export default {};\n",
    });
    const path = join(project.folder, "report.json");
    const { code } = project.run("vitest", ["run", "--reporter=json", `--outputFile=${path}`]);
    const outcome = judge({
      ...RUN,
      exitCode: code,
      report: JSON.parse(readFileSync(path, "utf8")),
    });
    expect(outcome).toMatchObject({ passed: 1, failed: 4, skipped: 4 });
    expect(outcome.findings[0]).toContain("two");
  });
});
