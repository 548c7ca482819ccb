import { acl, noMember, owner, qualified, userSchema } from "./query.ts";
import type { CatalogQuery } from "./query.ts";

const RELATION = `FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE ${userSchema("n.nspname")} AND ${noMember("pg_class", "c.oid")}`;

/** Tables, views, sequences, composite types and what hangs on them. */
export const RELATION_QUERIES: readonly CatalogQuery[] = [
  {
    kind: "relation",
    sql: `SELECT ${qualified("n.nspname", "c.relname")} AS object, jsonb_build_object(
      'kind', c.relkind, 'persistence', c.relpersistence, 'owner', ${owner("c.relowner")},
      'rights', ${acl("c.relacl", "(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::\"char\"", "c.relowner")},
      'options', (SELECT jsonb_agg(o ORDER BY o) FROM unnest(c.reloptions) AS o),
      'toast options', (SELECT jsonb_agg(o ORDER BY o) FROM pg_class t, unnest(t.reloptions) AS o WHERE t.oid = c.reltoastrelid),
      'row security', c.relrowsecurity, 'forced row security', c.relforcerowsecurity,
      'replica identity', c.relreplident, 'populated', c.relispopulated,
      'access method', (SELECT amname FROM pg_am WHERE oid = c.relam),
      'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
      'of type', nullif(c.reloftype, 0)::regtype::text,
      'partition key', pg_get_partkeydef(c.oid),
      'partition bound', pg_get_expr(c.relpartbound, c.oid),
      'parents', (SELECT jsonb_agg(i.inhparent::regclass::text ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid),
      'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
      'foreign table', (SELECT format('%I %s', s.srvname, f.ftoptions) FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
      'internal triggers', (SELECT jsonb_agg(DISTINCT format('%s %s', k.conname, t.tgenabled)) FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint WHERE t.tgrelid = c.oid AND t.tgisinternal)
    ) AS aspects ${RELATION} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')`,
  },
  {
    kind: "column",
    sql: `SELECT ${qualified("n.nspname", "c.relname")} || '.' || quote_ident(a.attname) AS object, jsonb_build_object(
      'position', row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
      'type', format_type(a.atttypid, a.atttypmod), 'not null', a.attnotnull,
      'collation', (SELECT ${qualified("cn.nspname", "co.collname")} FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation),
      'default', (SELECT pg_get_expr(e.adbin, e.adrelid) FROM pg_attrdef e WHERE e.adrelid = a.attrelid AND e.adnum = a.attnum),
      'identity', a.attidentity, 'generated', a.attgenerated, 'storage', a.attstorage,
      'compression', to_jsonb(a) ->> 'attcompression', 'statistics', to_jsonb(a) ->> 'attstattarget',
      'options', (SELECT jsonb_agg(o ORDER BY o) FROM unnest(a.attoptions) AS o),
      'foreign options', (SELECT jsonb_agg(o ORDER BY o) FROM unnest(a.attfdwoptions) AS o),
      'own', a.attislocal, 'inherited', a.attinhcount,
      'rights', CASE WHEN a.attacl IS NULL THEN '[]' ELSE ${acl("a.attacl", "'c'", "c.relowner")} END
    ) AS aspects FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_class", "c.oid")}
        AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')`,
  },
  {
    kind: "constraint",
    sql: `SELECT coalesce(nullif(k.conrelid, 0)::regclass::text, nullif(k.contypid, 0)::regtype::text) || ' ' || quote_ident(k.conname) AS object,
      jsonb_build_object('definition', pg_get_constraintdef(k.oid), 'type', k.contype, 'valid', k.convalidated,
        'deferrable', k.condeferrable, 'deferred', k.condeferred, 'own', k.conislocal, 'inherited', k.coninhcount,
        'no inherit', k.contype = 'c' AND k.connoinherit, 'parent', (SELECT p.conname FROM pg_constraint p WHERE p.oid = k.conparentid)) AS aspects
      FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_constraint", "k.oid")} AND (k.conrelid <> 0 OR k.contypid <> 0)
        AND k.contype <> 't'`,
  },
  {
    kind: "index",
    sql: `SELECT ${qualified("n.nspname", "c.relname")} AS object, jsonb_build_object(
      'definition', pg_get_indexdef(c.oid), 'valid', i.indisvalid AND i.indisready AND i.indislive,
      'primary', i.indisprimary, 'exclusion', i.indisexclusion, 'immediate', i.indimmediate,
      'clustered', i.indisclustered, 'replica identity', i.indisreplident,
      'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
      'statistics', (SELECT jsonb_agg(to_jsonb(a) ->> 'attstattarget' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid),
      'parent', (SELECT p.inhparent::regclass::text FROM pg_inherits p WHERE p.inhrelid = c.oid)
    ) AS aspects FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indexrelid = c.oid
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_class", "i.indrelid")}`,
  },
  {
    kind: "sequence",
    sql: `SELECT ${qualified("n.nspname", "c.relname")} AS object, jsonb_build_object(
      'type', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'increment', s.seqincrement, 'min', s.seqmin,
      'max', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle,
      'owned by', (SELECT format('%s.%I (%s)', d.refobjid::regclass, a.attname, d.deptype) FROM pg_depend d
         JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
    ) AS aspects FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_class", "c.oid")}`,
  },
  {
    kind: "trigger",
    sql: `SELECT t.tgrelid::regclass::text || ' ' || quote_ident(t.tgname) AS object, jsonb_build_object(
      'definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled, 'cloned', t.tgparentid <> 0
    ) AS aspects FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE ${userSchema("n.nspname")} AND NOT t.tgisinternal AND ${noMember("pg_class", "c.oid")}`,
  },
  {
    kind: "rule",
    sql: `SELECT r.ev_class::regclass::text || ' ' || quote_ident(r.rulename) AS object, jsonb_build_object(
      'definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled
    ) AS aspects FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE ${userSchema("n.nspname")} AND r.rulename <> '_RETURN' AND ${noMember("pg_class", "c.oid")}`,
  },
  {
    kind: "policy",
    sql: `SELECT p.polrelid::regclass::text || ' ' || quote_ident(p.polname) AS object, jsonb_build_object(
      'command', p.polcmd, 'permissive', p.polpermissive,
      'roles', (SELECT jsonb_agg(name ORDER BY name) FROM (SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END AS name FROM unnest(p.polroles) AS r) AS roles),
      'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)
    ) AS aspects FROM pg_policy p`,
  },
  {
    kind: "statistics object",
    sql: `SELECT ${qualified("n.nspname", "s.stxname")} AS object, jsonb_build_object(
      'definition', pg_get_statisticsobjdef(s.oid), 'owner', ${owner("s.stxowner")}, 'target', to_jsonb(s) ->> 'stxstattarget'
    ) AS aspects FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE ${userSchema("n.nspname")}`,
  },
];
