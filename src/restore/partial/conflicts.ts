import type { TableManifest } from "../../manifest/index.ts";
import { quoteIdentifier } from "../../postgres/index.ts";
import { keyText, isExtra, differs, sameKey } from "./classify.ts";
import type { Merging } from "./classify.ts";
import { lackingRows } from "./closure.ts";
import type { Lacking } from "./closure.ts";
import { countOf, onRolesPath, readOnly } from "./session.ts";
import type { TargetTable, UniqueIndex } from "./shape.ts";
import { hasColumns, quoted, refText, staged, underOwnNames } from "./stage.ts";
import type { PartialWork, Staged } from "./stage.ts";
import type { MergeConflict } from "./types.ts";

/** What would keep the rows of the snapshot from standing beside what stands, found before anything is written. */

const SAMPLES = 3;

/** Of the tables themselves; with one of these their rows are not looked at. */
export function shapeConflicts(
  manifest: TableManifest,
  target: TargetTable,
): readonly MergeConflict[] {
  const table = refText(manifest);
  const found = new Map(target.columns.map((column) => [column.name, column]));
  const conflict = (code: MergeConflict["code"], message: string): MergeConflict => ({
    code,
    table,
    message,
    samples: [],
  });
  const conflicts = manifest.columns.flatMap(({ name, type }): MergeConflict[] => {
    const column = found.get(name);
    if (column === undefined) {
      return [conflict("column_missing", `column ${name} of the snapshot is not in the table`)];
    }
    if (column.generated) return [conflict("type_changed", `column ${name} is generated now`)];
    if (column.type === type) return [];
    return [conflict("type_changed", `column ${name} was ${type} and is ${column.type}`)];
  });
  const known = new Set(manifest.columns.map(({ name }) => name));
  for (const column of target.columns) {
    if (known.has(column.name) || column.generated || !column.notNull || column.filled) continue;
    conflicts.push(
      conflict(
        "column_added",
        `column ${column.name} is newer than the snapshot, NOT NULL and without a default`,
      ),
    );
  }
  return conflicts;
}

export async function rowConflicts(
  work: PartialWork,
  table: Merging,
): Promise<readonly MergeConflict[]> {
  await planReplacements(work, table);
  return [
    ...(await nullsRefused(work, table)),
    ...(await checksRefused(work, table)),
    ...(await uniquesTaken(work, table)),
    ...(await changedByNeed(work, table)),
    ...(await identitiesDiffering(work, table)),
  ];
}

/** Before rows are compared by it: two staged rows of one key would be one row of the target. */
export async function keyConflicts(
  work: PartialWork,
  table: Merging,
): Promise<readonly MergeConflict[]> {
  const columns = table.key.parts
    .map(({ column }) => `s.${staged(table, column ?? "")}`)
    .join(", ");
  const groups = `SELECT min(s.n) AS n FROM ${table.stage} AS s JOIN ${table.picks} AS k ON k.n = s.n
    GROUP BY ${columns} HAVING count(*) > 1`;
  return await conflictOf(work, table, {
    code: "key_not_unique",
    message: `keys of ${table.key.name} that several rows of the snapshot have`,
    rows: groups,
  });
}

/** Rows that would be written. */
const WRITTEN = "a.action IN ('i', 'u', 'r')";

function writtenRows(table: Merging): string {
  return `${table.stage} AS s JOIN ${table.actions} AS a ON a.n = s.n AND ${WRITTEN}`;
}

async function nullsRefused(work: PartialWork, table: Merging): Promise<readonly MergeConflict[]> {
  const columns = table.target.columns.filter(
    ({ name, notNull }) => notNull && hasColumns(table, [name]),
  );
  const found: MergeConflict[] = [];
  for (const { name } of columns) {
    const rows = `SELECT s.n FROM ${writtenRows(table)} WHERE s.${staged(table, name)} IS NULL`;
    const message = `column ${name} is NOT NULL now`;
    found.push(...(await conflictOf(work, table, { code: "null_refused", message, rows })));
  }
  return found;
}

async function checksRefused(work: PartialWork, table: Merging): Promise<readonly MergeConflict[]> {
  const found: MergeConflict[] = [];
  for (const { name, expression, columns } of table.target.checks) {
    if (!hasColumns(table, columns)) continue;
    const number = numberName(table);
    const rows = `SELECT ${number} AS n FROM (
      SELECT s.n AS ${number}, ${underOwnNames(table)} FROM ${writtenRows(table)}
    ) AS ${quoteIdentifier(table.name)} WHERE NOT (${expression})`;
    const message = `constraint ${name} does not hold for them`;
    found.push(...(await conflictOf(work, table, { code: "check_refused", message, rows })));
  }
  return found;
}

/** A name that neither the snapshot's nor the target's columns have. */
function numberName({ manifest, target }: Merging): string {
  const taken = new Set([...manifest.columns, ...target.columns].map(({ name }) => name));
  let name = "sparekeep_n";
  while (taken.has(name)) name += "_";
  return quoteIdentifier(name);
}

async function uniquesTaken(work: PartialWork, table: Merging): Promise<readonly MergeConflict[]> {
  const found: MergeConflict[] = [];
  for (const index of table.target.uniques) {
    if (index.name === table.key.name || !hasColumns(table, index.columns)) continue;
    const rows = takenRows(table, index);
    const message = `unique index ${index.name}: another row of the target has their values`;
    found.push(...(await conflictOf(work, table, { code: "unique_taken", message, rows })));
  }
  return found;
}

/**
 * A row that an UPDATE cannot bring to what it was is deleted and inserted: one whose value others take (the server checks
 * unique indexes row by row), one whose identity differs. Where deletes would cascade, or columns be lost that the
 * snapshot has not, these stay conflicts.
 */
async function planReplacements({ session }: PartialWork, table: Merging): Promise<void> {
  const known = new Set(table.manifest.columns.map(({ name }) => name));
  const loses = table.target.columns.some(({ name, generated }) => !known.has(name) && !generated);
  if (!session.replica || loses) return;
  const rows = table.target.uniques
    .filter((index) => index.name !== table.key.name && hasColumns(table, index.columns))
    .map(
      (index) => `SELECT o.n FROM (${collisions(table, index)}) AS found
       JOIN ${table.stage} AS s ON true JOIN ${table.actions} AS o ON o.n = s.n AND o.action = 'u'
       JOIN ONLY ${quoted(table)} AS t ON t.ctid = found.place AND ${sameKey(table)}`,
    );
  const identities = differingIdentities(table);
  if (identities !== undefined) rows.push(identities);
  for (const some of rows) {
    await readOnly(session.connection, () =>
      onRolesPath(session, () =>
        session.connection.query(
          `UPDATE ${table.actions} AS a SET action = 'r' WHERE a.n IN (${some})`,
        ),
      ),
    );
  }
}

/** Both sides by the index's own expressions, over the columns that these name. */
function collisions(table: Merging, index: UniqueIndex): string {
  const number = numberName(table);
  const values = index.parts.map(({ expression }, at) => `(${expression}) AS e${at}`).join(", ");
  const where = index.predicate === null ? "" : ` WHERE ${index.predicate}`;
  const name = quoteIdentifier(table.name);
  const incoming = `SELECT ${number} AS n, ${values} FROM (
    SELECT s.n AS ${number}, ${underOwnNames(table)} FROM ${writtenRows(table)}) AS ${name}${where}`;
  const standing = `SELECT ctid AS place, ${values} FROM ONLY ${quoted(table)} AS ${name}${where}`;
  const same = index.parts.map(({ operator }, at) => `l.e${at} ${operator} r.e${at}`);
  return `SELECT l.n, r.place FROM (${incoming}) AS l JOIN (${standing}) AS r ON ${same.join(" AND ")}
    JOIN ${table.stage} AS s ON s.n = l.n
    JOIN ONLY ${quoted(table)} AS t ON t.ctid = r.place WHERE NOT (${sameKey(table)})`;
}

/** Where the row that has the value stays as it is. */
function takenRows(table: Merging, index: UniqueIndex): string {
  const goes = table.deleteExtra ? ` AND NOT (${isExtra(table)})` : "";
  return `SELECT found.n FROM (${collisions(table, index)}) AS found
    JOIN ONLY ${quoted(table)} AS t ON t.ctid = found.place
   WHERE NOT EXISTS (SELECT FROM ${table.stage} AS s JOIN ${table.actions} AS o ON o.n = s.n AND o.action = 'r'
                      WHERE ${sameKey(table)})${goes}`;
}

/** A row that only a foreign key asked for is brought back where it is missing, and never changed where it stands. */
async function changedByNeed(work: PartialWork, table: Merging): Promise<readonly MergeConflict[]> {
  const rows = `SELECT k.n FROM ${table.picks} AS k JOIN ${table.actions} AS a ON a.n = k.n
    WHERE k.added AND a.action <> 'i'`;
  const message = "rows that others need stand under their keys with other values";
  return await conflictOf(work, table, { code: "parent_differs", message, rows });
}

/** Only INSERT can give a GENERATED ALWAYS AS IDENTITY column a value. */
function differingIdentities(table: Merging): string | undefined {
  const columns = identityColumns(table);
  if (columns.length === 0) return undefined;
  return `SELECT s.n FROM ${table.stage} AS s
    JOIN ${table.actions} AS o ON o.n = s.n AND o.action = 'u'
    JOIN ONLY ${quoted(table)} AS t ON ${sameKey(table)} WHERE ${differs(table, columns)}`;
}

function identityColumns(table: Merging): readonly string[] {
  return table.target.columns
    .filter(({ name, identityAlways }) => identityAlways && hasColumns(table, [name]))
    .map(({ name }) => name);
}

async function identitiesDiffering(
  work: PartialWork,
  table: Merging,
): Promise<readonly MergeConflict[]> {
  const rows = differingIdentities(table);
  if (rows === undefined) return [];
  const columns = identityColumns(table).join(", ");
  const message = `column ${columns} is GENERATED ALWAYS, and no UPDATE can set it back`;
  return await conflictOf(work, table, { code: "identity_differs", message, rows });
}

/** What neither the target nor the snapshot has a parent for. */
export async function parentConflicts(
  work: PartialWork,
  lacking: readonly Lacking[],
  keyOf: (table: Staged) => string,
  standing: boolean,
): Promise<readonly MergeConflict[]> {
  const { connection } = work.session;
  const found: MergeConflict[] = [];
  for (const { table, foreignKey, rows } of lacking) {
    const samples = await connection.query<{ key: string }>(
      `SELECT ${keyOf(table)} AS key FROM ${lackingRows(work, { standing }, foreignKey, table)} LIMIT ${SAMPLES}`,
    );
    found.push({
      code: "parent_missing",
      table: refText(table),
      message: `foreign key ${foreignKey.name}: rows of ${refText(foreignKey.parent)} that ${standing ? "neither the target nor the snapshot has" : "the snapshot does not have"}`,
      rows,
      samples: samples.map(({ key }) => key),
    });
  }
  return found;
}

async function conflictOf(
  { session }: PartialWork,
  table: Merging,
  found: {
    readonly code: MergeConflict["code"];
    readonly message: string;
    /** SELECT of staged row numbers, as `n`. */
    readonly rows: string;
  },
): Promise<readonly MergeConflict[]> {
  const { connection } = session;
  const look = async (): Promise<readonly MergeConflict[]> => {
    const sql = `SELECT count(DISTINCT n)::text AS count FROM (${found.rows}) AS found`;
    const rows = await countOf(connection, sql);
    if (rows === 0n) return [];
    const samples = await connection.query<{ key: string }>(
      `SELECT ${keyText(table, "s")} AS key FROM ${table.stage} AS s
        WHERE s.n IN (${found.rows}) ORDER BY s.n LIMIT ${SAMPLES}`,
    );
    const { code, message } = found;
    return [{ code, table: refText(table), message, rows, samples: samples.map(({ key }) => key) }];
  };
  return await readOnly(connection, () => onRolesPath(session, look));
}
