import type { NamedTable, TableManifest } from "../../manifest/index.ts";
import { countOf, readOnly } from "./session.ts";
import type { ForeignKey } from "./shape.ts";
import { hasColumns, quoted, refKey, refText, staged } from "./stage.ts";
import type { PartialWork, Staged } from "./stage.ts";

/**
 * The rows that the picked ones cannot be without, and, where asked for, those that cannot be without them. Works on any
 * graph of foreign keys: every pass picks rows that were not picked yet, and the last one picks none.
 */
export interface Relations {
  readonly outgoing: (table: Staged) => readonly ForeignKey[];
  readonly incoming: (table: Staged) => readonly ForeignKey[];
  /** A parent that stands in the target is there. */
  readonly standing: boolean;
  /** Stages a table that nobody named; `undefined` where its rows cannot be used. */
  readonly add: (manifest: TableManifest, because: string) => Promise<Staged | undefined>;
}

export interface Lacking {
  readonly table: Staged;
  readonly foreignKey: ForeignKey;
  readonly rows: bigint;
}

/** Gives what cannot be followed: tables whose rows refer to these, and are not in the snapshot. */
export async function pickChildren(
  work: PartialWork,
  relations: Relations,
): Promise<readonly string[]> {
  const missing = new Set<string>();
  for (let picked = 1n; picked > 0n;) {
    picked = 0n;
    for (const parent of work.tables.values()) {
      for (const foreignKey of relations.incoming(parent)) {
        const because = `rows of it refer to ${refText(parent)} by ${foreignKey.name}`;
        const children = await tablesOf(work, relations, foreignKey.child, because);
        if (children.length === 0) {
          missing.add(
            `${refText(foreignKey.child)}: ${because}, and the snapshot does not hold it`,
          );
        }
        for (const child of children) {
          if (isPartOf(child, foreignKey.columns) && isPartOf(parent, foreignKey.parentColumns)) {
            picked += await pickReferring(work, foreignKey, child, parent);
          }
        }
      }
    }
  }
  return [...missing];
}

const isPartOf = (table: Staged, columns: readonly string[]): boolean => hasColumns(table, columns);

async function pickReferring(
  { session }: PartialWork,
  foreignKey: ForeignKey,
  child: Staged,
  parent: Staged,
): Promise<bigint> {
  const same = matches(foreignKey, child, (column) => `p.${staged(parent, column)}`);
  const picked = await inserted(
    session.connection,
    `INSERT INTO ${child.picks} SELECT s.n, false FROM ${child.stage} AS s
      WHERE NOT EXISTS (SELECT FROM ${child.picks} AS k WHERE k.n = s.n)
        AND EXISTS (SELECT FROM ${parent.stage} AS p JOIN ${parent.picks} AS k ON k.n = p.n
                     WHERE NOT k.added AND ${same})`,
  );
  if (picked > 0n) await session.connection.query(`ANALYZE ${child.picks}`);
  return picked;
}

/** Staged to be looked through, and without a row that is restored: no longer part of the plan. */
export async function dropUnused(work: PartialWork): Promise<void> {
  for (const [key, { because, picks }] of work.tables) {
    if (because === undefined) continue;
    const sql = `SELECT count(*)::text AS count FROM ${picks}`;
    if ((await countOf(work.session.connection, sql)) === 0n) work.tables.delete(key);
  }
}

/** What comes back is still without a parent when everything that the snapshot holds was taken. */
export async function pickParents(
  work: PartialWork,
  relations: Relations,
): Promise<readonly Lacking[]> {
  for (;;) {
    const lacking: Lacking[] = [];
    let picked = 0n;
    for (const table of work.tables.values()) {
      for (const foreignKey of relations.outgoing(table)) {
        const rows = await findLacking(work, relations, foreignKey, table);
        if (rows === 0n) continue;
        lacking.push({ table, foreignKey, rows });
        const because = `${refText(table)} needs rows of it by ${foreignKey.name} (${foreignKey.columns.join(", ")})`;
        for (const parent of await tablesOf(work, relations, foreignKey.parent, because)) {
          if (!isPartOf(parent, foreignKey.parentColumns)) continue;
          picked += await pickNeeded(work, { foreignKey, child: table, parent });
        }
      }
    }
    if (picked === 0n) return lacking;
  }
}

async function findLacking(
  work: PartialWork,
  relations: Relations,
  foreignKey: ForeignKey,
  child: Staged,
): Promise<bigint> {
  if (!isPartOf(child, foreignKey.columns)) return 0n;
  const { connection } = work.session;
  await connection.query(`TRUNCATE ${child.lacking}`);
  const rows = lackingRows(work, relations, foreignKey, child);
  const found = await inserted(connection, `INSERT INTO ${child.lacking} SELECT s.n FROM ${rows}`);
  if (found > 0n) await connection.query(`ANALYZE ${child.lacking}`);
  return found;
}

/** Picked rows of `child`, as `s`, without a parent that stands or is picked. */
export function lackingRows(
  work: PartialWork,
  relations: Pick<Relations, "standing">,
  foreignKey: ForeignKey,
  child: Staged,
): string {
  const { parent, parentColumns } = foreignKey;
  const conditions = [refers(foreignKey, (column) => `s.${staged(child, column)}`)];
  if (relations.standing) {
    const same = matches(foreignKey, child, (column) => `p.${quoteColumn(column)}`);
    conditions.push(`NOT EXISTS (SELECT FROM ${rowsOf(parent)} AS p WHERE ${same})`);
  }
  for (const leaf of leavesOf(work.options.manifest.database.tables, parent)) {
    const table = work.tables.get(refKey(leaf));
    if (table === undefined || !isPartOf(table, parentColumns)) continue;
    const same = matches(foreignKey, child, (column) => `p.${staged(table, column)}`);
    conditions.push(
      `NOT EXISTS (SELECT FROM ${table.stage} AS p JOIN ${table.picks} AS k ON k.n = p.n WHERE ${same})`,
    );
  }
  return `${child.stage} AS s JOIN ${child.picks} AS o ON o.n = s.n WHERE ${conditions.join(" AND ")}`;
}

async function pickNeeded(
  { session }: PartialWork,
  {
    foreignKey,
    child,
    parent,
  }: { readonly foreignKey: ForeignKey; readonly child: Staged; readonly parent: Staged },
): Promise<bigint> {
  const same = matches(foreignKey, child, (column) => `q.${staged(parent, column)}`);
  const picked = await inserted(
    session.connection,
    `INSERT INTO ${parent.picks} SELECT DISTINCT q.n, true
       FROM ${child.lacking} AS l JOIN ${child.stage} AS s ON s.n = l.n JOIN ${parent.stage} AS q ON ${same}
      WHERE NOT EXISTS (SELECT FROM ${parent.picks} AS k WHERE k.n = q.n)`,
  );
  if (picked > 0n) await session.connection.query(`ANALYZE ${parent.picks}`);
  return picked;
}

async function inserted(
  connection: PartialWork["session"]["connection"],
  insert: string,
): Promise<bigint> {
  const sql = `WITH done AS (${insert} RETURNING 1) SELECT count(*)::text AS count FROM done`;
  return await readOnly(connection, () => countOf(connection, sql));
}

/** MATCH SIMPLE refers only where no column is NULL, MATCH FULL where any is not. */
export function refers(
  { columns, matchFull }: Pick<ForeignKey, "columns" | "matchFull">,
  of: (column: string) => string,
): string {
  const filled = columns.map((column) => `${of(column)} IS NOT NULL`);
  return `(${filled.join(matchFull ? " OR " : " AND ")})`;
}

/** The parent's side is named by the caller, the child's is `s`. */
function matches(
  { columns, parentColumns, operators }: ForeignKey,
  child: Staged,
  parentColumn: (column: string) => string,
): string {
  const pairs = parentColumns.map(
    (column, at) =>
      `${parentColumn(column)} ${operators[at] ?? "="} s.${staged(child, columns[at] ?? "")}`,
  );
  return pairs.join(" AND ");
}

export function quoteColumn(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Rows of a plain table are its own alone; those of a partitioned one are its partitions'. */
export function rowsOf(table: NamedTable & { readonly partitioned: boolean }): string {
  return table.partitioned ? quoted(table) : `ONLY ${quoted(table)}`;
}

/** Where the snapshot holds the rows of a table: itself, or its partitions. */
export function leavesOf(
  tables: readonly TableManifest[],
  { schema, name }: NamedTable,
): readonly TableManifest[] {
  return tables.filter(
    (table) =>
      (table.schema === schema && table.name === name) ||
      (table.partitionOf?.schema === schema && table.partitionOf.name === name),
  );
}

async function tablesOf(
  work: PartialWork,
  relations: Relations,
  ref: NamedTable,
  because: string,
): Promise<readonly Staged[]> {
  const found: Staged[] = [];
  for (const leaf of leavesOf(work.options.manifest.database.tables, ref)) {
    const table = work.tables.get(refKey(leaf)) ?? (await relations.add(leaf, because));
    if (table !== undefined) found.push(table);
  }
  return found;
}
