import { quoteIdentifier, quoteQualified } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { restoreError } from "../errors.ts";
import type { KeyDefinition } from "./definitions.ts";
import { countOf } from "./session.ts";
import type { ForeignKey } from "./shape.ts";
import { hasColumns, refText, underOwnNames } from "./stage.ts";
import type { Staged } from "./stage.ts";
import type { PartialResult } from "./types.ts";

export interface SideTable {
  readonly table: Staged;
  /** In the schema. */
  readonly name: string;
  readonly rows: bigint;
  readonly keys: readonly KeyDefinition[];
  /** To tables of the schema, whose name there is `into`. */
  readonly foreignKeys: readonly (ForeignKey & { readonly into: string })[];
  readonly notBuilt: readonly string[];
}

/** One transaction: the schema whole, or none. The server proves keys and foreign keys as it builds them. */
export async function buildSchema(
  connection: Connection,
  schema: string,
  tables: readonly SideTable[],
): Promise<PartialResult> {
  await connection.query("BEGIN");
  try {
    await connection.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
    for (const table of tables) await fill(connection, schema, table);
    for (const table of tables) await addKeys(connection, schema, table);
    let proven = 0;
    for (const table of tables) proven += await addForeignKeys(connection, schema, table);
    await closeDoors(connection, schema);
    await connection.query("COMMIT");
    return {
      outcome: "complete",
      tables: tables.map(({ table, name, rows }) => ({
        table: refText(table),
        into: `${schema}.${name}`,
        inserted: rows,
        updated: 0n,
        deleted: 0n,
      })),
      foreignKeysProven: proven,
      orphans: [],
    };
  } catch (error) {
    // A lost or cancelled session has rolled back by itself, and the first error is the one that counts.
    await connection.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

async function fill(
  connection: Connection,
  schema: string,
  { table, name, rows }: SideTable,
): Promise<void> {
  const into = quoteQualified(schema, name);
  await connection.query(
    `CREATE TABLE ${into} AS SELECT ${underOwnNames(table)}
       FROM ${table.stage} AS s WHERE s.n IN (SELECT k.n FROM ${table.picks} AS k) ORDER BY s.n`,
  );
  const found = await countOf(connection, `SELECT count(*)::text AS count FROM ${into}`);
  if (found === rows) return;
  throw restoreError("merge_unproven", {
    message: `${found} rows in ${schema}.${name}, the plan said ${rows}`,
  });
}

async function addKeys(
  connection: Connection,
  schema: string,
  { table, name, keys }: SideTable,
): Promise<void> {
  for (const { primary, columns } of keys) {
    if (!hasColumns(table, columns)) continue;
    const kind = primary ? "PRIMARY KEY" : "UNIQUE";
    await connection.query(
      `ALTER TABLE ${quoteQualified(schema, name)} ADD ${kind} (${list(columns)})`,
    );
  }
}

async function addForeignKeys(
  connection: Connection,
  schema: string,
  { name, foreignKeys }: SideTable,
): Promise<number> {
  for (const key of foreignKeys) {
    const match = key.matchFull ? " MATCH FULL" : "";
    await connection.query(
      `ALTER TABLE ${quoteQualified(schema, name)} ADD CONSTRAINT ${quoteIdentifier(key.name)}
         FOREIGN KEY (${list(key.columns)}) REFERENCES ${quoteQualified(schema, key.into)} (${list(key.parentColumns)})${match}`,
    );
  }
  return foreignKeys.length;
}

function list(columns: readonly string[]): string {
  return columns.map(quoteIdentifier).join(", ");
}

/** Default privileges may give every new table away, and rows of people stand in these. */
async function closeDoors(connection: Connection, schema: string): Promise<void> {
  const grants = await connection.query<{ statement: string }>(
    `SELECT format('REVOKE ALL ON TABLE %I.%I FROM %s CASCADE', n.nspname, c.relname, w.who) AS statement
       FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
            LATERAL (SELECT DISTINCT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS who
                       FROM aclexplode(c.relacl) AS g WHERE g.grantee <> c.relowner) AS w
      WHERE n.nspname = $1 AND c.relkind = 'r'
     UNION ALL
     SELECT format('REVOKE ALL ON SCHEMA %I FROM %s CASCADE', n.nspname, w.who)
       FROM pg_namespace AS n,
            LATERAL (SELECT DISTINCT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS who
                       FROM aclexplode(n.nspacl) AS g WHERE g.grantee <> n.nspowner) AS w
      WHERE n.nspname = $1`,
    [schema],
  );
  for (const { statement } of grants) await connection.query(statement);
}
