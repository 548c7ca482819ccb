/**
 * Whether a session through a pooler is one session: the same backend serves all of its statements, and no other
 * session. PgBouncer and Supavisor in transaction mode look like a server on any port and under any name; a setting made
 * there lands on a backend that the application shares, and the next statement may run without it.
 *
 * A round: `first` asks twice, `second` opens a transaction and asks, `first` asks again while it is open. A pooler that
 * gives the backend used last gives it to `second`; one that takes turns moves `first`. Nothing is set outside of a
 * transaction meanwhile, so nothing stays behind on a backend.
 */
import { postgresError } from "./errors.ts";

/** One statement; the first column of its last row, as text. */
export type Ask = (sql: string) => Promise<string>;

const ROUNDS = 4;
export const BACKEND_PID = "SELECT pg_catalog.pg_backend_pid()::pg_catalog.text";

/** Throws `session_not_held`; gives the process id of the backend that serves `first`. */
export async function demandHeldSessions(first: Ask, second: Ask): Promise<number> {
  const pid = await first(BACKEND_PID);
  let other: string | undefined;
  for (let round = 0; round < ROUNDS; round += 1) {
    demandSame(pid, await first(BACKEND_PID));
    await second("BEGIN READ ONLY");
    const now = await second(BACKEND_PID);
    if (now === pid) throw notHeld(`two sessions are served by one backend (${pid})`);
    demandSame(other ?? now, now);
    other = now;
    demandSame(pid, await first(BACKEND_PID));
    await second("COMMIT");
  }
  return Number(pid);
}

function demandSame(before: string, now: string): void {
  if (before !== now) throw notHeld(`a session moved from backend ${before} to ${now}`);
}

function notHeld(what: string): Error {
  return postgresError("session_not_held", { message: `pooler that keeps no session: ${what}` });
}
