import type { TableManifest } from "../manifest/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { quoteIdentifier, quoteQualified } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import type { Work } from "./context.ts";
import { restoreError } from "./errors.ts";
import { MARKER_SCHEMA } from "./ledger.ts";

/**
 * A table of the platform that is older than the source's was: the columns that both have get their rows, read as text
 * and cast to what the project's columns are. What is lost is said; a row hash cannot be compared.
 */
export interface Shared {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly missing: readonly string[];
}

const COLUMNS = `
SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute AS a
 WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`;

/** `undefined`: the table has every column of the snapshot's, or is not there at all. */
export async function sharedColumns(
  connection: Connection,
  table: TableManifest,
): Promise<Shared | undefined> {
  const name = quoteQualified(table.schema, table.name);
  const found = await connection.query<{ name: string; type: string }>(COLUMNS, [name]);
  const types = new Map(found.map((column) => [column.name, column.type]));
  const missing = table.columns.flatMap((column) => (types.has(column.name) ? [] : column.name));
  if (types.size === 0 || missing.length === 0) return undefined;
  const columns = table.columns.flatMap((column) => {
    const type = types.get(column.name);
    return type === undefined ? [] : { name: column.name, type };
  });
  return { columns, missing };
}

/** In the ledger: a column that had values. */
const LOST = "lost:";
const INCOMING = "pg_temp.sparekeep_incoming";

/** In the caller's transaction. Gives the number of rows. */
export async function copyShared(
  work: Work,
  connection: Connection,
  table: TableManifest,
  { columns, missing }: Shared,
  rows: { readonly file: AsyncIterable<Bytes>; readonly signal: AbortSignal },
): Promise<bigint> {
  const object = `TABLE ${table.schema}.${table.name}`;
  if (table.format === "binary") {
    throw restoreError("object_refused", {
      message: `${object} stored in binary, and without ${missing.join(", ")} at the target`,
      hint: "Restore into a project of the source's version.",
    });
  }
  const all = table.columns.map(({ name }) => `${quoteIdentifier(name)} text`);
  await connection.query(
    `DROP TABLE IF EXISTS ${INCOMING}; CREATE TEMP TABLE sparekeep_incoming (${all.join(", ")}) ON COMMIT DROP`,
  );
  const count = await connection.copyIn(`COPY ${INCOMING} FROM STDIN`, rows.file, {
    signal: rows.signal,
  });
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(", ");
  const values = columns.map(({ name, type }) => `${quoteIdentifier(name)}::${type}`).join(", ");
  await connection.query(
    `INSERT INTO ${quoteQualified(table.schema, table.name)} (${names}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM ${INCOMING}`,
  );
  for (const column of await columnsWithValues(connection, missing)) {
    await work.ledger.record(connection, `${LOST}${JSON.stringify([object, column])}`);
  }
  return count;
}

async function columnsWithValues(
  connection: Connection,
  columns: readonly string[],
): Promise<readonly string[]> {
  const counts = columns.map((name) => `count(${quoteIdentifier(name)}) > 0`).join(", ");
  const [row] = await connection.query<{ filled: readonly boolean[] }>(
    `SELECT ARRAY[${counts}] AS filled FROM ${INCOMING}`,
  );
  return columns.filter((_, at) => row?.filled[at] !== false);
}

/** From what was recorded with the rows: also where an earlier run of this restore loaded them. */
export async function tellLost(work: Work): Promise<void> {
  const rows = await work.builder.query<{ object: string; name: string }>(
    `SELECT lost ->> 0 AS object, lost ->> 1 AS name
       FROM (SELECT substr(item, ${LOST.length + 1})::json AS lost FROM ${MARKER_SCHEMA}.done
              WHERE starts_with(item, '${LOST}') ORDER BY item) AS found`,
  );
  for (const { object, name } of rows) {
    work.issues.push({
      code: "columns_missing",
      object,
      message: `column ${name} is not in this project's table, its values were left out`,
      hint: "Have the project upgraded and restore again, or read them with `sparekeep dump`.",
    });
  }
}
