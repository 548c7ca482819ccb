import { dirname, posix } from "node:path";
import { parseSync, Visitor } from "oxc-parser";

/**
 * The import table of the design (docs/ARCHITECTURE.md): what each layer may import besides the kernel. An import of a
 * type counts like any other.
 */
const FOUNDATION = [
  "policy",
  "manifest",
  "objectstore",
  "postgres",
  "supabase",
  "program",
  "secrets",
];
const CAPTURE = [
  "policy",
  "manifest",
  "repository",
  "postgres",
  "objectstore",
  "supabase",
  "program",
];
const BELOW_OPERATION = [
  ...FOUNDATION,
  "repository",
  "state",
  "source",
  "restore",
  "drill",
  "access",
  "schedule",
  "monitor",
  "evidence",
];

export const LAYERS: ReadonlyMap<string, readonly string[]> = new Map([
  ["kernel", []],
  ...FOUNDATION.map((layer): [string, readonly string[]] => [layer, []]),
  // pg_dump and its kin are outside programs too: docs/adr/0014-portable-dumps.md
  ["postgres", ["program"]],
  ["repository", ["objectstore"]],
  ["state", ["postgres"]],
  ["source", CAPTURE],
  ["restore", CAPTURE],
  ["drill", ["policy", "manifest", "restore", "repository", "postgres", "program"]],
  ["access", ["policy", "state"]],
  ["schedule", ["policy", "state"]],
  ["monitor", ["policy", "state"]],
  ["evidence", ["policy", "state"]],
  ["operation", BELOW_OPERATION],
  ["cli", ["policy", "operation"]],
  ["server", ["policy", "operation", "access", "schedule", "monitor", "evidence"]],
]);

/** Doors besides a layer's own `index.ts`; those of `testing` open for tests only. */
const SIDE_DOORS = ["src/server/contract/index.ts"];
const TEST_DOORS = ["src/objectstore/testing/index.ts"];

const CLOCK = "src/kernel/clock.ts";
const MAIN = "src/main.ts";

export interface Findings {
  /** Imports between files that were judged; none means that the test saw nothing. */
  readonly edges: number;
  readonly violations: readonly string[];
}

/** Judges source files, given as repository path → text. */
export function judgeArchitecture(files: ReadonlyMap<string, string>): Findings {
  const violations: string[] = [];
  let edges = 0;
  for (const [path, text] of files) {
    const parsed = readFile(path, text);
    violations.push(...parsed.misuses.map((misuse) => `${path}: ${misuse}`));
    const strange = unknownPlace(path);
    if (strange !== undefined) violations.push(`${path}: ${strange}`);
    for (const specifier of parsed.imports) {
      if (!specifier.startsWith(".")) continue;
      edges += 1;
      const target = posix.join(dirname(path), specifier);
      const wrong = judgeImport(path, target);
      if (wrong !== undefined) violations.push(`${path}: imports ${target}: ${wrong}`);
    }
  }
  return { edges, violations };
}

function unknownPlace(path: string): string | undefined {
  if (!path.startsWith("src/") || path === MAIN || layerOf(path) !== undefined) return undefined;
  // Ambient declarations belong to the whole program and hold no code.
  if (/^src\/[^/]+\.d\.ts$/.test(path)) return undefined;
  return "lies outside the layers of the design";
}

function judgeImport(from: string, target: string): string | undefined {
  const isTest = isTestFile(from);
  if (from.startsWith("src/") && !target.startsWith("src/") && !isTest)
    return "src imports only from src";
  const to = layerOf(target);
  if (to === undefined) return target === MAIN ? "nothing imports the composition root" : undefined;
  const own = layerOf(from);
  if (own === to) return judgeOwnLayer(from, target, isTest);
  const door = `src/${to}/index.ts`;
  const doors = [door, ...SIDE_DOORS, ...(isTest ? TEST_DOORS : [])];
  if (!doors.includes(target)) return `another layer is entered through ${door}`;
  if (own === undefined || isTest) return judgeOutsider(from, target);
  const allowed = LAYERS.get(own) ?? [];
  return to === "kernel" || allowed.includes(to) ? undefined : `${own} may not import ${to}`;
}

function judgeOwnLayer(from: string, target: string, isTest: boolean): string | undefined {
  if (isTest) return undefined;
  if (TEST_DOORS.includes(target) || /\/testing\//.test(target) !== /\/testing\//.test(from))
    return /\/testing\//.test(target) ? "testing is for tests" : undefined;
  return /^src\/[^/]+\/index\.ts$/.test(target)
    ? "inside a layer, files import each other directly"
    : undefined;
}

/** The composition root, tests, the demo, the benchmarks and scripts may enter every layer, by its door. */
function judgeOutsider(from: string, target: string): string | undefined {
  return from.startsWith("web/") && !SIDE_DOORS.includes(target)
    ? "web imports src/server/contract alone"
    : undefined;
}

function isTestFile(path: string): boolean {
  return (
    path.endsWith(".test.ts") || path.startsWith("test/") || /^src\/[^/]+\/testing\//.test(path)
  );
}

function layerOf(path: string): string | undefined {
  const name = /^src\/([^/]+)\//.exec(path)?.[1];
  return name !== undefined && LAYERS.has(name) ? name : undefined;
}

interface Read {
  readonly imports: readonly string[];
  readonly misuses: readonly string[];
}

function readFile(path: string, text: string): Read {
  const parsed = parseSync(path, text);
  const broken = parsed.errors[0];
  if (broken !== undefined) return { imports: [], misuses: [`does not parse: ${broken.message}`] };
  const imports = new Set<string>();
  const misuses: string[] = [];
  const product = path.startsWith("src/") && !isTestFile(path);
  new Visitor({
    ImportDeclaration: (node) => void imports.add(node.source.value),
    ExportAllDeclaration: (node) => void imports.add(node.source.value),
    ExportNamedDeclaration: (node) => {
      if (node.source !== null) imports.add(node.source.value);
    },
    ImportExpression: (node) => {
      if (node.source.type === "Literal" && typeof node.source.value === "string")
        imports.add(node.source.value);
      else if (product) misuses.push("imports a module whose name is computed");
    },
    TSImportType: (node) => void imports.add(node.source.value),
    NewExpression: (node) => {
      const { callee } = node;
      if (callee.type !== "Identifier") return;
      if (callee.name === "URL") addModuleUrl(node.arguments, imports);
      if (callee.name === "Date" && node.arguments.length === 0 && product && path !== CLOCK)
        misuses.push("reads the time: take a Clock (src/kernel/clock.ts)");
    },
    MemberExpression: (node) => {
      if (product && path !== MAIN && isProcessEnv(node))
        misuses.push(`reads process.env: only ${MAIN} does`);
    },
  }).visit(parsed.program);
  if (product && path !== MAIN && importsEnv(parsed))
    misuses.push(`reads process.env: only ${MAIN} does`);
  return { imports: [...imports], misuses };
}

/** `new URL("./worker.ts", import.meta.url)` loads a module as an import does. */
function addModuleUrl(args: readonly unknown[], imports: Set<string>): void {
  const first = args[0];
  if (typeof first !== "object" || first === null || !("value" in first)) return;
  if (typeof first.value === "string" && /^\.\.?\/.*\.[jt]s$/.test(first.value))
    imports.add(first.value);
}

function isProcessEnv(node: { object: unknown; property: unknown }): boolean {
  return named(node.object, "process") && (named(node.property, "env") || literal(node.property));
}

function named(node: unknown, name: string): boolean {
  return typeof node === "object" && node !== null && "name" in node && node.name === name;
}

function literal(node: unknown): boolean {
  return typeof node === "object" && node !== null && "value" in node && node.value === "env";
}

function importsEnv(parsed: ReturnType<typeof parseSync>): boolean {
  return parsed.module.staticImports.some(
    (entry) =>
      /^(node:)?process$/.test(entry.moduleRequest.value) &&
      entry.entries.some((imported) => imported.importName.name === "env"),
  );
}
