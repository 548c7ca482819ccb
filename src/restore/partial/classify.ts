import { quoteIdentifier, quoteLiteral } from "../../postgres/index.ts";
import { restoreError } from "../errors.ts";
import { countOf, readOnly } from "./session.ts";
import { keyOf } from "./shape.ts";
import type { TargetTable, UniqueIndex } from "./shape.ts";
import { quoted, refText, staged } from "./stage.ts";
import type { PartialWork, Staged } from "./stage.ts";
import type { RowSample } from "./types.ts";

/**
 * What becomes of each picked row: `i`nserted, `u`pdated, `r`eplaced (an update that no UPDATE can make), left as it is
 * because the `s`ame one stands. Kept in `actions` with a digest of what stood, so that execution can tell whether it
 * still does.
 */
export interface Merging extends Staged {
  readonly target: TargetTable;
  readonly key: UniqueIndex;
  /** Every row of the table in the snapshot was asked for. */
  readonly whole: boolean;
  readonly deleteExtra: boolean;
}

export interface Counts {
  readonly inserts: bigint;
  readonly updates: bigint;
  readonly unchanged: bigint;
}

/** Of rows of the target whose keys are not among the picked ones. */
export interface Extras {
  readonly rows: bigint;
  readonly digest: string;
}

export function merging(
  table: Staged,
  wanted: { readonly whole: boolean; readonly deleteExtra: boolean },
): Merging {
  const { target } = table;
  const key = target === undefined ? undefined : keyOf(target, table.manifest);
  if (target === undefined || key === undefined) {
    throw restoreError("no_key", {
      message: `table ${refText(table)} without a primary key or a unique index over NOT NULL columns`,
    });
  }
  const whole = wanted.whole && table.manifest.condition === undefined;
  return { ...table, target, key, whole, deleteExtra: wanted.deleteExtra && whole };
}

/** The staged row `s` and the standing row `t` are one. */
export function sameKey(table: Merging): string {
  const pairs = table.key.parts.map(({ column, operator }) => {
    const name = column ?? "";
    return `t.${quoteIdentifier(name)} ${operator} s.${staged(table, name)}`;
  });
  return pairs.join(" AND ");
}

function columnsOf(table: Staged): readonly string[] {
  return table.manifest.columns.map(({ name }) => name);
}

/**
 * Byte by byte, as the types hold them: many types have no `=`, and of others two values can be equal that do not read
 * the same. The casts keep the parser from taking it for a comparison of columns.
 */
export function differs(table: Staged, columns: readonly string[] = columnsOf(table)): string {
  const stagedRow = columns.map((column) => `s.${staged(table, column)}`).join(", ");
  const standing = columns.map((column) => `t.${quoteIdentifier(column)}`).join(", ");
  return `(ROW(${stagedRow})::record OPERATOR(pg_catalog.*<>) ROW(${standing})::record)`;
}

export function digest(table: Staged): string {
  const standing = columnsOf(table).map((column) => `t.${quoteIdentifier(column)}`);
  return `hashtextextended(ROW(${standing.join(", ")})::text, 0)`;
}

export async function classify({ session }: PartialWork, table: Merging): Promise<Counts> {
  const { connection } = session;
  await readOnly(connection, () =>
    connection.query(
      `INSERT INTO ${table.actions}
       SELECT s.n, (CASE WHEN t.ctid IS NULL THEN 'i' WHEN ${differs(table)} THEN 'u' ELSE 's' END)::"char",
              CASE WHEN t.ctid IS NOT NULL THEN ${digest(table)} END
         FROM ${table.stage} AS s JOIN ${table.picks} AS k ON k.n = s.n
         LEFT JOIN ONLY ${quoted(table)} AS t ON ${sameKey(table)}`,
    ),
  );
  await connection.query(`ANALYZE ${table.actions}`);
  const count = (action: string): Promise<bigint> =>
    countOf(
      connection,
      `SELECT count(*)::text AS count FROM ${table.actions} WHERE action = '${action}'`,
    );
  return { inserts: await count("i"), updates: await count("u"), unchanged: await count("s") };
}

/** Under the lock: rows that no longer stand as they did when the plan was made. */
export async function countChanged({ session }: PartialWork, table: Merging): Promise<bigint> {
  return await countOf(
    session.connection,
    `SELECT count(*)::text AS count FROM ${table.actions} AS a JOIN ${table.stage} AS s ON s.n = a.n
       LEFT JOIN ONLY ${quoted(table)} AS t ON ${sameKey(table)}
      WHERE a.standing IS DISTINCT FROM CASE WHEN t.ctid IS NOT NULL THEN ${digest(table)} END`,
  );
}

export function isExtra(table: Merging): string {
  return `NOT EXISTS (SELECT FROM ${table.stage} AS s JOIN ${table.picks} AS k ON k.n = s.n WHERE ${sameKey(table)})`;
}

export async function readExtras({ session }: PartialWork, table: Merging): Promise<Extras> {
  const [row] = await session.connection.query<{ rows: string; digest: string }>(
    `SELECT count(*)::text AS rows, coalesce(sum(${digest(table)}::numeric), 0)::text AS digest
       FROM ONLY ${quoted(table)} AS t WHERE ${isExtra(table)}`,
  );
  if (row === undefined)
    throw restoreError("target_refuses", { message: "count without an answer" });
  return { rows: BigInt(row.rows), digest: row.digest };
}

/** `id=17, "part no"=…`, each value cut. */
export function keyText(table: Merging, side: "s" | "t"): string {
  const parts = table.key.parts.map(({ column }) => {
    const name = column ?? "";
    const value = side === "s" ? `s.${staged(table, name)}` : `t.${quoteIdentifier(name)}`;
    return `${quoteLiteral(`${name}=`)} || left(${value}::text, 100)`;
  });
  return `concat_ws(', ', ${parts.join(", ")})`;
}

const SAMPLES = 3;

export async function sampleRows(
  { session }: PartialWork,
  table: Merging,
): Promise<readonly RowSample[]> {
  const { connection } = session;
  const rows = `FROM ${table.actions} AS a JOIN ${table.stage} AS s ON s.n = a.n`;
  const limit = `ORDER BY a.n LIMIT ${SAMPLES}`;
  const inserts = await connection.query<{ key: string }>(
    `SELECT ${keyText(table, "s")} AS key ${rows} WHERE a.action = 'i' ${limit}`,
  );
  const changed = columnsOf(table).map(
    (column) => `CASE WHEN ${differs(table, [column])} THEN ${quoteLiteral(column)}::text END`,
  );
  const updates = await connection.query<{ key: string; columns: string[] }>(
    `SELECT ${keyText(table, "s")} AS key, array_remove(ARRAY[${changed.join(", ")}], NULL) AS columns
       ${rows} JOIN ONLY ${quoted(table)} AS t ON ${sameKey(table)} WHERE a.action IN ('u', 'r') ${limit}`,
  );
  const deletes = table.deleteExtra
    ? await connection.query<{ key: string }>(
        `SELECT ${keyText(table, "t")} AS key FROM ONLY ${quoted(table)} AS t WHERE ${isExtra(table)} LIMIT ${SAMPLES}`,
      )
    : [];
  return [
    ...inserts.map(({ key }): RowSample => ({ action: "insert", key })),
    ...updates.map(({ key, columns }): RowSample => ({ action: "update", key, columns })),
    ...deletes.map(({ key }): RowSample => ({ action: "delete", key })),
  ];
}
