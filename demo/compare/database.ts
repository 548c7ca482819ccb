import { acl, noMember, owner, systemAcl } from "./query.ts";
import type { CatalogQuery } from "./query.ts";

const THIS = "(SELECT oid FROM pg_database WHERE datname = current_database())";

/** The database as a whole, the roles of its server, and what belongs to no schema. */
export const DATABASE_QUERIES: readonly CatalogQuery[] = [
  {
    kind: "database",
    sql: `SELECT 'this database' AS object, jsonb_build_object('owner', ${owner("b.datdba")}, 'encoding', pg_encoding_to_char(b.encoding),
      'collate', b.datcollate, 'ctype', b.datctype, 'provider', to_jsonb(b) ->> 'datlocprovider',
      'locale', coalesce(to_jsonb(b) ->> 'datlocale', to_jsonb(b) ->> 'daticulocale'), 'connection limit', b.datconnlimit,
      'template', b.datistemplate, 'open', b.datallowconn, 'rights', ${acl("b.datacl", "'d'", "b.datdba")},
      'settings', (SELECT jsonb_agg(c ORDER BY c) FROM pg_db_role_setting s, unnest(s.setconfig) AS c WHERE s.setdatabase = b.oid AND s.setrole = 0)
    ) AS aspects FROM pg_database b WHERE b.datname = current_database()`,
  },
  {
    kind: "role",
    sql: `SELECT r.rolname AS object, jsonb_build_object('superuser', r.rolsuper, 'inherit', r.rolinherit, 'create role', r.rolcreaterole,
      'create database', r.rolcreatedb, 'login', r.rolcanlogin, 'replication', r.rolreplication, 'bypass row security', r.rolbypassrls,
      'connection limit', r.rolconnlimit, 'valid until', r.rolvaliduntil::text,
      'settings', (SELECT jsonb_agg(c ORDER BY c) FROM pg_db_role_setting s, unnest(s.setconfig) AS c WHERE s.setrole = r.oid AND s.setdatabase = 0),
      'settings in this database', (SELECT jsonb_agg(c ORDER BY c) FROM pg_db_role_setting s, unnest(s.setconfig) AS c WHERE s.setrole = r.oid AND s.setdatabase = ${THIS}),
      'member of', (SELECT jsonb_agg(format('%s%s', pg_get_userbyid(m.roleid), CASE WHEN m.admin_option THEN ' with admin option' ELSE '' END
          || CASE WHEN to_jsonb(m) ->> 'inherit_option' = 'false' THEN ' without inherit' ELSE '' END
          || CASE WHEN to_jsonb(m) ->> 'set_option' = 'false' THEN ' without set' ELSE '' END)
          ORDER BY pg_get_userbyid(m.roleid)) FROM pg_auth_members m WHERE m.member = r.oid)
    ) AS aspects FROM pg_roles r WHERE r.rolname !~ '^pg_'`,
  },
  {
    kind: "default privileges",
    sql: `SELECT format('of %s in %s for %s', pg_get_userbyid(a.defaclrole), coalesce(a.defaclnamespace::regnamespace::text, 'all schemas'), a.defaclobjtype) AS object,
      jsonb_build_object('rights', ${acl("a.defaclacl", 'a.defaclobjtype::"char"', "a.defaclrole")}) AS aspects
      FROM (SELECT d.oid, d.defaclrole, nullif(d.defaclnamespace, 0) AS defaclnamespace, d.defaclobjtype, d.defaclacl FROM pg_default_acl d) AS a`,
  },
  {
    kind: "extension",
    sql: `SELECT quote_ident(e.extname) AS object, jsonb_build_object('schema', e.extnamespace::regnamespace::text, 'version', e.extversion,
      'configuration', (SELECT jsonb_agg(c::regclass::text ORDER BY c::regclass::text) FROM unnest(e.extconfig) AS c)) AS aspects FROM pg_extension e`,
  },
  {
    // What was changed on objects of the system and of extensions: the rest of their rights comes with them.
    kind: "changed rights",
    sql: `SELECT format('function %s', p.oid::regprocedure) AS object, jsonb_build_object('rights', ${systemAcl("p.proacl", "p.proowner")}) AS aspects
      FROM pg_proc p LEFT JOIN pg_init_privs i ON i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid
      WHERE (p.oid < 16384 OR NOT ${noMember("pg_proc", "p.oid")}) AND p.proacl IS DISTINCT FROM i.initprivs
      UNION ALL
      SELECT format('relation %s', c.oid::regclass), jsonb_build_object('rights', ${systemAcl("c.relacl", "c.relowner")})
      FROM pg_class c LEFT JOIN pg_init_privs i ON i.classoid = 'pg_class'::regclass AND i.objoid = c.oid AND i.objsubid = 0
      WHERE (c.oid < 16384 OR NOT ${noMember("pg_class", "c.oid")}) AND c.relacl IS DISTINCT FROM i.initprivs`,
  },
  {
    kind: "event trigger",
    sql: `SELECT quote_ident(t.evtname) AS object, jsonb_build_object('owner', ${owner("t.evtowner")}, 'event', t.evtevent,
      'function', t.evtfoid::regprocedure::text, 'enabled', t.evtenabled, 'tags', to_jsonb(t.evttags)) AS aspects
      FROM pg_event_trigger t WHERE ${noMember("pg_event_trigger", "t.oid")}`,
  },
  {
    kind: "publication",
    sql: `SELECT quote_ident(p.pubname) AS object, (to_jsonb(p) - 'oid' - 'pubname' - 'pubowner') || jsonb_build_object('owner', ${owner("p.pubowner")},
      'tables', (SELECT jsonb_agg(format('%s %s %s', r.prrelid::regclass, to_jsonb(r) ->> 'prattrs',
          (SELECT to_jsonb(f) ->> 'rowfilter' FROM pg_publication_tables f WHERE f.pubname = p.pubname AND format('%I.%I', f.schemaname, f.tablename)::regclass = r.prrelid))
          ORDER BY r.prrelid::regclass::text)
        FROM pg_publication_rel r WHERE r.prpubid = p.oid)) AS aspects FROM pg_publication p`,
  },
  {
    kind: "subscription",
    sql: `SELECT quote_ident(s.subname) AS object, jsonb_build_object('owner', ${owner("s.subowner")}, 'enabled', s.subenabled, 'publications', to_jsonb(s.subpublications)) AS aspects
      FROM pg_subscription s WHERE s.subdbid = ${THIS}`,
  },
  {
    kind: "foreign server",
    sql: `SELECT quote_ident(s.srvname) AS object, jsonb_build_object('owner', ${owner("s.srvowner")}, 'wrapper', w.fdwname, 'type', s.srvtype,
      'version', s.srvversion, 'options', to_jsonb(s.srvoptions), 'rights', ${acl("s.srvacl", "'S'", "s.srvowner")},
      'users', (SELECT jsonb_agg(pg_get_userbyid(u.umuser) ORDER BY pg_get_userbyid(u.umuser)) FROM pg_user_mapping u WHERE u.umserver = s.oid)) AS aspects
      FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw`,
  },
  {
    kind: "comment",
    sql: `SELECT format('on %s %s', i.type, i.identity) AS object, jsonb_build_object('text', d.description) AS aspects
      FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i
      WHERE (d.objoid >= 16384 OR (d.classoid = 'pg_namespace'::regclass AND d.objoid = 'public'::regnamespace))
        AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e')
      UNION ALL
      SELECT CASE d.classoid WHEN 'pg_authid'::regclass THEN 'on role ' || pg_get_userbyid(d.objoid) ELSE 'on this database' END, jsonb_build_object('text', d.description)
      FROM pg_shdescription d WHERE (d.classoid = 'pg_authid'::regclass AND d.objoid >= 16384) OR (d.classoid = 'pg_database'::regclass AND d.objoid = ${THIS})`,
  },
  {
    kind: "security label",
    sql: `SELECT format('on %s %s by %s', i.type, i.identity, l.provider) AS object, jsonb_build_object('label', l.label) AS aspects
      FROM pg_seclabel l, pg_identify_object(l.classoid, l.objoid, l.objsubid) AS i`,
  },
  {
    kind: "large object",
    sql: `SELECT m.oid::text AS object, jsonb_build_object('owner', ${owner("m.lomowner")}, 'rights', ${acl("m.lomacl", "'L'", "m.lomowner")},
      'content', (SELECT format('%s bytes, sha256 %s', length(b), encode(sha256(b), 'hex')) FROM lo_get(m.oid) AS b)) AS aspects
      FROM pg_largeobject_metadata m`,
  },
];
