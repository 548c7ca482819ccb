import { AppError } from "../../kernel/index.ts";
import { quoteIdentifier } from "../../postgres/index.ts";
import { restoreError } from "../errors.ts";
import { countOf, onRolesPath, readOnly } from "./session.ts";
import { refText, staged, underOwnNames } from "./stage.ts";
import type { PartialWork, Staged } from "./stage.ts";
import type { ChosenTable, RowChoice } from "./types.ts";

/** Which staged rows are restored: all, those of named keys, those of a condition. */

export interface KeyColumn {
  readonly column: string;
  readonly operator: string;
}

/** Keys of one choice that were found, over all partitions that share it. */
export type FoundKeys = Map<RowChoice, bigint>;

export async function pickChosen(
  work: PartialWork,
  table: Staged,
  { rows }: ChosenTable,
  key: readonly KeyColumn[] | undefined,
  found: FoundKeys,
): Promise<void> {
  if (rows === undefined) await pickAll(work, table);
  if (rows?.keys !== undefined) {
    const before = found.get(rows) ?? 0n;
    found.set(rows, before + (await pickKeys(work, table, rows.keys, key)));
  }
  if (rows?.condition !== undefined) await pickCondition(work, table, rows.condition);
  await work.session.connection.query(`ANALYZE ${table.picks}`);
}

async function pickAll({ session }: PartialWork, { stage, picks }: Staged): Promise<void> {
  await session.connection.query(`INSERT INTO ${picks} SELECT n, false FROM ${stage}`);
}

async function pickKeys(
  { session }: PartialWork,
  table: Staged,
  keys: readonly (readonly string[])[],
  columns: readonly KeyColumn[] | undefined,
): Promise<bigint> {
  if (columns === undefined) {
    throw restoreError("no_key", {
      message: `table ${refText(table)} without a key to name rows by`,
    });
  }
  const wrong = keys.find((values) => values.length !== columns.length);
  if (wrong !== undefined) {
    throw restoreError("key_mismatch", {
      message: `key of ${wrong.length} values for table ${refText(table)}, whose key is ${columns.map(({ column }) => column).join(", ")}`,
    });
  }
  const { connection } = session;
  const types = await typesOf(session, table, columns);
  const same = columns.map(
    ({ column, operator }, at) =>
      `s.${staged(table, column)} ${operator} (k.item ->> ${at})::${types[at] ?? "text"}`,
  );
  const rows = `FROM json_array_elements($1::json) AS k(item) JOIN ${table.stage} AS s ON ${same.join(" AND ")}`;
  const values = [JSON.stringify(keys)];
  try {
    await readOnly(connection, () =>
      connection.query(
        `INSERT INTO ${table.picks} SELECT DISTINCT s.n, false ${rows} ON CONFLICT DO NOTHING`,
        values,
      ),
    );
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "postgres.statement_failed") throw thrown;
    throw restoreError("key_mismatch", {
      message: `key of ${refText(table)}: ${thrown.message}`,
      cause: thrown,
    });
  }
  return await countOf(
    connection,
    `SELECT count(DISTINCT k.item::text)::text AS count ${rows}`,
    values,
  );
}

async function typesOf(
  { connection }: PartialWork["session"],
  table: Staged,
  columns: readonly KeyColumn[],
): Promise<readonly string[]> {
  const rows = await connection.query<{ name: string; type: string }>(
    `SELECT attname::text AS name, format_type(atttypid, NULL) AS type FROM pg_attribute WHERE attrelid = $1::regclass`,
    [table.stage],
  );
  const types = new Map(rows.map((row) => [row.name, row.type]));
  return columns.map(({ column }) => types.get(staged(table, column)) ?? "text");
}

/**
 * The user's own SQL, on the staged rows alone: one expression (the extended protocol takes no second statement), in a
 * READ ONLY transaction, as the role that the user named.
 */
async function pickCondition(
  { session }: PartialWork,
  table: Staged,
  condition: string,
): Promise<void> {
  const { connection } = session;
  const rows = `SELECT n AS ${rowNumber(table)}, ${underOwnNames(table)} FROM ${table.stage}`;
  const sql = `INSERT INTO ${table.picks}
SELECT picked.${rowNumber(table)}, false FROM (
  SELECT * FROM (${rows}) AS ${quoteIdentifier(table.name)} WHERE $1::text IS NOT NULL AND (
${condition}
)) AS picked
ON CONFLICT DO NOTHING`;
  try {
    await readOnly(connection, () => onRolesPath(session, () => connection.query(sql, ["all"])));
  } catch (thrown) {
    if (!(thrown instanceof AppError) || !REFUSED.has(thrown.code)) throw thrown;
    throw restoreError("condition_refused", {
      message: `condition on ${refText(table)}: ${thrown.message}`,
      cause: thrown,
    });
  }
}

const REFUSED: ReadonlySet<string> = new Set([
  "postgres.statement_failed",
  "postgres.relation_not_found",
  "postgres.permission_denied",
]);

/** A name that no column of the table has. */
function rowNumber({ manifest }: Staged): string {
  let name = "sparekeep_n";
  while (manifest.columns.some((column) => column.name === name)) name += "_";
  return quoteIdentifier(name);
}

/** A key that was named and is not in the snapshot is a mistake, not nothing to do. */
export function requireAllFound(found: FoundKeys): void {
  for (const [choice, count] of found) {
    const asked = new Set((choice.keys ?? []).map((key) => JSON.stringify(key))).size;
    if (count >= BigInt(asked)) continue;
    throw restoreError("key_not_found", {
      message: `${asked - Number(count)} of ${asked} keys of ${refText(choice.table)} that the snapshot does not hold`,
    });
  }
}
