/*
 * effects
 *   reads         catalogs of the database, READ ONLY
 *   writes        nothing
 *   locks         none
 *   leaves behind nothing: the SQL is for whoever may run it
 */
import type { ConnectionReference } from "../policy/index.ts";
import { connect, readPlatform } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import type { OperationContext } from "./context.ts";
import { connectionUrl } from "./open.ts";
import { formatRoleSql } from "./role-sql-text.ts";

export interface RoleSqlOptions {
  readonly connection: ConnectionReference;
  readonly role: string;
}

/** The SQL of a role that can read all of the database, for its version and kind. Nothing is carried out. */
export async function roleSql(
  context: OperationContext,
  { connection: reference, role }: RoleSqlOptions,
): Promise<string> {
  const { signal } = context;
  const url = await connectionUrl(context, reference);
  await using connection = await connect({
    url,
    applicationName: "sparekeep init",
    readOnly: true,
    signal,
  });
  const platform = await readPlatform(connection);
  return formatRoleSql({
    role,
    database: await nameOf(connection),
    versionNum: connection.versionNum,
    platform,
    loopholes: (await connection.query<{ sql: string }>(LOOPHOLES)).map(({ sql }) => sql),
  });
}

async function nameOf(connection: Connection): Promise<string> {
  const [row] = await connection.query<{ name: string }>("SELECT current_database()::text AS name");
  return row?.name ?? "";
}

/** What PUBLIC, and so the new role, may change or run as somebody else. */
const LOOPHOLES = `
  SELECT format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC;', n.nspname) AS sql
    FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a
   WHERE a.grantee = 0 AND a.privilege_type = 'CREATE'
  UNION ALL
  SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC;', d.datname)
    FROM pg_database d
   WHERE d.datname = current_database()
     AND (d.datacl IS NULL OR EXISTS (SELECT FROM aclexplode(d.datacl) a
                                       WHERE a.grantee = 0 AND a.privilege_type = 'TEMPORARY'))
  UNION ALL
  SELECT format('REVOKE %s ON TABLE %I.%I FROM PUBLIC;', string_agg(a.privilege_type, ', '), n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) a
   WHERE c.relkind IN ('r', 'p', 'v', 'f') AND a.grantee = 0
     AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER')
     AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   GROUP BY n.nspname, c.relname
  UNION ALL
  SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC;', p.oid::regprocedure)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
   WHERE p.prosecdef AND n.nspname !~ '^pg_' AND p.prorettype <> 'trigger'::regtype
     AND p.prorettype <> 'event_trigger'::regtype
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
     AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a
                                       WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE'))
   ORDER BY 1`;
