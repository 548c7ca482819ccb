/** Materialised views are refreshed after a restore, each after those that it reads. */
import type { DatabaseManifest } from "../../manifest/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { orderByDependency } from "./order.ts";

type MaterializedView = DatabaseManifest["materializedViews"][number];

const VIEWS = String.raw`
  SELECT c.oid::text AS oid, n.nspname::text AS schema, c.relname::text AS name,
         c.relispopulated AS populated
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'm' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
     AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
   ORDER BY n.nspname, c.relname`;

/** Views are on the way from one materialised view to the next. */
const EDGES = `
  SELECT DISTINCT r.ev_class::text AS reader, d.refobjid::text AS read
    FROM pg_rewrite r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
    JOIN pg_class c ON c.oid = d.refobjid AND c.relkind IN ('m', 'v')`;

export async function readMaterializedViews(
  session: Connection,
): Promise<readonly MaterializedView[]> {
  const views = await session.query<{
    oid: string;
    schema: string;
    name: string;
    populated: boolean;
  }>(VIEWS);
  if (views.length === 0) return [];
  const edges = await session.query<{ reader: string; read: string }>(EDGES);
  const reads = Map.groupBy(edges, (edge) => edge.reader);
  const order = orderByDependency(
    views.map((view) => view.oid),
    (oid) => (reads.get(oid) ?? []).map((edge) => edge.read),
  );
  return views.map(({ oid, schema, name, populated }) => ({
    schema,
    name,
    populated,
    order: order.indexOf(oid),
  }));
}
