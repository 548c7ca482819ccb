import { describe, expect, test } from "vitest";
import { EVERY_RUN } from "../../scripts/setup/postgres-servers.js";
import { setupPlace } from "../support/setup-place.ts";
import type { Ended, SetupPlace } from "../support/setup-place.ts";

/** `npm test` and `npm run check` over tools that do as the test says. */

const PROGRAMS = ["initdb", "pg_ctl", "postgres", "pg_dump", "pg_restore", "psql"];
const GREEN = {
  unit: ["passed", "passed"],
  gates: ["passed"],
  integration: ["passed"],
  conformance: ["passed"],
  fault: ["passed"],
  e2e: ["passed"],
};

/** Writes the report that the scenario wants for the project that it was asked for. */
const VITEST = `
import { readFileSync, writeFileSync } from "node:fs";
const project = process.argv[process.argv.indexOf("--project") + 1];
const path = process.argv.find((argument) => argument.startsWith("--outputFile.json="))?.slice(18);
const statuses = JSON.parse(readFileSync("scenario.json", "utf8"))[project];
if (statuses === undefined) process.exit(7);
const assertionResults = statuses.map((status, index) => ({ status, fullName: project + " " + index }));
const testResults = [{ name: "a.test.ts", status: "passed", message: "", assertionResults }];
writeFileSync(path, JSON.stringify({ testResults }));
process.stdout.write("required " + process.env.TEST_REQUIRE + " with " + process.env.SPAREKEEP_PG_BIN + "\\n");
process.exit(statuses.includes("failed") ? 1 : 0);
`;

function readyPlace(scenario: Readonly<Record<string, readonly string[]>>): SetupPlace {
  const place = setupPlace();
  const lock = JSON.stringify({ lockfileVersion: 3, packages: {} });
  place.write("package-lock.json", lock);
  place.write("node_modules/.package-lock.json", lock);
  place.write("node_modules/vitest/vitest.mjs", VITEST);
  place.write("scenario.json", JSON.stringify(scenario));
  place.write(
    "scripts/test-minimums.json",
    JSON.stringify({ unit: 2, gates: 1, integration: 1, conformance: 1, fault: 1, e2e: 1 }),
  );
  for (const name of PROGRAMS) place.fake(name, `echo "postgres (PostgreSQL) 15.1"`);
  for (const tool of ["tsc", "oxlint", "oxfmt", "knip", "vitest"]) tooling(place, tool, "exit 0");
  for (const program of ["age", "age-keygen"]) place.fake(program, "exit 1");
  place.fake("../.tools/postgres-servers/13/bin/postgres", "exit 0");
  place.fake("../.tools/postgres-servers/14/bin/postgres", "exit 0");
  place.fake("../lib/pg_cron.so", "exit 0");
  place.fake("pgbouncer", "exit 0");
  place.fake("restic", `echo "restic 0.14.0 compiled with go"`);
  place.fake("../.tools/restic/0.18.0/usr/bin/restic", `echo "restic 0.18.0 compiled with go"`);
  for (const major of EVERY_RUN)
    place.fake(`../.tools/postgres-servers/${major}/bin/postgres`, "exit 1");
  place.fake("rest-server", `echo "rest-server 0.14.0 compiled with go"`);
  place.fake("rclone", `echo "rclone v1.60.1-DEV"`);
  return place;
}

function tooling(place: SetupPlace, tool: string, script: string): void {
  place.fake(`../node_modules/.bin/${tool}`, script);
}

function lastLineOf({ output }: Ended): string {
  return output.trimEnd().split("\n").at(-1) ?? "";
}

describe("npm test", () => {
  async function run(
    scenario: Readonly<Record<string, readonly string[]>>,
    change: (place: SetupPlace) => void = () => {},
    args: readonly string[] = [],
  ): Promise<Ended> {
    using place = readyPlace(scenario);
    change(place);
    return await place.run("scripts/test.js", args);
  }

  test("is green when every gate and every test is, and ends in one plain line", async () => {
    const ended = await run(GREEN);
    expect(lastLineOf(ended)).toBe("11 passed, 0 failed, 0 skipped");
    expect(ended.code).toBe(0);
    expect(ended.output).toMatch(/required .*integration,conformance,fault,e2e with \/.*\/bin\n/);
  });

  test("fails on a failed test, and still runs the others", async () => {
    const ended = await run({ ...GREEN, integration: ["failed", "passed"] });
    expect(lastLineOf(ended)).toBe("11 passed, 1 failed, 0 skipped");
    expect(ended.code).toBe(1);
  });

  test.for(["fault", "e2e", "conformance", "integration"])(
    "fails on a skip in %s",
    async (name) => {
      const ended = await run({ ...GREEN, [name]: ["passed", "skipped"] });
      expect(ended.output).toContain(`FAIL  ${name}: skipped although required: ${name} 1`);
      expect(lastLineOf(ended)).toBe("11 passed, 1 failed, 1 skipped");
      expect(ended.code).toBe(1);
    },
  );

  test("fails when a project ran no test", async () => {
    const ended = await run({ ...GREEN, conformance: [] });
    expect(ended.output).toContain("conformance: 0 tests ran, at least 1 must");
    expect(ended.code).toBe(1);
  });

  test("fails when a project ran fewer tests than it holds", async () => {
    const ended = await run({ ...GREEN, unit: ["passed"] });
    expect(ended.output).toContain("unit: 1 tests ran, at least 2 must");
    expect(ended.code).toBe(1);
  });

  test("fails when Vitest broke down without a report", async () => {
    const ended = await run({ ...GREEN }, (place) => {
      const { fault: _, ...others } = GREEN;
      place.write("scenario.json", JSON.stringify(others));
    });
    expect(ended.output).toContain("fault: Vitest wrote no readable report");
    expect(ended.code).toBe(1);
  });

  test("fails on a gate, and shows what it said", async () => {
    const ended = await run(GREEN, (place) => tooling(place, "knip", "echo unusedThing; exit 1"));
    expect(ended.output).toContain("unusedThing");
    expect(lastLineOf(ended)).toBe("10 passed, 1 failed, 0 skipped");
    expect(ended.code).toBe(1);
  });

  test("runs one project when asked, and refuses one that does not exist", async () => {
    expect(lastLineOf(await run(GREEN, undefined, ["--only", "fault"]))).toBe(
      "1 passed, 0 failed, 0 skipped",
    );
    const ended = await run(GREEN, undefined, ["--only", "nothing"]);
    expect(ended.output).toContain("no project is called nothing");
    expect(ended.code).toBe(1);
  });
});

describe("npm run check", () => {
  test.for(["tsc", "oxlint", "oxfmt", "knip", "vitest"])("fails when %s does", async (tool) => {
    using place = readyPlace(GREEN);
    expect((await place.run("scripts/check.js")).code).toBe(0);
    tooling(place, tool, `echo "${tool} says no"; exit 3`);
    const { code, output } = await place.run("scripts/check.js");
    expect(code).toBe(1);
    expect(output).toContain(`${tool} says no`);
    expect(output.match(/^FAIL/gm)).toHaveLength(1);
    expect(output.match(/^ok/gm)).toHaveLength(4);
  });
});
