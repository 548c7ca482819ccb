import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { GATES } from "../../scripts/gates.js";
import { plantProject } from "../support/planted-project.ts";

/** Every gate must be seen to fail: a gate that cannot is worse than none. */

const ROOT = join(import.meta.dirname, "..", "..");

const CLEAN = {
  "src/main.ts": `import { greet } from "./cli/index.ts";\n\ngreet(process.env["NAME"]);\n`,
  "src/cli/index.ts": `export { greet } from "./greet.ts";\n`,
  "src/cli/greet.ts": `export function greet(name: string | undefined): void {\n  console.log(name ?? "you");\n}\n`,
};

function gate(name: string): { tool: string; args: readonly string[] } {
  const found = GATES.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no gate is called ${name}`);
  return found;
}

describe("a clean project", () => {
  test.for(GATES)("passes the gate $name", ({ tool, args }) => {
    using project = plantProject(CLEAN);
    const { code, output } = project.run(tool, args);
    expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" });
  });
});

interface Planted {
  readonly gate: string;
  readonly title: string;
  readonly path: string;
  readonly text: string;
  readonly finding: RegExp;
}

const PLANTED: readonly Planted[] = [
  {
    gate: "types",
    title: "an enum",
    path: "src/cli/greet.ts",
    text: `export enum Colour {\n  Red,\n}\nexport function greet(_: unknown): void {}\n`,
    finding: /TS1294/,
  },
  {
    gate: "types",
    title: "an index that may be undefined",
    path: "src/cli/greet.ts",
    text: `export function greet(_: unknown): string {\n  return ["a"][1];\n}\n`,
    finding: /TS2322/,
  },
  {
    gate: "lint",
    title: "a floating promise",
    path: "src/cli/greet.ts",
    text: `export function greet(_: unknown): void {\n  Promise.resolve(1);\n}\n`,
    finding: /no-floating-promises/,
  },
  {
    gate: "lint",
    title: "a thrown string",
    path: "src/cli/greet.ts",
    text: `export function greet(_: unknown): void {\n  throw "no";\n}\n`,
    finding: /only-throw-error/,
  },
  {
    gate: "lint",
    title: "an unsafe assertion",
    path: "src/cli/greet.ts",
    text: `export function greet(name: unknown): string {\n  return name as string;\n}\n`,
    finding: /no-unsafe-type-assertion/,
  },
  {
    gate: "lint",
    title: "any",
    path: "src/cli/greet.ts",
    text: `export function greet(_: any): void {}\n`,
    finding: /no-explicit-any/,
  },
  {
    gate: "lint",
    title: "a silent catch",
    path: "src/cli/greet.ts",
    text: `export function greet(_: unknown): void {\n  try {\n    console.log(1);\n  } catch {}\n}\n`,
    finding: /no-empty/,
  },
  {
    gate: "lint",
    title: "console outside cli",
    path: "src/kernel/log.ts",
    text: `export function log(): void {\n  console.log(1);\n}\n`,
    finding: /no-console/,
  },
  {
    gate: "lint",
    title: "process.env outside main",
    path: "src/kernel/home.ts",
    text: `export const home = process.env["HOME"];\n`,
    finding: /no-process-env/,
  },
  {
    gate: "lint",
    title: "Date.now outside the clock",
    path: "src/kernel/units.ts",
    text: `export const at = (): number => Date.now();\n`,
    finding: /Take a Clock/,
  },
  {
    gate: "lint",
    title: "Math.random",
    path: "src/kernel/ids.ts",
    text: `export const id = (): number => Math.random();\n`,
    finding: /Take RandomBytes/,
  },
  {
    gate: "lint",
    title: "a timer outside the clock",
    path: "src/kernel/units.ts",
    text: `export const later = (run: () => void): unknown => setTimeout(run, 1);\n`,
    finding: /Take a Clock/,
  },
  {
    gate: "lint",
    title: "a switch that forgets a case",
    path: "src/kernel/units.ts",
    text: `export function of(kind: "a" | "b"): number | undefined {\n  switch (kind) {\n    case "a":\n      return 1;\n  }\n  return undefined;\n}\n`,
    finding: /switch-exhaustiveness-check/,
  },
  {
    gate: "lint",
    title: "a file of more than 400 lines",
    path: "src/kernel/long.ts",
    text: Array.from({ length: 401 }, (_, line) => `export const a${line} = ${line};\n`).join(""),
    finding: /max-lines/,
  },
  {
    gate: "lint",
    title: "a function of more than 80 lines",
    path: "src/kernel/long.ts",
    text: `export function long(add: (n: number) => void): void {\n${"  add(1);\n".repeat(81)}}\n`,
    finding: /max-lines-per-function/,
  },
  {
    gate: "format",
    title: "a badly formatted file",
    path: "src/cli/greet.ts",
    text: `export   function greet( _ : unknown ) : void { }\n`,
    finding: /greet\.ts/,
  },
  {
    gate: "dead code",
    title: "an export that nothing uses",
    path: "src/cli/greet.ts",
    text: `export const unusedThing = 1;\n${CLEAN["src/cli/greet.ts"]}`,
    finding: /unusedThing/,
  },
  {
    gate: "dead code",
    title: "a file that nothing imports",
    path: "src/cli/forgotten.ts",
    text: `export const x = 1;\n`,
    finding: /forgotten\.ts/,
  },
];

describe("a planted violation", () => {
  test.for(PLANTED)("fails the gate $gate: $title", ({ gate: name, path, text, finding }) => {
    using project = plantProject({ ...CLEAN, [path]: text });
    const { tool, args } = gate(name);
    const { code, output } = project.run(tool, args);
    expect(code).not.toBe(0);
    expect(output).toMatch(finding);
  });
});

describe("the lockfile", () => {
  test("holds every package that another one names, those for other platforms included", () => {
    const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
    expect(unresolved(lock.packages)).toEqual([]);
    const { "node_modules/oxlint": gone, ...cut } = lock.packages;
    expect(gone.version).toMatch(/^\d/);
    expect(unresolved(cut)).toContain(" needs oxlint");
  });

  test("pins every package of ours to one version", () => {
    const own = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const versions = Object.values({ ...own.dependencies, ...own.devDependencies });
    expect(versions.length).toBeGreaterThan(10);
    expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(String(version)))).toEqual([]);
  });
});

interface Locked {
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

/** npm resolves a name from the package's own node_modules upwards. */
function unresolved(packages: Readonly<Record<string, Locked>>): readonly string[] {
  return Object.entries(packages).flatMap(([path, locked]) =>
    Object.keys({
      ...locked.dependencies,
      ...locked.optionalDependencies,
      ...(path === "" ? locked.devDependencies : {}),
    })
      .filter((name) => !places(path).some((place) => `${place}node_modules/${name}` in packages))
      .map((name) => `${path} needs ${name}`),
  );
}

function places(path: string): readonly string[] {
  const parts = path.split("/node_modules/");
  const above = parts.map((_, index) => `${parts.slice(0, index + 1).join("/node_modules/")}/`);
  return path === "" ? [""] : ["", ...above];
}
