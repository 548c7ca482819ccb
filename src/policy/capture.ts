import { z } from "zod";
import { nearest } from "./nearest.ts";
import type { Capture } from "./policy.ts";
import { parseTableName, tableNameText } from "./table-name.ts";
import type { TableName } from "./table-name.ts";

/** `everything`, `schema`, `pg_dump`, or `{ tables: [orders, "sales.items"], formats: [csv, json] }`. */

const SHAPE = 'Write "everything", "schema", "pg_dump", or { tables: [orders, "sales.items"] }.';
const NAME =
  'Write TABLE or "SCHEMA.TABLE"; a part that holds a dot or a quote stands in double quotes: \'"a.b".c\'.';
const FORMATS = ["csv", "json"] as const;
type Format = (typeof FORMATS)[number];

type Refuse = (
  path: readonly (string | number)[],
  input: unknown,
  message: string,
  fix: string,
) => undefined;

export const capture = z.unknown().transform((value, context): Capture | "pg_dump" => {
  let refused = false;
  const refuse: Refuse = (path, input, message, fix) => {
    refused = true;
    context.issues.push({ code: "custom", path: [...path], message, params: { fix }, input });
    return undefined;
  };
  const read =
    value === "everything" || value === "schema" || value === "pg_dump"
      ? value
      : readTables(value, refuse);
  return read === undefined || refused ? z.NEVER : read;
});

function readTables(value: unknown, refuse: Refuse): Capture | undefined {
  if (typeof value === "string") {
    const message = `${JSON.stringify(value.slice(0, 60))}, which is not known`;
    return refuse([], value, message, SHAPE);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse([], value, "no capture", SHAPE);
  }
  const fields: Readonly<Record<string, unknown>> = { ...value };
  for (const key of Object.keys(fields)) {
    if (key === "tables" || key === "formats") continue;
    const meant = nearest(key, ["tables", "formats"]);
    const fix = meant === undefined ? SHAPE : `Write "${meant}".`;
    refuse([key], fields[key], "an unknown key", fix);
  }
  const tables = readNames(fields["tables"], refuse);
  const formats = readFormats(fields["formats"], refuse);
  return tables === undefined || formats === undefined ? undefined : { tables, formats };
}

function readNames(value: unknown, refuse: Refuse): readonly TableName[] | undefined {
  if (!Array.isArray(value) || value.length === 0) {
    return refuse(value === undefined ? [] : ["tables"], value ?? null, "no list of tables", SHAPE);
  }
  const names = new Map<string, TableName>();
  for (const [index, text] of value.entries()) {
    const name = typeof text === "string" ? parseTableName(text) : undefined;
    if (name === undefined) {
      refuse(["tables", index], text, "no name of a table", NAME);
    } else if (names.has(tableNameText(name))) {
      refuse(["tables", index], text, "a table that stands twice", "Remove one of the two.");
    } else names.set(tableNameText(name), name);
  }
  return [...names.values()];
}

function readFormats(value: unknown, refuse: Refuse): readonly Format[] | undefined {
  if (value === undefined) return [];
  const fix = "Write any of: csv, json.";
  if (!Array.isArray(value)) return refuse(["formats"], value, "no list of formats", fix);
  const formats = new Set<Format>();
  for (const [index, item] of value.entries()) {
    const format = FORMATS.find((one) => one === item);
    if (format === undefined) refuse(["formats", index], item, "no known format", fix);
    else formats.add(format);
  }
  return [...formats];
}
