import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { AppError, exitCodeOf, KIND_RULES } from "../../src/kernel/index.ts";
import type { CodeEntry, ErrorKind } from "../../src/kernel/index.ts";

/** One layer's closed code table, as its `errors.ts` exports it. */
export interface CodeTable {
  readonly layer: string;
  readonly codes: Readonly<Record<string, CodeEntry>>;
}

/** Loads the table of every layer that has one; a layer's `errors.ts` without a table is an error. */
export async function loadCodeTables(root: string): Promise<readonly CodeTable[]> {
  const source = join(root, "src");
  const files = readdirSync(source, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .filter((layer) => readdirSync(join(source, layer)).includes("errors.ts"));
  return Promise.all(
    files.map(async (layer) => {
      const module: unknown = await import(
        pathToFileURL(join(source, layer, "errors.ts")).toString()
      );
      const tables = Object.values(module ?? {}).filter(isCodeTable);
      const [table] = tables;
      if (table === undefined || tables.length !== 1 || table.layer !== layer)
        throw new Error(`src/${layer}/errors.ts must export exactly one table, called ${layer}`);
      return table;
    }),
  );
}

export function renderErrorsPage(tables: readonly CodeTable[]): string {
  const sorted = tables.toSorted((a, b) => compare(a.layer, b.layer));
  return [
    "# Errors",
    "",
    "Written by `npm run docs` from the `errors.ts` of each layer. Do not edit.",
    "",
    "An error has a stable code, a kind, a message that says what and which, and mostly a hint that says what to do. The kind alone decides the exit code, the HTTP status and whether the operation is tried again. A run whose outcome is incomplete ends with exit code 3: that is a result, not an error.",
    "",
    ...kindTable(),
    "",
    ...sorted.flatMap(layerTable),
  ].join("\n");
}

function kindTable(): readonly string[] {
  const rows = Object.entries(KIND_RULES).map(
    ([kind, { retry, exitCode, httpStatus }]) =>
      `| ${kind} | ${retry} | ${exitCode} | ${httpStatus} |`,
  );
  return ["| kind | tried again | exit | HTTP |", "|---|---|---|---|", ...rows];
}

function layerTable({ layer, codes }: CodeTable): readonly string[] {
  const rows = Object.entries(codes)
    .toSorted(([a], [b]) => compare(a, b))
    .map(([code, entry]) => row(`${layer}.${code}`, entry));
  const head = ["| code | kind | exit | means | what to do |", "|---|---|---|---|---|"];
  return [`## ${layer}`, "", ...head, ...rows, ""];
}

function row(code: string, { kind, meaning, hint }: CodeEntry): string {
  const cells = [`\`${code}\``, kind, String(exitOf(code, kind)), meaning, hint ?? ""];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function exitOf(code: string, kind: ErrorKind): number {
  return exitCodeOf(new AppError(code, kind, { message: code }));
}

function isCodeTable(value: unknown): value is CodeTable {
  return typeof value === "function" && "layer" in value && "codes" in value;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
