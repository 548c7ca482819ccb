/**
 * When a database was last written to, as nearly as an outsider can know, READ ONLY:
 *
 * - with `track_commit_timestamp` on, `pg_last_committed_xact()` says it to the microsecond, to every role
 * - else the time at which the current WAL file was last changed (`pg_ls_waldir()`, for members of `pg_monitor`). It is an
 *   upper bound: what the server writes by itself after the last commit, a checkpoint above all, moves it by minutes
 */
import { AppError, throwIfAborted } from "../../kernel/index.ts";
import type { Secret } from "../../kernel/index.ts";
import { connect } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";

export type LastWrite =
  | { readonly at: Date; readonly from: "commit timestamp" | "WAL file" }
  /** Why it is not known. */
  | { readonly unknown: string };

export interface LastWriteOptions {
  readonly url: Secret;
  readonly signal: AbortSignal;
}

const STATEMENT_TIMEOUT_MS = 30_000;

export async function readLastWrite({ url, signal }: LastWriteOptions): Promise<LastWrite> {
  try {
    await using session = await connect({
      url,
      applicationName: "sparekeep last write",
      readOnly: true,
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      signal,
    });
    return (await committed(session)) ?? (await walChanged(session));
  } catch (thrown) {
    throwIfAborted(signal);
    if (!(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
    return { unknown: `the database could not be asked: ${thrown.message}` };
  }
}

async function committed(session: Connection): Promise<LastWrite | undefined> {
  const [setting] = await session.query<{ on: boolean }>(
    "SELECT current_setting('track_commit_timestamp') = 'on' AS on",
  );
  if (setting?.on !== true) return undefined;
  const [row] = await session.query<{ ms: string | null }>(
    "SELECT (extract(epoch FROM timestamp) * 1000)::bigint::text AS ms FROM pg_last_committed_xact()",
  );
  return timeIn(row, "commit timestamp");
}

async function walChanged(session: Connection): Promise<LastWrite> {
  const [standby] = await session.query<{ on: boolean }>("SELECT pg_is_in_recovery() AS on");
  if (standby?.on === true) return { unknown: "the connection leads to a standby" };
  const [right] = await session.query<{ has: boolean }>(
    "SELECT has_function_privilege('pg_catalog.pg_ls_waldir()', 'EXECUTE') AS has",
  );
  if (right?.has !== true) {
    return {
      unknown: "the role may not see when WAL was written: GRANT pg_monitor to it",
    };
  }
  const [row] = await session.query<{ ms: string | null }>(
    `SELECT (extract(epoch FROM modification) * 1000)::bigint::text AS ms
       FROM pg_ls_waldir() WHERE name = pg_walfile_name(pg_current_wal_insert_lsn())`,
  );
  return timeIn(row, "WAL file") ?? { unknown: "the server names no current WAL file" };
}

function timeIn(
  row: { readonly ms: string | null } | undefined,
  from: "commit timestamp" | "WAL file",
): LastWrite | undefined {
  const ms = row?.ms ?? null;
  return ms === null ? undefined : { at: new Date(Number(ms)), from };
}
