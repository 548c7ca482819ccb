/**
 * The one moment that a capture reads: a REPEATABLE READ, READ ONLY transaction exports its snapshot and stays open;
 * every other session imports it. The exporting session reads no table, so it holds no lock that DDL could wait for.
 */
import { AppError } from "../../kernel/index.ts";
import type { Secret } from "../../kernel/index.ts";
import { connect, quoteLiteral } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { sourceError } from "../errors.ts";
import { readStandbyMoment } from "./standby.ts";
import type { StandbyMoment } from "./standby.ts";

export interface SessionOptions {
  readonly url: Secret;
  readonly lockTimeoutMs: number;
  readonly signal: AbortSignal;
}

export interface ExportedSnapshot extends AsyncDisposable {
  readonly id: string;
  /** `pg_current_snapshot()`: which transactions the rows include. */
  readonly pgSnapshot: string;
  readonly insertLsnAfter?: string;
  /** Of a standby alone: the moment that it shows. */
  readonly standby?: StandbyMoment;
  readonly versionNum: number;
  /** Of the session that holds it. */
  readonly holderPid: number;
}

/** A COPY of the largest table may take long; it does not take for ever. */
const STATEMENT_TIMEOUT_MS = 12 * 3_600_000;

export function openSession(options: SessionOptions, what: string): Promise<Connection> {
  return connect({
    url: options.url,
    applicationName: `sparekeep ${what}`,
    readOnly: true,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    lockTimeoutMs: options.lockTimeoutMs,
    signal: options.signal,
  });
}

export async function exportSnapshot(options: SessionOptions): Promise<ExportedSnapshot> {
  const session = await openSession(options, "snapshot");
  try {
    const standby = await readStandbyMoment(session);
    await session.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const [row] = await session.query<{ id: string; pg_snapshot: string }>(
      "SELECT pg_export_snapshot() AS id, pg_current_snapshot()::text AS pg_snapshot",
    );
    if (row === undefined)
      throw sourceError("catalog_unreadable", { message: "exported snapshot" });
    const insertLsnAfter = standby !== undefined ? undefined : await readInsertLsn(session);
    return {
      id: row.id,
      pgSnapshot: row.pg_snapshot,
      ...(insertLsnAfter === undefined ? {} : { insertLsnAfter }),
      ...(standby === undefined ? {} : { standby }),
      versionNum: session.versionNum,
      holderPid: session.backendPid,
      [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
    };
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

async function readInsertLsn(session: Connection): Promise<string | undefined> {
  const [row] = await session.query<{ lsn: string }>(
    "SELECT pg_current_wal_insert_lsn()::text AS lsn",
  );
  return row?.lsn;
}

/** Begins a transaction under the snapshot; the caller ends it. */
export async function importSnapshot(session: Connection, id: string): Promise<void> {
  try {
    await session.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${quoteLiteral(id)}`,
    );
  } catch (error) {
    if (error instanceof AppError && isGone(error)) {
      throw sourceError("snapshot_lost", {
        message: `exported snapshot ${id} is gone`,
        cause: error,
      });
    }
    throw error;
  }
}

/** The server words it differently from version to version; both codes have no other cause in this statement. */
function isGone(error: AppError): boolean {
  return error.subject["sqlstate"] === "22023" || error.subject["sqlstate"] === "42704";
}

/** Runs `work` in a transaction under the snapshot and ends it, so that its locks go. */
export async function underSnapshot<Result>(
  session: Connection,
  id: string,
  work: () => Promise<Result>,
): Promise<Result> {
  await importSnapshot(session, id);
  const result = await work().catch(async (error: unknown) => {
    await endTransaction(session);
    throw error;
  });
  await session.query("COMMIT");
  return result;
}

async function endTransaction(session: Connection): Promise<void> {
  try {
    await session.query("ROLLBACK");
  } catch {
    // The session is lost, and the transaction with it; the error that led here says more.
  }
}
