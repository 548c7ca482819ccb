/** What a dump should hold, counted by the server under the snapshot that pg_dump reads: not taken from the dump itself. */
import type { Connection } from "../../postgres/index.ts";
import { quoteQualified } from "../../postgres/index.ts";
import type { Relation } from "../database/relations.ts";
import { sourceError } from "../errors.ts";

export interface CountedTable {
  readonly schema: string;
  readonly name: string;
  readonly rows: bigint;
}

/** Tables whose rows pg_dump writes; those of extensions come with the extension, partitions stand for their parents. */
export function countedRelations(relations: readonly Relation[]): readonly Relation[] {
  return relations.filter(({ kind, extension }) => kind === "table" && extension === undefined);
}

export async function countRows(
  session: Connection,
  tables: readonly Relation[],
): Promise<readonly CountedTable[]> {
  const counted: CountedTable[] = [];
  for (const { schema, name } of tables) {
    const [row] = await session.query<{ rows: string }>(
      `SELECT count(*)::text AS rows FROM ONLY ${quoteQualified(schema, name)}`,
    );
    if (row === undefined) throw sourceError("catalog_unreadable", { message: "count of rows" });
    counted.push({ schema, name, rows: BigInt(row.rows) });
  }
  return counted;
}

const REWRITTEN = `
  SELECT n.nspname::text AS schema, c.relname::text AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.oid = ANY ($1::oid[]) AND c.relfilenode <> 0
     AND pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode`;

/**
 * TRUNCATE and rewriting ALTERs ignore snapshots: what they hit between the snapshot and pg_dump's locks would be dumped,
 * and counted, as empty. Ask once pg_dump holds its locks, which is when it begins to write.
 */
export async function demandUnrewritten(
  session: Connection,
  tables: readonly Relation[],
): Promise<void> {
  const oids = tables.map(({ oid }) => oid);
  const [first] = await session.query<{ schema: string; name: string }>(REWRITTEN, [oids]);
  if (first === undefined) return;
  throw sourceError("rewritten", {
    message: `table ${first.schema}.${first.name} truncated or rewritten while the dump began`,
    subject: { schema: first.schema, table: first.name },
  });
}
