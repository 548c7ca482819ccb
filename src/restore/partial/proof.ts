import { quoteIdentifier } from "../../postgres/index.ts";
import { restoreError } from "../errors.ts";
import { differs, sameKey } from "./classify.ts";
import type { Merging } from "./classify.ts";
import { quoteColumn, refers, rowsOf } from "./closure.ts";
import { countOf } from "./session.ts";
import type { ForeignKey } from "./shape.ts";
import { hasColumns, quoted, refKey, refText, staged } from "./stage.ts";
import type { PartialWork } from "./stage.ts";
import type { StandingOrphans } from "./types.ts";

/**
 * What must be true before the transaction may commit. Triggers did not fire, so nobody else has looked: neither those of
 * foreign keys, NOT VALID or not, nor those that check deferrable constraints.
 */

/** Each once, from and to the tables. */
export function foreignKeysOf(tables: readonly Merging[]): readonly ForeignKey[] {
  const all = tables.flatMap(({ target }) => [...target.outgoing, ...target.incoming]);
  return [...new Map(all.map((foreignKey) => [foreignKey.id, foreignKey])).values()];
}

export function foreignKeyText({ name, child, parent }: ForeignKey): string {
  return `${name} of ${refText(child)} to ${refText(parent)}`;
}

function withoutParent(foreignKey: ForeignKey): string {
  const { columns, parentColumns, operators, parent } = foreignKey;
  const same = parentColumns.map(
    (column, at) =>
      `p.${quoteColumn(column)} ${operators[at] ?? "="} t.${quoteColumn(columns[at] ?? "")}`,
  );
  return `${refers(foreignKey, (column) => `t.${quoteColumn(column)}`)}
    AND NOT EXISTS (SELECT FROM ${rowsOf(parent)} AS p WHERE ${same.join(" AND ")})`;
}

export async function countOrphans(
  work: PartialWork,
  foreignKeys: readonly ForeignKey[],
): Promise<ReadonlyMap<string, bigint>> {
  const counts = new Map<string, bigint>();
  for (const foreignKey of foreignKeys) {
    const sql = `SELECT count(*)::text AS count FROM ${rowsOf(foreignKey.child)} AS t WHERE ${withoutParent(foreignKey)}`;
    counts.set(foreignKey.id, await countOf(work.session.connection, sql));
  }
  return counts;
}

/**
 * Those whose parents are deleted or get other values: only of these can rows lose their parent that we do not write.
 * A key that is not among them has no more orphans afterwards than before, but for rows of ours.
 */
export async function foreignKeysAtRisk(
  work: PartialWork,
  tables: readonly Merging[],
): Promise<readonly ForeignKey[]> {
  const risked: ForeignKey[] = [];
  for (const table of tables) {
    for (const foreignKey of table.target.incoming) {
      if (table.deleteExtra || (await losesValues(work, table, foreignKey)))
        risked.push(foreignKey);
    }
  }
  return risked;
}

async function losesValues(
  work: PartialWork,
  table: Merging,
  { parentColumns }: ForeignKey,
): Promise<boolean> {
  // A column that the snapshot has not is not written.
  const columns = parentColumns.filter((column) => hasColumns(table, [column]));
  if (columns.length === 0) return false;
  const rows = await countOf(
    work.session.connection,
    `SELECT count(*)::text AS count FROM ${table.actions} AS a JOIN ${table.stage} AS s ON s.n = a.n
       JOIN ONLY ${quoted(table)} AS t ON ${sameKey(table)} WHERE a.action IN ('u', 'r') AND ${differs(table, columns)}`,
  );
  return rows > 0n;
}

/** Orphans that stood before are said; one more, or one of ours, and nothing is written. */
export async function proveForeignKeys(
  work: PartialWork,
  tables: readonly Merging[],
  before: ReadonlyMap<string, bigint>,
): Promise<readonly StandingOrphans[]> {
  const foreignKeys = foreignKeysOf(tables);
  const after = await countOrphans(work, foreignKeys);
  const left: StandingOrphans[] = [];
  for (const foreignKey of foreignKeys) {
    const rows = after.get(foreignKey.id) ?? 0n;
    if (rows === 0n) continue;
    const ours = await countOurs(work, tables, foreignKey);
    if (ours > 0n || rows > (before.get(foreignKey.id) ?? rows)) {
      throw restoreError("orphans", {
        message: `${rows} rows without a parent by foreign key ${foreignKeyText(foreignKey)}`,
        subject: { foreignKey: foreignKeyText(foreignKey), rows: rows.toString() },
      });
    }
    left.push({ foreignKey: foreignKeyText(foreignKey), rows });
  }
  return left;
}

async function countOurs(
  work: PartialWork,
  tables: readonly Merging[],
  foreignKey: ForeignKey,
): Promise<bigint> {
  const child = tables.find((table) => refKey(table) === refKey(foreignKey.child));
  if (child === undefined) return 0n;
  const sql = `SELECT count(*)::text AS count FROM ONLY ${quoted(child)} AS t
     JOIN ${child.stage} AS s ON ${sameKey(child)}
     JOIN ${child.actions} AS a ON a.n = s.n AND a.action IN ('i', 'u', 'r') WHERE ${withoutParent(foreignKey)}`;
  return await countOf(work.session.connection, sql);
}

/** As a foreign key's own trigger would: what is referred to cannot go before we are done. */
export async function holdParents(work: PartialWork, tables: readonly Merging[]): Promise<void> {
  const ours = new Set(tables.map(refKey));
  for (const table of tables) {
    for (const foreignKey of table.target.outgoing) {
      if (!hasColumns(table, foreignKey.columns) || ours.has(refKey(foreignKey.parent))) continue;
      const { parent, parentColumns, operators, columns } = foreignKey;
      const same = parentColumns.map(
        (column, at) =>
          `p.${quoteColumn(column)} ${operators[at] ?? "="} s.${staged(table, columns[at] ?? "")}`,
      );
      await work.session.connection.query(
        `SELECT count(*) FROM (SELECT 1 FROM ${rowsOf(parent)} AS p WHERE EXISTS (
           SELECT FROM ${table.stage} AS s JOIN ${table.actions} AS a ON a.n = s.n AND a.action IN ('i', 'u', 'r')
            WHERE ${same.join(" AND ")}) FOR KEY SHARE OF p) AS held`,
      );
    }
  }
}

/** Each restored row stands, and is what the snapshot holds, whatever ran on the way. */
export async function proveRows(work: PartialWork, table: Merging): Promise<void> {
  const others = await countOf(
    work.session.connection,
    `SELECT count(*)::text AS count FROM ${table.actions} AS a JOIN ${table.stage} AS s ON s.n = a.n
       LEFT JOIN ONLY ${quoted(table)} AS t ON ${sameKey(table)} WHERE t.ctid IS NULL OR ${differs(table)}`,
  );
  if (others === 0n) return;
  throw restoreError("merge_unproven", {
    message: `${others} rows of ${refText(table)} that are not what was restored`,
  });
}

/** Deferrable ones are checked by a trigger, which did not fire. */
export async function proveUniques(work: PartialWork, table: Merging): Promise<void> {
  for (const index of table.target.uniques) {
    if (index.immediate) continue;
    const values = index.parts.map(({ expression }) => `(${expression})`);
    const filled = values.map((value) => `${value} IS NOT NULL`).join(" AND ");
    const predicate = index.predicate === null ? "" : ` AND (${index.predicate})`;
    const twice = await countOf(
      work.session.connection,
      `SELECT count(*)::text AS count FROM (
         SELECT FROM ONLY ${quoted(table)} AS ${quoteIdentifier(table.name)} WHERE ${filled}${predicate}
          GROUP BY ${values.join(", ")} HAVING count(*) > 1) AS twice`,
    );
    if (twice === 0n) continue;
    throw restoreError("merge_unproven", {
      message: `${twice} values of ${index.name} of ${refText(table)} that several rows would have`,
    });
  }
}
