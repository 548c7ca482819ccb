import { AppError } from "../../kernel/index.ts";
import type { NamedTable, TableManifest } from "../../manifest/index.ts";
import { restoreError } from "../errors.ts";
import { loadArchive } from "../archive/load.ts";
import { dropUnused, pickChildren, pickParents } from "./closure.ts";
import type { Lacking, Relations } from "./closure.ts";
import { readDefinitions } from "./definitions.ts";
import type { Definitions, ForeignKeyDefinition } from "./definitions.ts";
import { buildSchema } from "./build-schema.ts";
import type { SideTable } from "./build-schema.ts";
import { pickChosen, requireAllFound } from "./select.ts";
import type { FoundKeys, KeyColumn } from "./select.ts";
import { countOf } from "./session.ts";
import type { PartialSession } from "./session.ts";
import type { ForeignKey } from "./shape.ts";
import { openWork, refKey, refText, stagedBytes, stageTable } from "./stage.ts";
import type { PartialWork, Staged } from "./stage.ts";
import type { PartialOptions, PartialPlan, PlannedTable } from "./types.ts";

/** Rows of the snapshot beside what stands, in tables of their own: no existing object is touched. */
export async function planIntoSchema(
  session: PartialSession,
  options: PartialOptions,
  schema: string,
): Promise<PartialPlan> {
  const work = openWork(session, options);
  await requireFreeSchema(session, schema);
  const definitions = readDefinitions(
    await loadArchive({ ...options, tools: await options.tools() }),
  );
  const foreignKeys: ForeignKey[] = [];
  for (const definition of definitions.foreignKeys) {
    foreignKeys.push(await complete(work, definition));
  }
  const relations = snapshotRelations(work, foreignKeys);
  await stageChosen(work, definitions);
  const childless = options.withChildren ? await pickChildren(work, relations) : [];
  const lacking = await pickParents(work, relations);
  const sizeBytes = stagedBytes(work);
  await dropUnused(work);
  const tables = await sideTables(work, lacking, { definitions, foreignKeys });
  let spent = false;
  return {
    database: session.database,
    targetIsSource: session.targetIsSource,
    tables: tables.map((table) => planned(schema, table)),
    conflicts: [],
    notes: [...childless, ...notesOf(tables, lacking)],
    steps: STEPS(schema),
    stagedBytes: sizeBytes,
    execute: async () => {
      if (spent) throw restoreError("plan_spent", { message: "restore plan executed before" });
      spent = true;
      await requireFreeSchema(session, schema);
      return await buildSchema(session.connection, schema, tables);
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

const STEPS = (schema: string): readonly string[] => [
  `make schema ${schema}, which nobody but you may enter, and the tables in it`,
  "columns, types and rows as they were; primary keys, unique constraints and foreign keys among these tables; no NOT NULL, check, default, trigger or policy, and no generated column",
  "fill them, in one transaction; no existing object is touched",
];

const RESERVED = /^pg_|^information_schema$|^sparekeep_restore$/;

async function requireFreeSchema(session: PartialSession, schema: string): Promise<void> {
  const taken = (why: string): AppError =>
    restoreError("schema_taken", { message: `schema ${JSON.stringify(schema)}, which ${why}` });
  if (RESERVED.test(schema) || schema === "") throw taken("is reserved");
  if (Buffer.byteLength(schema) > MAX_NAME_BYTES) throw taken("has too long a name");
  const [found] = await session.connection.query<{ owned: boolean; holds: boolean }>(
    `SELECT pg_has_role(n.nspowner, 'USAGE') AS owned,
            EXISTS (SELECT FROM pg_depend AS d WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid) AS holds
       FROM pg_namespace AS n WHERE n.nspname = $1`,
    [schema],
  );
  if (found?.holds === true) throw taken("is not empty");
  if (found?.owned === false) throw taken("belongs to another role");
}

/** Of an identifier of PostgreSQL; longer ones are cut by it without a word. */
const MAX_NAME_BYTES = 63;

async function stageChosen(work: PartialWork, definitions: Definitions): Promise<void> {
  const found: FoundKeys = new Map();
  for (const chosen of work.options.chosen) {
    const table = await stageBeside(work, chosen.table);
    await pickChosen(work, table, chosen, await keyColumns(work, chosen.table, definitions), found);
  }
  requireAllFound(found);
}

async function keyColumns(
  work: PartialWork,
  manifest: TableManifest,
  { keys }: Definitions,
): Promise<readonly KeyColumn[] | undefined> {
  const key = keys.find((one) => one.primary && refKey(one.table) === refKey(manifest));
  if (key === undefined) return undefined;
  const columns: KeyColumn[] = [];
  for (const column of key.columns) {
    columns.push({ column, operator: await equalityOf(work, manifest, column) });
  }
  return columns;
}

async function stageBeside(
  work: PartialWork,
  manifest: TableManifest,
  because?: string,
): Promise<Staged> {
  const types: string[] = [];
  for (const { type } of manifest.columns) {
    types.push((await isType(work, type)) ? type : "text");
  }
  const lost = manifest.columns.some(({ type }, at) => types[at] !== type);
  if (manifest.columns.length === 0 || (manifest.format === "binary" && lost)) {
    throw restoreError("object_refused", {
      message: `table ${refText(manifest)}, ${manifest.columns.length === 0 ? "which has no columns" : "stored in binary, with types that the target has not"}`,
    });
  }
  return await stageTable(work, manifest, { types }, because);
}

/** By the target's own parser of type names, which takes nothing else: only then may the text stand in a statement. */
async function isType({ session }: PartialWork, type: string): Promise<boolean> {
  try {
    const [row] = await session.connection.query<{ known: boolean }>(
      "SELECT to_regtype($1) IS NOT NULL AS known",
      [type],
    );
    return row?.known === true;
  } catch (thrown) {
    if (thrown instanceof AppError && REFUSED.has(thrown.code)) return false;
    throw thrown;
  }
}

const REFUSED: ReadonlySet<string> = new Set([
  "postgres.statement_failed",
  "postgres.relation_not_found",
]);

const EQUALITY = `
SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname) AS operator
  FROM pg_opclass AS k JOIN pg_am AS m ON m.oid = k.opcmethod AND m.amname = 'btree'
  JOIN pg_amop AS a ON a.amopfamily = k.opcfamily AND a.amopstrategy = 3
       AND a.amoplefttype = k.opcintype AND a.amoprighttype = k.opcintype
  JOIN pg_operator AS o ON o.oid = a.amopopr JOIN pg_namespace AS n ON n.oid = o.oprnamespace
 WHERE k.opcdefault AND k.opcintype = to_regtype($1)`;

async function equalityOf(
  work: PartialWork,
  manifest: TableManifest | undefined,
  column: string,
): Promise<string> {
  const type = manifest?.columns.find(({ name }) => name === column)?.type;
  if (type === undefined || !(await isType(work, type))) return "OPERATOR(pg_catalog.=)";
  const [row] = await work.session.connection.query<{ operator: string }>(EQUALITY, [type]);
  return row?.operator ?? "OPERATOR(pg_catalog.=)";
}

async function complete(work: PartialWork, definition: ForeignKeyDefinition): Promise<ForeignKey> {
  const { child, parent, name } = definition;
  const { tables } = work.options.manifest.database;
  const manifest = tables.find((table) => refKey(table) === refKey(child));
  const operators: string[] = [];
  for (const column of definition.columns) {
    operators.push(await equalityOf(work, manifest, column));
  }
  const isPartitioned = (table: NamedTable): boolean =>
    tables.some(
      (one) => one.partitionOf !== undefined && refKey(one.partitionOf) === refKey(table),
    );
  return {
    ...definition,
    id: JSON.stringify([child.schema, child.name, name]),
    validated: true,
    child: { ...child, partitioned: isPartitioned(child) },
    parent: { ...parent, partitioned: isPartitioned(parent) },
    operators,
  };
}

function snapshotRelations(work: PartialWork, foreignKeys: readonly ForeignKey[]): Relations {
  const means = (table: Staged, ref: NamedTable): boolean =>
    refKey(table) === refKey(ref) ||
    (table.manifest.partitionOf !== undefined &&
      refKey(table.manifest.partitionOf) === refKey(ref));
  return {
    outgoing: (table) => foreignKeys.filter(({ child }) => means(table, child)),
    incoming: (table) => foreignKeys.filter(({ parent }) => means(table, parent)),
    standing: false,
    add: (manifest, because) => stageBeside(work, manifest, because),
  };
}

async function sideTables(
  work: PartialWork,
  lacking: readonly Lacking[],
  { definitions, foreignKeys }: { definitions: Definitions; foreignKeys: readonly ForeignKey[] },
): Promise<readonly SideTable[]> {
  const all = [...work.tables.values()];
  const names = sideNames(all);
  const broken = new Set(lacking.map(({ foreignKey }) => foreignKey.id));
  const there = (ref: NamedTable): Staged | undefined => work.tables.get(refKey(ref));
  const tables: SideTable[] = [];
  for (const table of all) {
    const keys = definitions.keys.filter((key) => refKey(key.table) === refKey(table));
    const own = foreignKeys.filter((key) => refKey(key.child) === refKey(table));
    const built = own.filter(
      ({ id, parent, parentColumns }) =>
        !broken.has(id) &&
        there(parent) !== undefined &&
        definitions.keys.some(
          (key) =>
            refKey(key.table) === refKey(parent) &&
            key.columns.toSorted().join("\0") === parentColumns.toSorted().join("\0"),
        ),
    );
    tables.push({
      table,
      name: names.get(refKey(table)) ?? "",
      rows: await countOf(
        work.session.connection,
        `SELECT count(*)::text AS count FROM ${table.picks}`,
      ),
      keys,
      foreignKeys: built.map((key) => ({ ...key, into: names.get(refKey(key.parent)) ?? "" })),
      notBuilt: own.filter((key) => !built.includes(key)).map((key) => key.name),
    });
  }
  return tables;
}

/** A table's own name; with its schema before it where two would have the same. */
function sideNames(tables: readonly Staged[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const table of tables) {
    const alone = tables.filter(({ name }) => name === table.name).length === 1;
    const name = alone ? table.name : `${table.schema}_${table.name}`;
    if (Buffer.byteLength(name) > MAX_NAME_BYTES || [...names.values()].includes(name)) {
      throw restoreError("object_refused", {
        message: `table ${refText(table)}, for which the schema has no name of its own`,
        hint: "Restore the tables one by one, into a schema each.",
      });
    }
    names.set(refKey(table), name);
  }
  return names;
}

function planned(schema: string, { table, name, rows }: SideTable): PlannedTable {
  return {
    table: refText(table),
    into: `${schema}.${name}`,
    ...(table.because === undefined ? {} : { because: table.because }),
    rows,
    inserts: rows,
    updates: 0n,
    unchanged: 0n,
    deletes: 0n,
    samples: [],
  };
}

function notesOf(tables: readonly SideTable[], lacking: readonly Lacking[]): readonly string[] {
  return [
    ...lacking.map(
      ({ table, foreignKey, rows }) =>
        `${refText(table)}: ${rows} rows refer by ${foreignKey.name} to rows of ${refText(foreignKey.parent)} that the snapshot does not hold`,
    ),
    ...tables.flatMap(({ table, notBuilt }) =>
      notBuilt.map((name) => `${refText(table)}: foreign key ${name} is not built`),
    ),
  ];
}
