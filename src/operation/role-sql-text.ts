import { quoteIdentifier, quoteLiteral } from "../postgres/index.ts";

export interface RoleSqlFacts {
  readonly role: string;
  readonly database: string;
  /** `server_version_num`. */
  readonly versionNum: number;
  readonly platform: "supabase" | undefined;
  /** Statements that would take from everybody what PUBLIC may change. */
  readonly loopholes: readonly string[];
}

/** Those of a backup, of `doctor`, and one to spare. */
const CONNECTIONS = 12;

/** Plain SQL, for psql or an editor. It ends with what the role still cannot read, as warnings of the server. */
export function formatRoleSql(facts: RoleSqlFacts): string {
  return [head(facts), create(facts), reading(facts), bypass(facts), largeObjects(facts)]
    .concat(platformNote(facts), stillUnreadable(facts), loopholes(facts))
    .filter((part) => part !== "")
    .join("\n");
}

function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, " ");
}

function head({ role, database, versionNum, platform }: RoleSqlFacts): string {
  const kind = platform === "supabase" ? "Supabase, PostgreSQL" : "PostgreSQL";
  const who =
    platform === "supabase"
      ? "Run it as postgres, in the SQL editor or with psql."
      : "Run it in this database as a superuser, or as a role that may do each of these.";
  return `-- A role that can read all of the database ${oneLine(database)} and change nothing in it.
-- For ${kind} ${Math.floor(versionNum / 10_000)}. ${who}
-- Look at the warnings at its end: they name what the role cannot read.
-- Then give it a password that is written nowhere, with psql: \\password ${oneLine(role)}
`;
}

function create({ role, database }: RoleSqlFacts): string {
  const name = quoteIdentifier(role);
  return `CREATE ROLE ${name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT ${CONNECTIONS};
COMMENT ON ROLE ${name} IS 'reads for backups, changes nothing';
GRANT CONNECT ON DATABASE ${quoteIdentifier(database)} TO ${name};
-- A second fence: what keeps it from writing is that it has no right to. It could switch these off for itself.
ALTER ROLE ${name} SET default_transaction_read_only = on;
ALTER ROLE ${name} SET statement_timeout = '12h';
ALTER ROLE ${name} SET idle_in_transaction_session_timeout = '24h';
`;
}

const PREDEFINED_VERSION_NUM = 140_000;

function reading(facts: RoleSqlFacts): string {
  const name = quoteIdentifier(facts.role);
  const monitor = attempt(
    `GRANT pg_monitor TO ${name};`,
    "pg_monitor is not granted: the time of the last write stays unknown",
  );
  if (facts.versionNum < PREDEFINED_VERSION_NUM) return `${oneByOne(facts)}${monitor}`;
  const all = attempt(
    `GRANT pg_read_all_data TO ${name};`,
    "pg_read_all_data is not granted: every table is granted by itself, and new ones need this again",
  );
  return `-- Every table, view and sequence, also those to come.\n${all}${oneByOne(facts)}-- When the last write was.\n${monitor}`;
}

/** What cannot be given is said, and the rest goes on. */
function attempt(statement: string, warning: string): string {
  return `DO $sparekeep$ BEGIN
  ${statement}
EXCEPTION WHEN insufficient_privilege THEN
  RAISE WARNING ${quoteLiteral(warning.replaceAll("%", "%%"))};
END $sparekeep$;
`;
}

/** Where membership gives it already this finds nothing to do. */
function oneByOne({ role }: RoleSqlFacts): string {
  const [name, literal] = [quoteIdentifier(role), quoteLiteral(role)];
  return `-- Where no membership gives it: table by table, as far as this role may.
DO $sparekeep$ DECLARE one record; BEGIN
  FOR one IN
    SELECT format('GRANT USAGE ON SCHEMA %I TO ', nspname) AS sql FROM pg_namespace
     WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
       AND NOT has_schema_privilege(${literal}, oid, 'USAGE')
    UNION ALL
    SELECT format('GRANT SELECT ON %s %I.%I TO ', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(${literal}, c.oid, 'SELECT')
                              ELSE has_table_privilege(${literal}, c.oid, 'SELECT') END
  LOOP
    BEGIN
      EXECUTE one.sql || ${quoteLiteral(name)};
    EXCEPTION WHEN insufficient_privilege THEN
      NULL; -- Named below, with everything else that it cannot read.
    END;
  END LOOP;
END $sparekeep$;
`;
}

function bypass({ role }: RoleSqlFacts): string {
  return `-- Rows that row-level security would hide from it.
${attempt(
  `ALTER ROLE ${quoteIdentifier(role)} BYPASSRLS;`,
  "BYPASSRLS is not given: tables with row-level security are not read, and each backup says which",
)}`;
}

function largeObjects({ role }: RoleSqlFacts): string {
  const name = quoteIdentifier(role);
  return `-- Each large object has rights of its own; \`sparekeep doctor\` names those that come later.
DO $sparekeep$ DECLARE one oid; BEGIN
  FOR one IN SELECT oid FROM pg_largeobject_metadata LOOP
    BEGIN
      EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO ', one) || ${quoteLiteral(name)};
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE WARNING 'large object % cannot be read', one;
    END;
  END LOOP;
END $sparekeep$;
`;
}

function platformNote({ platform }: RoleSqlFacts): string {
  if (platform !== "supabase") return "";
  return `-- Supabase: the schemas auth, storage, cron and vault belong to roles of the platform, and postgres may grant what it
-- was given with grant option. Rows of vault.secrets are read as they are stored, encrypted: the role gets no right
-- to decrypt them. Whatever the warnings below name is read by backups of the role postgres alone, or by none.
`;
}

function stillUnreadable({ role }: RoleSqlFacts): string {
  const literal = quoteLiteral(role);
  return `DO $sparekeep$ DECLARE one record; BEGIN
  FOR one IN
    SELECT n.nspname, c.relname,
           CASE c.relkind WHEN 'S' THEN has_sequence_privilege(${literal}, c.oid, 'SELECT')
                          ELSE has_table_privilege(${literal}, c.oid, 'SELECT') END
             AND has_schema_privilege(${literal}, n.oid, 'USAGE') AS readable
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm', 'S') AND c.relpersistence <> 't'
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
                                                 AND c.relkind = 'S')
       AND NOT (has_schema_privilege(${literal}, n.oid, 'USAGE')
                AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(${literal}, c.oid, 'SELECT')
                                   ELSE has_table_privilege(${literal}, c.oid, 'SELECT') END
                AND NOT (c.relrowsecurity AND NOT (SELECT rolbypassrls FROM pg_roles WHERE rolname = ${literal})))
     ORDER BY 1, 2
  LOOP
    RAISE WARNING '%.%: %', quote_ident(one.nspname), quote_ident(one.relname),
      CASE WHEN one.readable THEN 'rows hidden by row-level security' ELSE 'cannot be read' END;
  END LOOP;
END $sparekeep$;
`;
}

const LARGE_OBJECT_VERSION_NUM = 160_000;

function loopholes({ loopholes: found, versionNum }: RoleSqlFacts): string {
  const lines = found.map((sql) => `-- ${oneLine(sql)}`);
  const large =
    versionNum >= LARGE_OBJECT_VERSION_NUM
      ? []
      : [
          "-- Before PostgreSQL 16 every role may create large objects of its own, also in a transaction that reads only:",
          "-- REVOKE EXECUTE ON FUNCTION lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea) FROM PUBLIC;",
        ];
  if (lines.length + large.length === 0) return "";
  const why =
    lines.length === 0
      ? []
      : [
          "-- What every role of this server may do, this one too: by rights of PUBLIC, or by functions that run as their owner.",
          "-- It reads only, unless it switches that off itself. Taking these away concerns the application: decide, then run.",
        ];
  return [...why, ...lines, ...large, ""].join("\n");
}
