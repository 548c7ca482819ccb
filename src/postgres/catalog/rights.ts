import { NAME, NO_MEMBER, OF_USERS, ROLE } from "./query.ts";
import type { FactQuery } from "./query.ts";

/**
 * Rights twice: each grant by who gave it to whom, and (`EFFECTIVE`) what every role may do in the end, by the server's
 * own judgement. Where the first differ and the second do not, nobody can tell the difference.
 */

/** No role's name and privilege reads so: they end with a word in capitals. */
export const EFFECTIVE = "effective";

interface Holder {
  readonly of: string;
  /** `oid, schema, identity, owner, acl` of each object. */
  readonly objects: string;
  /** Type letter of `acldefault`. */
  readonly letter: string;
  readonly ask: string;
  readonly privileges: readonly string[];
}

const TABLE = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];
const CLASS = `SELECT c.oid, n.nspname::text AS schema, ${NAME("n.nspname", "c.relname")} AS identity, c.relowner AS owner, c.relacl AS acl
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE ${OF_USERS("n.nspname")} AND c.relpersistence <> 't' AND ${NO_MEMBER("pg_class", "c")}`;

const HOLDERS: readonly Holder[] = [
  {
    of: "table",
    objects: `${CLASS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`,
    letter: "r",
    ask: "has_table_privilege",
    privileges: TABLE,
  },
  {
    of: "sequence",
    objects: `${CLASS} AND c.relkind = 'S'`,
    letter: "s",
    ask: "has_sequence_privilege",
    privileges: ["USAGE", "SELECT", "UPDATE"],
  },
  {
    of: "schema",
    objects: `SELECT n.oid, n.nspname::text AS schema, quote_ident(n.nspname) AS identity, n.nspowner AS owner, n.nspacl AS acl
      FROM pg_namespace n WHERE ${OF_USERS("n.nspname")} AND ${NO_MEMBER("pg_namespace", "n")}`,
    letter: "n",
    ask: "has_schema_privilege",
    privileges: ["USAGE", "CREATE"],
  },
  {
    of: "function",
    objects: `SELECT p.oid, n.nspname::text AS schema, ${NAME("n.nspname", "p.proname")} || '(' || oidvectortypes(p.proargtypes) || ')' AS identity,
        p.proowner AS owner, p.proacl AS acl FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE ${OF_USERS("n.nspname")} AND ${NO_MEMBER("pg_proc", "p")}
        AND NOT EXISTS (SELECT FROM pg_depend y WHERE y.classid = 'pg_proc'::regclass AND y.objid = p.oid AND y.deptype = 'i')`,
    letter: "f",
    ask: "has_function_privilege",
    privileges: ["EXECUTE"],
  },
  {
    of: "type",
    objects: `SELECT t.oid, n.nspname::text AS schema, ${NAME("n.nspname", "t.typname")} AS identity, t.typowner AS owner, t.typacl AS acl
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      WHERE ${OF_USERS("n.nspname")} AND ${NO_MEMBER("pg_type", "t")} AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
        AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))`,
    letter: "T",
    ask: "has_type_privilege",
    privileges: ["USAGE"],
  },
  {
    of: "foreign server",
    objects: `SELECT s.oid, '' AS schema, quote_ident(s.srvname) AS identity, s.srvowner AS owner, s.srvacl AS acl FROM pg_foreign_server s`,
    letter: "S",
    ask: "has_server_privilege",
    privileges: ["USAGE"],
  },
  {
    of: "database",
    objects: `SELECT d.oid, '' AS schema, 'this database' AS identity, d.datdba AS owner, d.datacl AS acl FROM pg_database d WHERE d.datname = current_database()`,
    letter: "d",
    ask: "has_database_privilege",
    privileges: ["CONNECT", "CREATE", "TEMPORARY"],
  },
];

const WHO = `CASE a.grantee WHEN 0 THEN 'public' ELSE quote_ident(${ROLE("a.grantee")}) END || ' ' || a.privilege_type`;
const GIVEN = `'by ' || quote_ident(${ROLE("a.grantor")}) || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END`;

function grants(objects: string, exploded: string): string {
  return `SELECT schema, identity, jsonb_object_agg(who, given) AS facts FROM (
    SELECT o.schema, o.identity, ${WHO} AS who, string_agg(${GIVEN}, ', ' ORDER BY ${GIVEN}) AS given
      FROM (${objects}) AS o, aclexplode(${exploded}) AS a GROUP BY 1, 2, 3) AS g GROUP BY schema, identity`;
}

/** Asked once for all objects of one owner and one list of grants: thousands of tables share a few. */
function effective({ objects, ask, privileges }: Holder): string {
  const may = privileges.map(
    (privilege) => `CASE WHEN ${ask}(g.oid, d.oid, '${privilege}') THEN ' ${privilege}' END`,
  );
  return `SELECT o.schema, o.identity, jsonb_build_object('${EFFECTIVE}', e.roles) AS facts
    FROM (${objects}) AS o JOIN (
      SELECT d.owner, d.acl, string_agg(quote_ident(g.rolname) || concat(${may.join(", ")}), ', ' ORDER BY g.rolname) AS roles
        FROM (SELECT owner, coalesce(acl::text, '') AS acl, min(oid) AS oid FROM (${objects}) AS every GROUP BY 1, 2) AS d,
             pg_roles g
       WHERE NOT g.rolsuper AND ${OF_USERS("g.rolname")} GROUP BY d.owner, d.acl) AS e
      ON e.owner = o.owner AND e.acl = coalesce(o.acl::text, '')`;
}

const COLUMNS = String.raw`SELECT n.nspname::text AS schema, quote_ident(n.nspname) || '.' || quote_ident(c.relname) || ' ' || quote_ident(t.attname) AS identity, t.attacl AS acl
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute t ON t.attrelid = c.oid
 WHERE ${OF_USERS("n.nspname")} AND ${NO_MEMBER("pg_class", "c")} AND t.attacl IS NOT NULL AND NOT t.attisdropped`;
const DEFAULTS = `SELECT coalesce(n.nspname::text, '') AS schema, 'of ' || quote_ident(${ROLE("d.defaclrole")}) || ' in ' || coalesce(quote_ident(n.nspname), 'all schemas') || ' for ' || d.defaclobjtype::text AS identity, d.defaclacl AS acl
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace`;

export const RIGHTS_FACTS: readonly FactQuery[] = [
  ...HOLDERS.map((holder) => ({
    kind: `rights on ${holder.of}`,
    sql: `${grants(holder.objects, `coalesce(o.acl, acldefault('${holder.letter}', o.owner))`)} UNION ALL ${effective(holder)}`,
  })),
  { kind: "rights on column", sql: grants(COLUMNS, "o.acl") },
  { kind: "default privileges", sql: grants(DEFAULTS, "o.acl") },
];
