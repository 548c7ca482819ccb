import type { AppError } from "../../kernel/index.ts";
import type { ConvertedTable, Manifest, TableFormat, TableManifest } from "../../manifest/index.ts";
import { nearest, parseTableName, tableNameText } from "../../policy/index.ts";
import type { TableName } from "../../policy/index.ts";
import { operationError } from "../errors.ts";

export type ExportFormat = "csv" | "jsonl" | "sql";

export interface ExportChoice {
  readonly tables: readonly string[];
  /** Of one table; all where left out. They stand in the table's order. */
  readonly columns?: readonly string[];
  readonly format: ExportFormat;
  /** SQL as INSERT statements in place of COPY blocks. */
  readonly inserts: boolean;
}

export interface ChosenTable {
  readonly manifest: TableManifest;
  readonly converted: ConvertedTable;
  readonly format: TableFormat;
}

export function tableFormat({ format, inserts }: ExportChoice): TableFormat {
  if (format !== "sql") return format;
  return inserts ? "insert" : "copy";
}

/** What can be refused without looking into the repository. */
export function readNames({
  tables,
  columns,
  format,
  inserts,
}: ExportChoice): readonly TableName[] {
  if (inserts && format !== "sql") {
    throw optionError("INSERT statements asked of another format than SQL", "Add --format sql.");
  }
  const names = new Map<string, TableName>();
  for (const text of tables) {
    const name = parseTableName(text);
    if (name === undefined) {
      throw optionError(
        `${JSON.stringify(text)}, which is no name of a table`,
        "Write TABLE or SCHEMA.TABLE; a part that holds a dot or a quote stands in double quotes: '\"a.b\".c'.",
      );
    }
    names.set(tableNameText(name), name);
  }
  if (names.size === 0) throw optionError("an export of no table", "Name one with --table.");
  if (columns !== undefined && names.size > 1) {
    throw optionError("columns of several tables", "Name one table, or leave --columns out.");
  }
  return [...names.values()];
}

function optionError(message: string, hint: string): AppError {
  return operationError("export_option", { message, hint });
}

/** Every table that was named, or an error before anything is written. */
export function chooseTables(
  manifest: Manifest,
  names: readonly TableName[],
  choice: ExportChoice,
): readonly ChosenTable[] {
  const tables = new Set(names.flatMap((name) => tablesNamed(manifest, name)));
  return [...tables].map((table) => {
    const name = { schema: table.schema, name: table.name };
    if (table.format === "binary") {
      throw operationError("export_binary", {
        message: `table ${tableNameText(name)}, which is stored as COPY binary: it holds values that text cannot carry`,
        subject: { table: tableNameText(name) },
      });
    }
    const { schema, columns } = table;
    const converted = { schema, name: table.name, columns };
    const { columns: asked } = choice;
    return {
      manifest: table,
      converted:
        asked === undefined ? converted : { ...converted, wanted: columnsOf(table, asked) },
      format: tableFormat(choice),
    };
  });
}

/** A name of a limited point may stand for partitions or children. */
export function tablesNamed(manifest: Manifest, name: TableName): readonly TableManifest[] {
  const { tables, limitedTo } = manifest.database;
  const isNamed = (one: TableName) => (table: TableName) =>
    table.schema === one.schema && table.name === one.name;
  const meant = limitedTo?.named.find(isNamed(name))?.tables ?? [name];
  const found = meant.flatMap((one) => tables.filter(isNamed(one)));
  return found.length > 0 ? found : [tableNotThere(manifest, name)];
}

function tableNotThere({ database }: Manifest, { schema, name }: TableName): never {
  const wanted = tableNameText({ schema, name });
  const meant = nearest(wanted, database.tables.map(tableNameText));
  const left = database.leftTo?.find((one) =>
    [one, ...one.tables].some((table) => table.schema === schema && table.name === name),
  );
  const why =
    left !== undefined
      ? `: its plan leaves the rows to plan ${left.plan}`
      : database.limitedTo === undefined
        ? ""
        : ": its plan captures some tables alone";
  throw operationError("table_not_in_snapshot", {
    message: `table ${wanted}, which the snapshot does not hold${why}`,
    subject: { table: wanted },
    ...(left === undefined
      ? hintOf(meant, database)
      : { hint: `Export it with --plan ${left.plan}, and --destination where that plan's is.` }),
  });
}

function hintOf(
  meant: string | undefined,
  { limitedTo }: Manifest["database"],
): { readonly hint?: string } {
  if (meant !== undefined) return { hint: `Write ${meant}.` };
  if (limitedTo === undefined) return {};
  return {
    hint: "Choose a point of another plan, by its id or with --plan; `sparekeep snapshots` lists them.",
  };
}

function columnsOf(table: TableManifest, asked: readonly string[]): ReadonlySet<string> {
  const known = table.columns.map(({ name }) => name);
  for (const column of asked) {
    if (known.includes(column)) continue;
    const meant = nearest(column, known);
    throw optionError(
      `column ${JSON.stringify(column)}, which table ${tableNameText(table)} does not have in the snapshot`,
      meant === undefined
        ? `Choose from: ${known.join(", ")} (generated columns are not stored).`
        : `Write ${meant}.`,
    );
  }
  return new Set(asked);
}
