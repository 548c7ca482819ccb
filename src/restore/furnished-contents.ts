import type { DatabaseManifest, Platform } from "../manifest/index.ts";
import { quoteQualified } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";

/** R2 for a project of a platform: what is there besides the platform's own, and rows where those of the source go. */

const FOUND = `
SELECT kind || ' ' || name AS object, schema, owner, classid::text AS classid FROM (
  SELECT 'relation' AS kind, n.nspname || '.' || c.relname AS name, n.nspname AS schema,
         pg_get_userbyid(c.relowner) AS owner, 'pg_class'::regclass AS classid, c.oid AS objid
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT 'function', p.oid::regprocedure::text, n.nspname, pg_get_userbyid(p.proowner), 'pg_proc'::regclass, p.oid
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
  UNION ALL SELECT 'type', t.oid::regtype::text, n.nspname, pg_get_userbyid(t.typowner), 'pg_type'::regclass, t.oid
    FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
  UNION ALL SELECT 'operator', o.oid::text, n.nspname, pg_get_userbyid(o.oprowner), 'pg_operator'::regclass, o.oid
    FROM pg_operator AS o JOIN pg_namespace AS n ON n.oid = o.oprnamespace
  UNION ALL SELECT 'schema', nspname, nspname, pg_get_userbyid(nspowner), 'pg_namespace'::regclass, oid
    FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
  UNION ALL SELECT 'event trigger', evtname, NULL, pg_get_userbyid(evtowner), 'pg_event_trigger'::regclass, oid FROM pg_event_trigger
  UNION ALL SELECT 'table of publication', p.pubname || ': ' || r.prrelid::regclass::text, NULL, NULL, 'pg_publication_rel'::regclass, r.oid
    FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
  UNION ALL SELECT 'foreign data wrapper', fdwname, NULL, pg_get_userbyid(fdwowner), 'pg_foreign_data_wrapper'::regclass, oid
    FROM pg_foreign_data_wrapper
  UNION ALL SELECT 'large object', oid::text, NULL, pg_get_userbyid(lomowner), 'pg_largeobject'::regclass, oid
    FROM pg_largeobject_metadata) AS found
 WHERE (objid >= 16384 OR kind = 'large object')
   AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = found.classid AND d.objid = found.objid AND d.deptype = 'e')
 ORDER BY kind, name`;

export async function furnishedContents(
  inside: Connection,
  platform: Platform,
  source: DatabaseManifest,
): Promise<readonly string[]> {
  const rows = await inside.query<{ object: string; schema: string | null; owner: string | null }>(
    FOUND,
  );
  const theirs = rows.filter(
    ({ schema, owner }) => !isSchemaOf(platform, schema) && !isRoleOf(platform, owner),
  );
  return [...theirs.map(({ object }) => object), ...(await filledTables(inside, platform, source))];
}

function isSchemaOf(platform: Platform, schema: string | null): boolean {
  return schema !== null && platform.isSchema(schema);
}

function isRoleOf(platform: Platform, owner: string | null): boolean {
  return owner !== null && platform.isRole(owner);
}

/** Somebody's accounts or files: a project in use, however empty its own schemas are. */
async function filledTables(
  inside: Connection,
  platform: Platform,
  source: DatabaseManifest,
): Promise<readonly string[]> {
  const filled: string[] = [];
  for (const { schema, name } of source.tables) {
    if (platform.rowsOf(schema, name) !== "restored") continue;
    const table = quoteQualified(schema, name);
    const [there] = await inside.query<{ found: boolean }>(
      "SELECT to_regclass($1) IS NOT NULL AS found",
      [table],
    );
    if (there?.found !== true) continue;
    const [row] = await inside.query<{ filled: boolean }>(
      `SELECT EXISTS (SELECT FROM ${table}) AS filled`,
    );
    if (row?.filled !== false) filled.push(`rows in ${schema}.${name}`);
  }
  return filled;
}
