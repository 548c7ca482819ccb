import { LATER, NAME, NO_MEMBER, OF_USERS, ROLE, SORTED } from "./query.ts";
import type { FactQuery } from "./query.ts";

const RELATION = `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`;
/** A composite type of an extension is its member as a type, not as the relation that lists its columns. */
const NO_MEMBERS_TYPE = `(c.relkind <> 'c' OR NOT EXISTS (SELECT FROM pg_depend x
  WHERE x.classid = 'pg_type'::regclass AND x.objid = c.reltype AND x.deptype = 'e'))`;
const OURS = `${OF_USERS("n.nspname")} AND c.relpersistence <> 't' AND ${NO_MEMBER("pg_class", "c")} AND ${NO_MEMBERS_TYPE}`;
const NAMED = `n.nspname::text AS schema, ${NAME("n.nspname", "c.relname")} AS identity`;
/** What belongs to a table goes by its name. */
const BELOW = (name: string): string =>
  `n.nspname::text AS schema, ${NAME("n.nspname", "c.relname")} || ' ' || quote_ident(${name}) AS identity`;

export const RELATION_FACTS: readonly FactQuery[] = [
  {
    kind: "relation",
    sql: `SELECT ${NAMED}, jsonb_build_object('kind', c.relkind, 'persistence', c.relpersistence, 'owner', ${ROLE("c.relowner")},
      'options', ${SORTED("c.reloptions")}, 'row security', nullif(c.relrowsecurity, false), 'forced row security', nullif(c.relforcerowsecurity, false),
      'replica identity', CASE WHEN c.relkind IN ('r', 'p', 'm') THEN c.relreplident END, 'populated', CASE WHEN c.relkind = 'm' THEN c.relispopulated END,
      'access method', (SELECT a.amname FROM pg_am a WHERE a.oid = c.relam AND c.relkind IN ('r', 'm')),
      'toast options', (SELECT ${SORTED("t.reloptions")} FROM pg_class t WHERE t.oid = c.reltoastrelid),
      'partition key', pg_get_partkeydef(c.oid), 'partition bound', pg_get_expr(c.relpartbound, c.oid),
      'of type', nullif(c.reloftype, 0)::regtype::text,
      'parents', (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid),
      'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
      'server', (SELECT quote_ident(s.srvname) FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
      'foreign options', (SELECT ${SORTED("f.ftoptions")} FROM pg_foreign_table f WHERE f.ftrelid = c.oid)) AS facts
      FROM ${RELATION} WHERE ${OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c', 'S')`,
  },
  {
    kind: "column",
    sql: `SELECT ${BELOW("a.attname")}, jsonb_build_object('position', (SELECT count(*) FROM pg_attribute b
        WHERE b.attrelid = a.attrelid AND b.attnum > 0 AND b.attnum <= a.attnum AND NOT b.attisdropped),
      'type', format_type(a.atttypid, a.atttypmod), 'not null', nullif(a.attnotnull, false), 'identity', nullif(a.attidentity, ''), 'generated', nullif(a.attgenerated, ''),
      'default', (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum),
      'collation', nullif(a.attcollation, 0)::regcollation::text, 'storage', a.attstorage, 'compression', nullif(${LATER("a", "attcompression")}, ''),
      'statistics', nullif(coalesce(${LATER("a", "attstattarget")}, '-1'), '-1'), 'options', ${SORTED("a.attoptions")}, 'foreign options', ${SORTED("a.attfdwoptions")},
      'own', nullif(a.attislocal, true), 'inherited', nullif(a.attinhcount, 0)) AS facts
      FROM ${RELATION} JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE ${OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')`,
  },
  {
    // From 18 on NOT NULL is one too, with a name of the server's making; the column's own mark is compared everywhere.
    kind: "constraint",
    sql: `SELECT ${BELOW("k.conname")}, jsonb_build_object('type', k.contype, 'definition', pg_get_constraintdef(k.oid), 'valid', nullif(k.convalidated, true),
      'deferrable', nullif(k.condeferrable, false), 'deferred', nullif(k.condeferred, false), 'own', nullif(k.conislocal, true), 'inherited', nullif(k.coninhcount, 0),
      'enforced', nullif(coalesce(${LATER("k", "conenforced")}, 'true'), 'true')) AS facts
      FROM ${RELATION} JOIN pg_constraint k ON k.conrelid = c.oid WHERE ${OURS} AND k.contype NOT IN ('n', 't')`,
  },
  {
    kind: "domain constraint",
    sql: `SELECT n.nspname::text AS schema, ${NAME("n.nspname", "t.typname")} || ' ' || quote_ident(k.conname) AS identity,
      jsonb_build_object('definition', pg_get_constraintdef(k.oid), 'valid', nullif(k.convalidated, true)) AS facts
      FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_namespace n ON n.oid = t.typnamespace
      WHERE ${OF_USERS("n.nspname")} AND ${NO_MEMBER("pg_type", "t")} AND k.contype <> 'n'`,
  },
  {
    // An invalid index of a table is left out by pg_dump, and the manifest says so.
    kind: "index",
    sql: `SELECT n.nspname::text AS schema, ${NAME("n.nspname", "i.relname")} AS identity, jsonb_build_object('table', x.indrelid::regclass::text, 'definition', pg_get_indexdef(i.oid),
      'valid', nullif(x.indisvalid, true), 'primary', nullif(x.indisprimary, false), 'clustered', nullif(x.indisclustered, false), 'replica identity', nullif(x.indisreplident, false), 'immediate', nullif(x.indimmediate, true),
      'statistics', (SELECT string_agg(a.attnum || '=' || ${LATER("a", "attstattarget")}, ', ' ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = i.oid AND coalesce(${LATER("a", "attstattarget")}, '-1') NOT IN ('-1', '0')),
      'parent', (SELECT p.inhparent::regclass::text FROM pg_inherits p WHERE p.inhrelid = i.oid)) AS facts
      FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = i.relnamespace
      WHERE ${OURS} AND ((x.indisvalid AND x.indisready) OR c.relkind = 'p')`,
  },
  {
    kind: "sequence",
    sql: `SELECT ${NAMED}, jsonb_build_object('type', format_type(s.seqtypid, NULL), 'start', s.seqstart::text, 'increment', s.seqincrement::text,
      'min', s.seqmin::text, 'max', s.seqmax::text, 'cache', s.seqcache::text, 'cycle', nullif(s.seqcycle, false),
      'owned by', (SELECT d.refobjid::regclass || '.' || quote_ident(a.attname) || ' ' || d.deptype::text FROM pg_depend d
         JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))) AS facts
      FROM ${RELATION} JOIN pg_sequence s ON s.seqrelid = c.oid WHERE ${OURS}`,
  },
  {
    kind: "trigger",
    sql: `SELECT ${BELOW("t.tgname")}, jsonb_build_object('definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled) AS facts
      FROM ${RELATION} JOIN pg_trigger t ON t.tgrelid = c.oid WHERE ${OURS} AND NOT t.tgisinternal`,
  },
  {
    kind: "rule",
    sql: `SELECT ${BELOW("r.rulename")}, jsonb_build_object('definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled) AS facts
      FROM ${RELATION} JOIN pg_rewrite r ON r.ev_class = c.oid WHERE ${OURS} AND r.rulename <> '_RETURN'`,
  },
  {
    kind: "policy",
    sql: `SELECT ${BELOW("p.polname")}, jsonb_build_object('command', p.polcmd, 'permissive', p.polpermissive,
      'roles', (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE quote_ident(${ROLE("r")}) END, ', ' ORDER BY CASE r WHEN 0 THEN '' ELSE ${ROLE("r")}::text END) FROM unnest(p.polroles) AS r),
      'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)) AS facts
      FROM ${RELATION} JOIN pg_policy p ON p.polrelid = c.oid WHERE ${OURS}`,
  },
  {
    kind: "statistics object",
    sql: `SELECT n.nspname::text AS schema, ${NAME("n.nspname", "s.stxname")} AS identity, jsonb_build_object('owner', ${ROLE("s.stxowner")},
      'definition', pg_get_statisticsobjdef(s.oid), 'target', nullif(coalesce(${LATER("s", "stxstattarget")}, '-1'), '-1')) AS facts
      FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE ${OF_USERS("n.nspname")}`,
  },
];
