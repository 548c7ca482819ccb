import { AppError, throwIfAborted } from "../kernel/index.ts";
import type { Secret } from "../kernel/index.ts";
import { connect } from "./connect.ts";
import { postgresError } from "./errors.ts";
import { demandHeldSessions } from "./held-session.ts";
import type { Ask } from "./held-session.ts";
import { quoteLiteral } from "./quote.ts";
import type { Connection } from "./types.ts";

export interface SessionProof {
  /** Something between here and the server: it names another process than the one that serves. */
  readonly pooled: boolean;
  readonly versionNum: number;
  /** `pg_current_snapshot()` as both sessions saw it. */
  readonly pgSnapshot: string;
}

/** A pooler that has no room for a second session lets it wait for ever. */
const DEADLINE_MS = 60_000;

/**
 * Shows that what a capture rests on is so at this address: two sessions that stay on their backends, and a snapshot
 * exported by one that the other sees. READ ONLY; nothing stays behind. Throws `postgres.session_not_held` where not.
 */
export async function proveSession(options: {
  readonly url: Secret;
  readonly applicationName: string;
  readonly signal: AbortSignal;
}): Promise<SessionProof> {
  throwIfAborted(options.signal);
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const signal = AbortSignal.any([options.signal, deadline]);
  try {
    return await prove({ ...options, signal });
  } catch (thrown) {
    throwIfAborted(options.signal);
    if (!deadline.aborted) throw thrown;
    throw postgresError("timeout", {
      message: `no answer to two sessions at once within ${DEADLINE_MS / 1000} s`,
      hint: "Look whether a pooler has room for two sessions of this role.",
      cause: thrown,
    });
  }
}

async function prove(options: {
  readonly url: Secret;
  readonly applicationName: string;
  readonly signal: AbortSignal;
}): Promise<SessionProof> {
  await using first = await connect({ ...options, readOnly: true });
  await using second = await connect({ ...options, readOnly: true });
  await demandHeldSessions(asks(first), asks(second));
  const pgSnapshot = await demandSharedSnapshot(first, second);
  return { pooled: first.pooled, versionNum: first.versionNum, pgSnapshot };
}

function asks(session: Connection): Ask {
  return async (sql) => {
    const [row] = await session.query<Record<string, string>>(sql);
    return Object.values(row ?? {})[0] ?? "";
  };
}

const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const SEEN = "SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text";

async function demandSharedSnapshot(holder: Connection, reader: Connection): Promise<string> {
  const [ask, read] = [asks(holder), asks(reader)];
  await ask(BEGIN);
  const id = await ask("SELECT pg_catalog.pg_export_snapshot()");
  const exported = await ask(SEEN);
  await read(BEGIN);
  try {
    await read(`SET TRANSACTION SNAPSHOT ${quoteLiteral(id)}`);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code === "postgres.connection_lost") throw thrown;
    throw snapshotLost(thrown);
  }
  const seen = await read(SEEN);
  if (seen !== exported || exported === "") throw snapshotLost();
  await read("COMMIT");
  await ask("COMMIT");
  return exported;
}

function snapshotLost(cause?: AppError): AppError {
  return postgresError("session_not_held", {
    message: "snapshot exported by one session that another one cannot see",
    ...(cause === undefined ? {} : { cause }),
  });
}
