import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { describe, expect, test } from "vitest";
import { judgeArchitecture, LAYERS } from "./support/architecture.ts";

const ROOT = join(import.meta.dirname, "..");
const FOLDERS = ["src", "test", "demo", "bench", "scripts"];

describe("the import table", () => {
  test("holds for every file", () => {
    const files = new Map(FOLDERS.flatMap(filesBelow));
    const { edges, violations } = judgeArchitecture(files);
    expect(violations).toEqual([]);
    // A parser that understands nothing would find no violation either.
    expect(edges).toBeGreaterThan(files.size);
    expect([...files.keys()].filter((path) => path.startsWith("src/")).length).toBeGreaterThan(50);
  });

  test("lets every layer that exists be known", () => {
    const present = readdirSync(join(ROOT, "src"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
    expect(present.filter((name) => !LAYERS.has(name))).toEqual([]);
  });
});

describe("it bites", () => {
  const planted: readonly { title: string; path: string; text: string; finding: string }[] = [
    {
      title: "an import upwards",
      path: "src/objectstore/fs.ts",
      text: `import { openRepository } from "../repository/index.ts";`,
      finding: "objectstore may not import repository",
    },
    {
      title: "a type from above",
      path: "src/postgres/connect.ts",
      text: `import type { Policy } from "../policy/index.ts";`,
      finding: "postgres may not import policy",
    },
    {
      title: "source and restore touching",
      path: "src/source/database/capture.ts",
      text: `export { planRestore } from "../../restore/index.ts";`,
      finding: "source may not import restore",
    },
    {
      title: "an export of everything",
      path: "src/kernel/index.ts",
      text: `export * from "../postgres/index.ts";`,
      finding: "kernel may not import postgres",
    },
    {
      title: "a layer entered past its door",
      path: "src/repository/writer.ts",
      text: `import { put } from "../objectstore/fs.ts";`,
      finding: "entered through src/objectstore/index.ts",
    },
    {
      title: "an import() of a type",
      path: "src/cli/render.ts",
      text: `export type S = import("../repository/index.ts").Snapshot;`,
      finding: "cli may not import repository",
    },
    {
      title: "an import at run time",
      path: "src/access/chain.ts",
      text: `export const load = () => import("../operation/index.ts");`,
      finding: "access may not import operation",
    },
    {
      title: "a module whose name is computed",
      path: "src/access/chain.ts",
      text: `export const load = (name: string) => import(name);`,
      finding: "name is computed",
    },
    {
      title: "a worker of another layer",
      path: "src/source/database/capture.ts",
      text: `new Worker(new URL("../../repository/seal-worker.ts", import.meta.url));`,
      finding: "entered through src/repository/index.ts",
    },
    {
      title: "a layer that imports its own door",
      path: "src/repository/writer.ts",
      text: `import { x } from "./index.ts";`,
      finding: "files import each other directly",
    },
    {
      title: "a test that enters another layer past its door",
      path: "src/repository/writer.test.ts",
      text: `import { put } from "../objectstore/fs.ts";`,
      finding: "entered through src/objectstore/index.ts",
    },
    {
      title: "the product using what is for tests",
      path: "src/repository/writer.ts",
      text: `import { faulty } from "../objectstore/testing/index.ts";`,
      finding: "entered through src/objectstore/index.ts",
    },
    {
      title: "the product importing the tests' support",
      path: "src/repository/writer.ts",
      text: `import { x } from "../../test/support/cluster.ts";`,
      finding: "src imports only from src",
    },
    {
      title: "something that imports the composition root",
      path: "src/cli/run.ts",
      text: `import "../main.ts";`,
      finding: "nothing imports the composition root",
    },
    {
      title: "web entering the server",
      path: "web/app.ts",
      text: `import { routes } from "../src/server/index.ts";`,
      finding: "web imports src/server/contract alone",
    },
    {
      title: "a file outside the layers",
      path: "src/tools/x.ts",
      text: `export const x = 1;`,
      finding: "outside the layers",
    },
    {
      title: "process.env",
      path: "src/postgres/connect.ts",
      text: `export const home = process.env.HOME;`,
      finding: "reads process.env",
    },
    {
      title: "process.env under an import",
      path: "src/postgres/connect.ts",
      text: `import { env } from "node:process"; export const home = env.HOME;`,
      finding: "reads process.env",
    },
    {
      title: "the time",
      path: "src/postgres/connect.ts",
      text: `export const at = new Date();`,
      finding: "reads the time",
    },
    {
      title: "a file that does not parse",
      path: "src/postgres/connect.ts",
      text: `import from {`,
      finding: "does not parse",
    },
  ];

  test.for(planted)("on $title", ({ path, text, finding }) => {
    const { violations } = judgeArchitecture(new Map([[path, text]]));
    expect(violations).toHaveLength(1);
    expect(violations[0]).toContain(path);
    expect(violations[0]).toContain(finding);
  });

  test("and not on what is allowed", () => {
    const allowed = new Map([
      ["src/repository/writer.ts", `import type { ObjectStore } from "../objectstore/index.ts";`],
      ["src/main.ts", `import { run } from "./cli/index.ts"; run(process.env, new Date(0));`],
      ["src/kernel/clock.ts", `export const now = () => new Date();`],
      ["src/repository/x.test.ts", `import { faulty } from "../objectstore/testing/index.ts";`],
      ["src/repository/y.test.ts", `import { x } from "./index/table.ts";`],
      ["test/fault/crash.test.ts", `import { backup } from "../../src/operation/index.ts";`],
      ["web/app.ts", `import type { Run } from "../src/server/contract/index.ts";`],
    ]);
    expect(judgeArchitecture(allowed)).toEqual({ edges: 6, violations: [] });
  });
});

function filesBelow(folder: string): [string, string][] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|js)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [relative(ROOT, path).split(sep).join("/"), readFileSync(path, "utf8")]);
}
