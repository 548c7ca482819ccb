import { AppError } from "../../kernel/index.ts";
import { connect, quoteIdentifier } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { restoreError } from "../errors.ts";
import { inTransaction } from "../ledger.ts";
import type { PartialOptions } from "./types.ts";

/**
 * The one session of a partial restore: it stages, plans, waits for consent and executes. What it stages are temporary
 * tables, which end with it, however it ends.
 */
export interface PartialSession extends AsyncDisposable {
  readonly connection: Connection;
  readonly database: string;
  readonly role: string;
  /** `session_replication_role = replica` holds: ordinary triggers, and those of foreign keys, do not fire. */
  readonly replica: boolean;
  readonly targetIsSource: boolean;
  /** What the role's own sessions have: functions of the application may count on it. */
  readonly searchPath: string;
}

/** No name of ours is looked up where others make objects. */
const OUR_PATH = "pg_catalog, pg_temp";

/**
 * In the caller's transaction: `work` runs what the application wrote (checks, generated columns, expressions of indexes)
 * or the user did, under the search path that the role's sessions have. Our own names are qualified in it all the same.
 */
export async function onRolesPath<Result>(
  { connection, searchPath }: PartialSession,
  work: () => Promise<Result>,
): Promise<Result> {
  await connection.query("SELECT set_config('search_path', $1, true)", [searchPath]);
  const result = await work();
  await connection.query(`SET LOCAL search_path = ${OUR_PATH}`);
  return result;
}

export const LOCK_WAIT_MS = 3_000;

export async function openPartialSession(options: PartialOptions): Promise<PartialSession> {
  const { signal } = options;
  const connection = await connect({
    url: options.targetUrl,
    applicationName: "sparekeep restore rows",
    readOnly: false,
    statementTimeoutMs: 0,
    lockTimeoutMs: LOCK_WAIT_MS,
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    await connection.query(`SET search_path = ${OUR_PATH}`);
    const login = await readLogin(connection);
    refuseLogin(login, options.trustSource);
    return {
      connection,
      database: login.database,
      role: login.role,
      replica: await quieten(connection),
      targetIsSource: await isSource(connection, options),
      searchPath: login.searchPath,
      [Symbol.asyncDispose]: () => leave(connection),
    };
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}

/** A session pooler may give the server's session to somebody else: nothing of ours stays in it. */
async function leave(connection: Connection): Promise<void> {
  // Where the session is lost or was cancelled, there is nothing left to take away.
  await connection.query("DISCARD ALL").catch(() => undefined);
  await connection[Symbol.asyncDispose]();
}

interface Login extends Record<string, unknown> {
  readonly database: string;
  readonly role: string;
  readonly superuser: boolean;
  readonly temporary: boolean;
  readonly searchPath: string;
}

async function readLogin(connection: Connection): Promise<Login> {
  const [login] = await connection.query<Login>(
    `SELECT current_database()::text AS database, rolname::text AS role, EXISTS (SELECT FROM pg_roles AS s WHERE s.rolsuper AND pg_has_role(current_user, s.oid, 'MEMBER')) AS superuser,
            has_database_privilege(current_database(), 'TEMPORARY') AS temporary,
            (SELECT reset_val FROM pg_settings WHERE name = 'search_path') AS "searchPath"
       FROM pg_roles WHERE rolname = current_user`,
  );
  if (login !== undefined) return login;
  throw restoreError("target_refuses", { message: "login without a role of its own" });
}

/** Checks, defaults and expressions of indexes are functions of the application, and run as whoever writes, or as whom it may become. */
function refuseLogin({ role, superuser, temporary, database }: Login, trustSource: boolean): void {
  if (superuser && !trustSource) {
    throw restoreError("superuser_refused", {
      message: `login ${JSON.stringify(role)}, a superuser or a member of one`,
    });
  }
  if (temporary) return;
  throw restoreError("target_refuses", {
    message: `role ${JSON.stringify(role)} that may make no temporary tables`,
    hint: `Run: GRANT TEMPORARY ON DATABASE ${quoteIdentifier(database)} TO ${quoteIdentifier(role)}.`,
  });
}

/** Where the role may: a superuser, one with SET on the parameter, a customer of a platform that lets it. */
async function quieten(connection: Connection): Promise<boolean> {
  try {
    await connection.query("SET session_replication_role = replica");
    return true;
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "postgres.permission_denied") return false;
    throw thrown;
  }
}

async function isSource(connection: Connection, { manifest }: PartialOptions): Promise<boolean> {
  const { server } = manifest.database;
  const [row] = await connection.query<{ oid: string; name: string; may: boolean }>(
    `SELECT oid::text AS oid, datname::text AS name,
            has_function_privilege('pg_control_system()', 'EXECUTE') AS may
       FROM pg_database WHERE datname = current_database()`,
  );
  const sameOid = row?.oid === String(server.databaseOid);
  if (row?.may !== true || server.systemIdentifier === undefined) {
    return sameOid && row?.name === server.databaseName;
  }
  const [control] = await connection.query<{ id: string }>(
    "SELECT system_identifier::text AS id FROM pg_control_system()",
  );
  return control?.id === server.systemIdentifier && sameOid;
}

/** What reads the target while it is planned can write nothing but temporary tables. */
export function readOnly<Result>(
  connection: Connection,
  work: () => Promise<Result>,
): Promise<Result> {
  return inTransaction(connection, work, "BEGIN READ ONLY");
}

export async function countOf(
  connection: Connection,
  sql: string,
  values?: readonly unknown[],
): Promise<bigint> {
  const [row] = await connection.query<{ count: string }>(sql, values);
  if (row === undefined) {
    throw restoreError("target_refuses", { message: "count without an answer" });
  }
  return BigInt(row.count);
}
