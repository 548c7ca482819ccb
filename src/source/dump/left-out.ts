/**
 * What pg_dump is told to leave out. It locks whatever it dumps, which takes the right to read it; a customer of a
 * platform may not read all that is the platform's own. Only that is left out, by name, and never a table of the
 * customer's: what of those may not be read ends the dump.
 */
import { platformNamed } from "../../manifest/index.ts";
import { quoteQualified, readPlatform } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import type { Relation } from "../database/relations.ts";

export interface DumpLeftOut {
  readonly tables: readonly Relation[];
  readonly args: readonly string[];
  readonly said: readonly { readonly object: string; readonly reason: string }[];
}

interface Sequence {
  readonly schema: string;
  readonly name: string;
}

const UNREADABLE_SEQUENCES = `
  SELECT n.nspname::text AS schema, c.relname::text AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'S'
     AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_sequence_privilege(c.oid, 'SELECT'))
   ORDER BY 1, 2`;

const NOTHING: DumpLeftOut = { tables: [], args: [], said: [] };

export async function readLeftOut(
  session: Connection,
  relations: readonly Relation[],
): Promise<DumpLeftOut> {
  const found = await readPlatform(session);
  if (found === undefined) return NOTHING;
  const platform = platformNamed(found);
  const reasonOf = ({ schema, name }: Sequence): string | undefined => {
    const rows = platform.rowsOf(schema, name);
    return typeof rows === "object" && !rows.captured ? rows.reason : undefined;
  };
  const tables = relations.filter((one) => !one.readable && reasonOf(one) !== undefined);
  const unread = await session.query<Sequence & Record<string, unknown>>(UNREADABLE_SEQUENCES);
  const sequences = unread.filter((one) => reasonOf(one) !== undefined);
  return {
    tables,
    args: [
      ...tables.map((one) => `--exclude-table=${quoteQualified(one.schema, one.name)}`),
      // Its definition may be what a column counts with; only where it stands is not read.
      ...sequences.map((one) => `--exclude-table-data=${quoteQualified(one.schema, one.name)}`),
    ],
    said: [
      ...tables.map((one) => saidOf("TABLE", one, reasonOf(one))),
      ...sequences.map((one) => saidOf("value of SEQUENCE", one, reasonOf(one))),
    ],
  };
}

function saidOf(
  kind: string,
  { schema, name }: Sequence,
  reason: string | undefined,
): DumpLeftOut["said"][number] {
  return {
    object: `${kind} ${schema}.${name}`,
    reason: `may not be read, and is ${reason ?? "the platform's own"}`,
  };
}
