import { LATER, OF_USERS, ROLE } from "./query.ts";
import type { FactQuery } from "./query.ts";

const THIS = "(SELECT d.oid FROM pg_database d WHERE d.datname = current_database())";

/** The database as a whole, and the roles of its server. */
export const SERVER_FACTS: readonly FactQuery[] = [
  {
    kind: "database",
    sql: `SELECT '' AS schema, 'this database' AS identity, jsonb_build_object('owner', ${ROLE("d.datdba")}, 'encoding', pg_encoding_to_char(d.encoding),
        'collate', d.datcollate, 'ctype', d.datctype, 'locale', coalesce(${LATER("d", "datlocale")}, ${LATER("d", "daticulocale")}),
        'connection limit', d.datconnlimit, 'comment', (SELECT description FROM pg_shdescription h WHERE h.classoid = 'pg_database'::regclass AND h.objoid = d.oid)) AS facts
      FROM pg_database d WHERE d.oid = ${THIS}`,
  },
  {
    kind: "setting",
    sql: `SELECT '' AS schema, CASE WHEN s.setrole = 0 THEN 'this database' ELSE 'role ' || quote_ident(${ROLE("s.setrole")}) END AS identity,
        jsonb_object_agg(CASE WHEN s.setrole <> 0 AND s.setdatabase <> 0 THEN 'here: ' ELSE '' END || split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)) AS facts
      FROM pg_db_role_setting s, unnest(s.setconfig) AS c
      WHERE s.setdatabase IN (0, ${THIS}) AND (s.setrole <> 0 OR s.setdatabase <> 0) GROUP BY 2`,
  },
  {
    kind: "role",
    sql: `SELECT '' AS schema, quote_ident(r.rolname) AS identity, jsonb_build_object('superuser', r.rolsuper, 'inherit', r.rolinherit, 'create role', r.rolcreaterole,
        'create database', r.rolcreatedb, 'login', r.rolcanlogin, 'replication', r.rolreplication, 'bypass row security', r.rolbypassrls,
        'connection limit', r.rolconnlimit, 'valid until', r.rolvaliduntil::text,
        'comment', (SELECT description FROM pg_shdescription h WHERE h.classoid = 'pg_authid'::regclass AND h.objoid = r.oid)) AS facts
      FROM pg_roles r WHERE ${OF_USERS("r.rolname")}`,
  },
  {
    // Who gave a membership depends on who restores; what it is worth does not.
    kind: "membership",
    sql: `SELECT '' AS schema, quote_ident(${ROLE("m.member")}) || ' in ' || quote_ident(${ROLE("m.roleid")}) AS identity,
        jsonb_build_object('admin', bool_or(m.admin_option), 'inherit', bool_or(coalesce((${LATER("m", "inherit_option")})::boolean, true)),
          'set', bool_or(coalesce((${LATER("m", "set_option")})::boolean, true))) AS facts
      FROM pg_auth_members m GROUP BY m.member, m.roleid`,
  },
  {
    kind: "comment",
    sql: String.raw`SELECT '' AS schema, i.type || ' ' || i.identity AS identity, jsonb_build_object('text', h.description) AS facts
      FROM pg_description h CROSS JOIN LATERAL pg_identify_object(h.classoid, h.objoid, h.objsubid) AS i
      WHERE (h.objoid >= 16384 OR (h.classoid = 'pg_namespace'::regclass AND h.objoid = (SELECT oid FROM pg_namespace WHERE nspname = 'public')))
        AND h.classoid <> 'pg_largeobject'::regclass AND coalesce(i.schema, '') NOT LIKE 'pg\_%'
        AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = h.classoid AND x.objid = h.objoid AND x.deptype = 'e')`,
  },
  {
    kind: "security label",
    sql: `SELECT '' AS schema, i.type || ' ' || i.identity || ' by ' || l.provider AS identity, jsonb_build_object('label', l.label) AS facts
      FROM pg_seclabel l CROSS JOIN LATERAL pg_identify_object(l.classoid, l.objoid, l.objsubid) AS i`,
  },
  {
    kind: "user mapping",
    sql: `SELECT '' AS schema, quote_ident(u.usename) || ' at ' || quote_ident(u.srvname) AS identity, '{"is": "there"}'::jsonb AS facts FROM pg_user_mappings u`,
  },
];
