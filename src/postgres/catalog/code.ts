import { LATER, NAME, NO_MEMBER, OF_USERS, ROLE, SORTED } from "./query.ts";
import type { FactQuery } from "./query.ts";

const IN_SCHEMA = (catalog: string, alias: string, schema: string, name: string): string =>
  `FROM ${catalog} ${alias} JOIN pg_namespace n ON n.oid = ${alias}.${schema} WHERE ${OF_USERS("n.nspname")} AND ${NO_MEMBER(catalog, alias)}${name}`;
const NAMED = (name: string): string =>
  `n.nspname::text AS schema, ${NAME("n.nspname", name)} AS identity`;
/** Made by the server for a range type, as its bootstrap superuser. */
const OF_THE_SERVER = `EXISTS (SELECT FROM pg_depend y WHERE y.classid = 'pg_proc'::regclass AND y.objid = p.oid AND y.deptype = 'i')`;
const NO_ROW_TYPE = ` AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
  AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))`;

/** What lives in schemas besides relations, and what belongs to no schema. */
export const CODE_FACTS: readonly FactQuery[] = [
  {
    kind: "schema",
    sql: `SELECT n.nspname::text AS schema, quote_ident(n.nspname) AS identity, jsonb_build_object('owner', ${ROLE("n.nspowner")}) AS facts
      FROM pg_namespace n WHERE ${OF_USERS("n.nspname")} AND ${NO_MEMBER("pg_namespace", "n")}`,
  },
  {
    kind: "function",
    sql: `SELECT n.nspname::text AS schema, ${NAME("n.nspname", "p.proname")} || '(' || oidvectortypes(p.proargtypes) || ')' AS identity,
      jsonb_build_object('kind', p.prokind, 'owner', CASE WHEN NOT ${OF_THE_SERVER} THEN ${ROLE("p.proowner")} END,
        'definition', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
        'aggregate', (SELECT concat_ws(' ', a.aggtransfn::text, a.aggfinalfn::text, a.aggcombinefn::text, format_type(a.aggtranstype, NULL), a.agginitval)
           FROM pg_aggregate a WHERE a.aggfnoid = p.oid)) AS facts
      ${IN_SCHEMA("pg_proc", "p", "pronamespace", "")}`,
  },
  {
    kind: "type",
    sql: `SELECT ${NAMED("t.typname")}, jsonb_build_object('kind', t.typtype, 'owner', ${ROLE("t.typowner")},
        'labels', (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
        'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END, 'not null', t.typnotnull, 'default', t.typdefault,
        'collation', nullif(t.typcollation, 0)::regcollation::text,
        'range', (SELECT concat_ws(' ', format_type(r.rngsubtype, NULL), nullif(r.rngcollation, 0)::regcollation::text, r.rngcanonical::text, r.rngsubdiff::text)
           FROM pg_range r WHERE r.rngtypid = t.oid)) AS facts
      ${IN_SCHEMA("pg_type", "t", "typnamespace", NO_ROW_TYPE)}`,
  },
  {
    kind: "operator",
    sql: `SELECT n.nspname::text AS schema, o.oid::regoperator::text AS identity, jsonb_build_object('owner', ${ROLE("o.oprowner")}, 'function', o.oprcode::text,
        'result', nullif(o.oprresult, 0)::regtype::text, 'commutator', nullif(o.oprcom, 0)::regoperator::text, 'negator', nullif(o.oprnegate, 0)::regoperator::text) AS facts
      ${IN_SCHEMA("pg_operator", "o", "oprnamespace", "")}`,
  },
  {
    kind: "operator class",
    sql: `SELECT n.nspname::text AS schema, ${NAME("n.nspname", "o.opcname")} || ' ' || (SELECT amname FROM pg_am WHERE pg_am.oid = o.opcmethod) AS identity,
        jsonb_build_object('owner', ${ROLE("o.opcowner")}, 'type', format_type(o.opcintype, NULL), 'default', o.opcdefault) AS facts
      ${IN_SCHEMA("pg_opclass", "o", "opcnamespace", "")}`,
  },
  {
    kind: "collation",
    sql: `SELECT ${NAMED("l.collname")}, jsonb_build_object('owner', ${ROLE("l.collowner")}, 'provider', l.collprovider, 'deterministic', l.collisdeterministic,
        'locale', coalesce(${LATER("l", "colllocale")}, ${LATER("l", "colliculocale")}, ${LATER("l", "collcollate")})) AS facts
      ${IN_SCHEMA("pg_collation", "l", "collnamespace", "")}`,
  },
  {
    kind: "conversion",
    sql: `SELECT ${NAMED("v.conname")}, jsonb_build_object('owner', ${ROLE("v.conowner")}, 'function', v.conproc::text) AS facts
      ${IN_SCHEMA("pg_conversion", "v", "connamespace", "")}`,
  },
  {
    kind: "text search configuration",
    sql: `SELECT ${NAMED("f.cfgname")}, jsonb_build_object('owner', ${ROLE("f.cfgowner")},
        'mappings', (SELECT string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ', ' ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = f.oid)) AS facts
      ${IN_SCHEMA("pg_ts_config", "f", "cfgnamespace", "")}`,
  },
  {
    kind: "text search dictionary",
    sql: `SELECT ${NAMED("d.dictname")}, jsonb_build_object('owner', ${ROLE("d.dictowner")}, 'options', d.dictinitoption) AS facts
      ${IN_SCHEMA("pg_ts_dict", "d", "dictnamespace", "")}`,
  },
  {
    kind: "cast",
    sql: `SELECT '' AS schema, format_type(k.castsource, NULL) || ' as ' || format_type(k.casttarget, NULL) AS identity,
        jsonb_build_object('function', nullif(k.castfunc, 0)::regprocedure::text, 'context', k.castcontext, 'method', k.castmethod) AS facts
      FROM pg_cast k WHERE k.oid >= 16384 AND ${NO_MEMBER("pg_cast", "k")}`,
  },
  {
    kind: "extension",
    sql: `SELECT '' AS schema, quote_ident(e.extname) AS identity, jsonb_build_object('schema', quote_ident(n.nspname), 'version', e.extversion) AS facts
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.oid >= 16384`,
  },
  {
    kind: "event trigger",
    sql: `SELECT '' AS schema, quote_ident(v.evtname) AS identity, jsonb_build_object('owner', ${ROLE("v.evtowner")}, 'event', v.evtevent,
        'function', v.evtfoid::regprocedure::text, 'enabled', v.evtenabled, 'tags', ${SORTED("v.evttags")}) AS facts
      FROM pg_event_trigger v WHERE ${NO_MEMBER("pg_event_trigger", "v")}`,
  },
  {
    kind: "publication",
    sql: `SELECT '' AS schema, quote_ident(b.pubname) AS identity, jsonb_build_object('owner', ${ROLE("b.pubowner")}, 'all tables', b.puballtables, 'insert', b.pubinsert,
        'update', b.pubupdate, 'delete', b.pubdelete, 'truncate', b.pubtruncate, 'via root', b.pubviaroot,
        'tables', (SELECT string_agg(concat_ws(' ', ${NAME("r.schemaname", "r.tablename")}, ${LATER("r", "attnames")}, ${LATER("r", "rowfilter")}), ', '
             ORDER BY r.schemaname, r.tablename) FROM pg_publication_tables r WHERE r.pubname = b.pubname)) AS facts
      FROM pg_publication b`,
  },
  {
    kind: "foreign-data wrapper",
    sql: `SELECT '' AS schema, quote_ident(w.fdwname) AS identity, jsonb_build_object('owner', ${ROLE("w.fdwowner")}, 'options', ${SORTED("w.fdwoptions")}) AS facts
      FROM pg_foreign_data_wrapper w WHERE ${NO_MEMBER("pg_foreign_data_wrapper", "w")}`,
  },
  {
    kind: "foreign server",
    sql: `SELECT '' AS schema, quote_ident(s.srvname) AS identity, jsonb_build_object('owner', ${ROLE("s.srvowner")}, 'type', s.srvtype, 'version', s.srvversion,
        'options', ${SORTED("s.srvoptions")}) AS facts
      FROM pg_foreign_server s WHERE ${NO_MEMBER("pg_foreign_server", "s")}`,
  },
];
