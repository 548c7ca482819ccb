import type { AppError } from "../../kernel/index.ts";
import type { Manifest, TableManifest } from "../../manifest/index.ts";
import { parseTableName, tableNameText } from "../../policy/index.ts";
import type { TableName } from "../../policy/index.ts";
import type { ChosenTable, RowChoice } from "../../restore/index.ts";
import { operationError } from "../errors.ts";
import { tablesNamed } from "../export/choose.ts";

/** What of a snapshot is named on the command line: tables, keys of their rows, conditions on them. */
export interface NamedRows {
  /** `TABLE` or `SCHEMA.TABLE`: all rows, unless a key or a condition names some. */
  readonly tables: readonly string[];
  /** `TABLE=17,18`, or `TABLE=["a", "b"]` and `TABLE=[["a", 1], ["b", 2]]` as JSON. */
  readonly keys: readonly string[];
  /** `TABLE=SQL`. */
  readonly conditions: readonly string[];
}

/** Every table that is named, each once; refuses what can be refused without looking into the repository. */
export function readRowNames(named: NamedRows): readonly TableName[] {
  const names = new Map<string, TableName>();
  const add = (name: TableName): void => void names.set(tableNameText(name), name);
  for (const text of named.tables) add(readName(text));
  for (const text of named.keys) {
    const { table, rest } = splitAtEquals(text, "--key");
    readKeys(rest);
    add(table);
  }
  for (const text of named.conditions) add(splitAtEquals(text, "--where").table);
  if (names.size === 0) throw optionError("rows of no table", "Name one with --table.");
  return [...names.values()];
}

export function chooseRows(
  manifest: Manifest,
  names: readonly TableName[],
  named: NamedRows,
): readonly ChosenTable[] {
  const chosen = new Map<TableManifest, ChosenTable>();
  for (const name of names) {
    const rows = choiceOf(name, named);
    for (const table of partsNamed(manifest, name)) {
      chosen.set(table, rows === undefined ? { table } : { table, rows });
    }
  }
  return [...chosen.values()];
}

/** A partitioned table stands for its partitions. */
function partsNamed(manifest: Manifest, name: TableName): readonly TableManifest[] {
  const parts = manifest.database.tables.filter(
    ({ partitionOf }) => partitionOf?.schema === name.schema && partitionOf.name === name.name,
  );
  return parts.length > 0 ? parts : tablesNamed(manifest, name);
}

function choiceOf(table: TableName, { keys, conditions }: NamedRows): RowChoice | undefined {
  const named = (texts: readonly string[], option: string): readonly string[] =>
    texts
      .map((text) => splitAtEquals(text, option))
      .filter((split) => tableNameText(split.table) === tableNameText(table))
      .map((split) => split.rest);
  const allKeys = named(keys, "--key").flatMap(readKeys);
  const parts = named(conditions, "--where").map((condition) => `(\n${condition}\n)`);
  if (allKeys.length === 0 && parts.length === 0) return undefined;
  return {
    table,
    ...(allKeys.length === 0 ? {} : { keys: allKeys }),
    ...(parts.length === 0 ? {} : { condition: parts.join(" OR ") }),
  };
}

function readName(text: string): TableName {
  const name = parseTableName(text);
  if (name !== undefined) return name;
  throw optionError(
    `${JSON.stringify(text)}, which is no name of a table`,
    "Write TABLE or SCHEMA.TABLE; a part that holds a dot, a quote or an equals sign stands in double quotes: '\"a.b\".c'.",
  );
}

const BEFORE_EQUALS = /^((?:"(?:[^"]|"")*"|[^"=])+)=([\s\S]*)$/;

function splitAtEquals(text: string, option: string): { table: TableName; rest: string } {
  const match = BEFORE_EQUALS.exec(text);
  const [, name = "", rest = ""] = match ?? [];
  if (match === null || rest.trim() === "") {
    throw optionError(
      `${option} ${JSON.stringify(text)}`,
      option === "--key"
        ? "Write TABLE=VALUE,VALUE, or JSON after the equals sign."
        : "Write TABLE=CONDITION, for example 'orders=total > 100'.",
    );
  }
  return { table: readName(name.trim()), rest };
}

/** Values as PostgreSQL reads them, a row for each key. Numbers of JSON stand as they are written only up to 2^53. */
export function readKeys(text: string): readonly (readonly string[])[] {
  if (!text.trimStart().startsWith("[")) {
    return text.split(",").map((value) => [value.trim()]);
  }
  const json = parseJson(text);
  if (!Array.isArray(json)) throw keyError(text);
  return json.map((item: unknown) =>
    Array.isArray(item) ? item.map((one: unknown) => valueOf(one, text)) : [valueOf(item, text)],
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw operationError("rows_option", {
      message: `--key ${JSON.stringify(text)}, which is no JSON`,
      hint: 'Write ["a", "b"], or [["a", 1], ["b", 2]] where the key has two columns.',
      cause,
    });
  }
}

function valueOf(item: unknown, text: string): string {
  if (typeof item === "string") return item;
  if (typeof item === "boolean") return String(item);
  if (typeof item === "number" && (!Number.isInteger(item) || Number.isSafeInteger(item))) {
    return String(item);
  }
  throw keyError(text);
}

function keyError(text: string): AppError {
  return optionError(
    `--key ${JSON.stringify(text)}: a value that is neither text, a number up to 2^53, true nor false`,
    "Write larger numbers as text.",
  );
}

function optionError(message: string, hint: string): AppError {
  return operationError("rows_option", { message, hint });
}
