/** What the database holds, from the catalogs as the snapshot sees them. */
import type { Connection } from "../../postgres/index.ts";

export interface Column {
  readonly number: number;
  readonly name: string;
  readonly type: string;
}

export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: "table" | "partitioned" | "foreign";
  readonly unlogged: boolean;
  /** `pg_class.relfilenode` under the snapshot; 0 where there is no file. */
  readonly fileNode: string;
  readonly heap: boolean;
  readonly readable: boolean;
  /** Policies would hide rows from this role. */
  readonly rowSecurity: boolean;
  readonly parents: readonly number[];
  /** Of a partition: the partitioned table above all others that it belongs to. */
  readonly partitionOf?: { readonly schema: string; readonly name: string };
  readonly extension?: string;
  /** Rows of an extension's table that belong to a dump; absent: none do. */
  readonly extensionCondition?: string;
  /** In order, generated ones left out: their values are computed again. */
  readonly columns: readonly Column[];
}

interface RelationRow extends Record<string, unknown> {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly relkind: string;
  readonly unlogged: boolean;
  readonly file_node: string;
  readonly heap: boolean;
  readonly readable: boolean;
  readonly row_security: boolean;
  readonly parents: readonly string[];
  readonly extension: string | null;
  readonly extension_condition: string | null;
}

/** Schemas of the server itself. Temporary tables live in pg_temp schemas, TOAST tables in pg_toast ones. */
const USER_SCHEMA = String.raw`n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'`;

const RELATIONS = `
  SELECT c.oid::int8::float8 AS oid, n.nspname::text AS schema, c.relname::text AS name,
         c.relkind::text, c.relpersistence = 'u' AS unlogged, c.relfilenode::text AS file_node,
         coalesce(am.amname = 'heap', false) AS heap,
         coalesce(has_schema_privilege(n.oid, 'USAGE')
                  AND has_table_privilege(c.oid, 'SELECT'), true) AS readable,
         row_security_active(c.oid) AS row_security,
         ARRAY(SELECT i.inhparent::text FROM pg_inherits i WHERE i.inhrelid = c.oid) AS parents,
         e.extname::text AS extension,
         e.extcondition[array_position(e.extconfig, c.oid)] AS extension_condition
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_am am ON am.oid = c.relam
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                         AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    LEFT JOIN pg_extension e ON e.oid = d.refobjid
   WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' AND ${USER_SCHEMA}
   ORDER BY n.nspname, c.relname`;

const COLUMNS = `
  SELECT a.attrelid::int8::float8 AS oid, a.attnum::int AS number, a.attname::text AS name,
         format_type(a.atttypid, a.atttypmod) AS type
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
     AND c.relkind = 'r' AND c.relpersistence <> 't' AND ${USER_SCHEMA}
   ORDER BY a.attrelid, a.attnum`;

export async function readRelations(session: Connection): Promise<readonly Relation[]> {
  const rows = await session.query<RelationRow>(RELATIONS);
  const columns = await readColumns(session);
  return withRoots(rows.map((row) => relationOf(row, columns.get(row.oid) ?? [])));
}

function withRoots(relations: readonly Relation[]): readonly Relation[] {
  const partitioned = new Map(
    relations.filter(({ kind }) => kind === "partitioned").map((one) => [one.oid, one]),
  );
  const above = (relation: Relation): Relation | undefined =>
    relation.parents.map((oid) => partitioned.get(oid)).find((one) => one !== undefined);
  return relations.map((relation) => {
    let root = above(relation);
    // The catalog has no circles: each step is one level up.
    for (let next = root; next !== undefined; next = above(next)) root = next;
    if (root === undefined) return relation;
    return { ...relation, partitionOf: { schema: root.schema, name: root.name } };
  });
}

async function readColumns(session: Connection): Promise<ReadonlyMap<number, readonly Column[]>> {
  const rows = await session.query<{ oid: number; number: number; name: string; type: string }>(
    COLUMNS,
  );
  const byTable = new Map<number, Column[]>();
  for (const { oid, number, name, type } of rows) {
    const list = byTable.get(oid) ?? [];
    list.push({ number, name, type });
    byTable.set(oid, list);
  }
  return byTable;
}

const KINDS: Readonly<Record<string, Relation["kind"]>> = {
  r: "table",
  p: "partitioned",
  f: "foreign",
};

function relationOf(row: RelationRow, columns: readonly Column[]): Relation {
  return {
    oid: row.oid,
    schema: row.schema,
    name: row.name,
    kind: KINDS[row.relkind] ?? "table",
    unlogged: row.unlogged,
    fileNode: row.file_node,
    heap: row.heap,
    readable: row.readable,
    rowSecurity: row.row_security,
    parents: row.parents.map(Number),
    ...(row.extension === null ? {} : { extension: row.extension }),
    ...(row.extension_condition === null || isLog(row)
      ? {}
      : { extensionCondition: row.extension_condition }),
    columns,
  };
}

/** Marked by its extension as its user's, and yet a record of what ran on this server alone. */
function isLog({ extension, name }: RelationRow): boolean {
  return extension === "pg_cron" && name === "job_run_details";
}

export interface RelationSize {
  readonly heapBytes: number;
  readonly toastBytes: number;
}

const SIZES = `
  SELECT c.oid::int8::float8 AS oid, pg_relation_size(c.oid)::float8 AS heap_bytes,
         coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0)::float8 AS toast_bytes
    FROM pg_class c WHERE c.oid = ANY ($1::oid[])`;

const ESTIMATES = `
  SELECT c.oid::int8::float8 AS oid,
         greatest(c.relpages, 0) * current_setting('block_size')::float8 AS heap_bytes,
         greatest(coalesce(t.relpages, 0), 0) * current_setting('block_size')::float8 AS toast_bytes
    FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
   WHERE c.oid = ANY ($1::oid[])`;

/** Sizes on disk, now. Takes and drops a lock on each, so locked ones are not asked for; a dropped one is left out. */
export function readSizes(
  session: Connection,
  oids: readonly number[],
): Promise<ReadonlyMap<number, RelationSize>> {
  return sizesBy(session, SIZES, oids);
}

/** As of the last VACUUM or ANALYZE; takes no lock. */
export function estimateSizes(
  session: Connection,
  oids: readonly number[],
): Promise<ReadonlyMap<number, RelationSize>> {
  return sizesBy(session, ESTIMATES, oids);
}

async function sizesBy(
  session: Connection,
  sql: string,
  oids: readonly number[],
): Promise<ReadonlyMap<number, RelationSize>> {
  const rows = await session.query<{
    oid: number;
    heap_bytes: number | null;
    toast_bytes: number;
  }>(sql, [oids]);
  const sizes = new Map<number, RelationSize>();
  for (const row of rows) {
    if (row.heap_bytes !== null) {
      sizes.set(row.oid, { heapBytes: row.heap_bytes, toastBytes: row.toast_bytes });
    }
  }
  return sizes;
}

export async function readBlockBytes(session: Connection): Promise<number> {
  const [row] = await session.query<{ size: number }>(
    "SELECT current_setting('block_size')::int AS size",
  );
  return row?.size ?? 8192;
}

export interface CurrentRelation {
  readonly schema: string;
  readonly name: string;
  readonly fileNode: string | undefined;
  readonly columns: ReadonlyMap<number, string>;
}

const CURRENT = `
  SELECT n.nspname::text AS schema, c.relname::text AS name,
         pg_relation_filenode(c.oid)::text AS file_node,
         ARRAY(SELECT a.attnum::text FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                ORDER BY a.attnum) AS numbers,
         ARRAY(SELECT a.attname::text FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                ORDER BY a.attnum) AS names
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.oid = $1::oid`;

/** The table as it is now, outside the snapshot; `undefined` when it is gone. */
export async function readCurrent(
  session: Connection,
  oid: number,
): Promise<CurrentRelation | undefined> {
  const [row] = await session.query<{
    schema: string;
    name: string;
    file_node: string | null;
    numbers: readonly string[];
    names: readonly string[];
  }>(CURRENT, [oid]);
  if (row === undefined) return undefined;
  return {
    schema: row.schema,
    name: row.name,
    fileNode: row.file_node ?? undefined,
    columns: new Map(row.numbers.map((number, i) => [Number(number), row.names[i] ?? ""])),
  };
}
