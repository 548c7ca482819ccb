import { acl, noMember, owner, qualified, systemAcl, userSchema } from "./query.ts";
import type { CatalogQuery } from "./query.ts";

/** Constructors of range types: the server makes them, as its bootstrap superuser. */
const OF_A_TYPE = `EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
  AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i')`;

/** Functions, types, operators, text search: what lives in schemas besides relations. */
export const CODE_QUERIES: readonly CatalogQuery[] = [
  {
    kind: "schema",
    sql: `SELECT quote_ident(n.nspname) AS object, jsonb_build_object(
      'owner', ${owner("n.nspowner")}, 'rights', ${acl("n.nspacl", "'n'", "n.nspowner")}
    ) AS aspects FROM pg_namespace n WHERE ${userSchema("n.nspname")} AND ${noMember("pg_namespace", "n.oid")}`,
  },
  {
    kind: "function",
    sql: `SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS object, jsonb_build_object(
      'kind', p.prokind, 'owner', CASE WHEN ${OF_A_TYPE} THEN 'the server' ELSE ${owner("p.proowner")} END,
      'rights', CASE WHEN ${OF_A_TYPE} THEN ${systemAcl("p.proacl", "p.proowner")} ELSE ${acl("p.proacl", "'f'", "p.proowner")} END,
      'definition', CASE WHEN p.prokind = 'a' THEN NULL ELSE pg_get_functiondef(p.oid) END,
      'aggregate', (SELECT jsonb_build_object('transition', a.aggtransfn::text, 'final', a.aggfinalfn::text, 'combine', a.aggcombinefn::text,
          'state', format_type(a.aggtranstype, NULL), 'initial', a.agginitval, 'kind', a.aggkind, 'sort', a.aggsortop::regoperator::text,
          'moving', a.aggmtransfn::text, 'serialise', a.aggserialfn::text, 'direct', a.aggnumdirectargs, 'parallel', p.proparallel)
        FROM pg_aggregate a WHERE a.aggfnoid = p.oid)
    ) AS aspects FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_proc", "p.oid")}`,
  },
  {
    kind: "type",
    sql: `SELECT ${qualified("n.nspname", "t.typname")} AS object, jsonb_build_object(
      'kind', t.typtype, 'owner', ${owner("t.typowner")}, 'rights', ${acl("t.typacl", "'T'", "t.typowner")},
      'labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
      'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
      'not null', t.typnotnull, 'default', t.typdefault,
      'collation', nullif(t.typcollation, 0)::regcollation::text,
      'range', (SELECT jsonb_build_object('subtype', format_type(r.rngsubtype, NULL), 'collation', r.rngcollation::regcollation::text,
          'canonical', r.rngcanonical::text, 'difference', r.rngsubdiff::text, 'multirange', format_type((to_jsonb(r) ->> 'rngmultitypid')::oid, NULL),
          'operators', (SELECT ${qualified("on_.nspname", "o.opcname")} FROM pg_opclass o JOIN pg_namespace on_ ON on_.oid = o.opcnamespace WHERE o.oid = r.rngsubopc))
        FROM pg_range r WHERE r.rngtypid = t.oid),
      'input', CASE WHEN t.typtype = 'b' THEN t.typinput::text END
    ) AS aspects FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_type", "t.oid")} AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
        AND (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_class c WHERE c.oid = t.typrelid))`,
  },
  {
    kind: "operator",
    sql: `SELECT o.oid::regoperator::text AS object, jsonb_build_object('owner', ${owner("o.oprowner")},
      'function', o.oprcode::text, 'result', format_type(o.oprresult, NULL), 'commutator', o.oprcom::regoperator::text,
      'negator', o.oprnegate::regoperator::text, 'restrict', o.oprrest::text, 'join', o.oprjoin::text,
      'merges', o.oprcanmerge, 'hashes', o.oprcanhash) AS aspects
      FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_operator", "o.oid")}`,
  },
  {
    kind: "operator class",
    sql: `SELECT ${qualified("n.nspname", "o.opcname")} || ' using ' || m.amname AS object, jsonb_build_object('owner', ${owner("o.opcowner")},
      'type', format_type(o.opcintype, NULL), 'default', o.opcdefault, 'key', nullif(o.opckeytype, 0)::regtype::text,
      'family', (SELECT ${qualified("fn.nspname", "f.opfname")} FROM pg_opfamily f JOIN pg_namespace fn ON fn.oid = f.opfnamespace WHERE f.oid = o.opcfamily),
      'operators', (SELECT jsonb_agg(format('%s %s', a.amopstrategy, a.amopopr::regoperator) ORDER BY a.amopstrategy, a.amopopr::regoperator::text) FROM pg_amop a WHERE a.amopfamily = o.opcfamily),
      'functions', (SELECT jsonb_agg(format('%s %s', a.amprocnum, a.amproc::regprocedure) ORDER BY a.amprocnum, a.amproc::regprocedure::text) FROM pg_amproc a WHERE a.amprocfamily = o.opcfamily)) AS aspects
      FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace JOIN pg_am m ON m.oid = o.opcmethod
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_opclass", "o.oid")}`,
  },
  {
    kind: "collation",
    sql: `SELECT ${qualified("n.nspname", "c.collname")} AS object, jsonb_build_object('owner', ${owner("c.collowner")},
      'provider', c.collprovider, 'deterministic', c.collisdeterministic, 'collate', to_jsonb(c) ->> 'collcollate',
      'ctype', to_jsonb(c) ->> 'collctype', 'locale', coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale'),
      'rules', to_jsonb(c) ->> 'collicurules') AS aspects
      FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_collation", "c.oid")}`,
  },
  {
    kind: "cast",
    sql: `SELECT format('%s to %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)) AS object,
      jsonb_build_object('function', nullif(c.castfunc, 0)::regprocedure::text, 'context', c.castcontext, 'method', c.castmethod) AS aspects
      FROM pg_cast c WHERE c.oid >= 16384 AND ${noMember("pg_cast", "c.oid")}`,
  },
  {
    kind: "conversion",
    sql: `SELECT ${qualified("n.nspname", "c.conname")} AS object, jsonb_build_object('owner', ${owner("c.conowner")},
      'function', c.conproc::text, 'from', pg_encoding_to_char(c.conforencoding), 'to', pg_encoding_to_char(c.contoencoding), 'default', c.condefault) AS aspects
      FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_conversion", "c.oid")}`,
  },
  {
    kind: "text search configuration",
    sql: `SELECT ${qualified("n.nspname", "c.cfgname")} AS object, jsonb_build_object('owner', ${owner("c.cfgowner")},
      'parser', (SELECT p.prsname FROM pg_ts_parser p WHERE p.oid = c.cfgparser),
      'mappings', (SELECT jsonb_agg(format('%s %s %s', m.maptokentype, m.mapseqno, m.mapdict::regdictionary) ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = c.oid)) AS aspects
      FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_ts_config", "c.oid")}`,
  },
  {
    kind: "text search dictionary",
    sql: `SELECT ${qualified("n.nspname", "c.dictname")} AS object, jsonb_build_object('owner', ${owner("c.dictowner")},
      'template', (SELECT t.tmplname FROM pg_ts_template t WHERE t.oid = c.dicttemplate), 'options', c.dictinitoption) AS aspects
      FROM pg_ts_dict c JOIN pg_namespace n ON n.oid = c.dictnamespace
      WHERE ${userSchema("n.nspname")} AND ${noMember("pg_ts_dict", "c.oid")}`,
  },
  {
    kind: "language",
    sql: `SELECT quote_ident(l.lanname) AS object, jsonb_build_object('owner', CASE WHEN l.oid >= 16384 THEN ${owner("l.lanowner")} END,
      'trusted', l.lanpltrusted, 'rights', (SELECT jsonb_agg(x ORDER BY x) FROM (
        SELECT format('%s %s', CASE a.grantee WHEN 0 THEN 'PUBLIC' WHEN l.lanowner THEN 'owner' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type) AS x
          FROM aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) a) AS rights)) AS aspects
      FROM pg_language l WHERE l.lanispl`,
  },
];
