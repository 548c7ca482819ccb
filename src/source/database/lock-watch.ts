/**
 * DDL never waits long behind us (I4). A statement that wants a table for itself waits until everybody who reads the
 * table has done, and whoever wants to read or write it meanwhile waits behind that statement: a backup that reads on
 * would stop the application. So once a second a session of its own looks who waits for us:
 *
 * 1. a session that was waited for longer than the patience gives its lock up: the reading of that part is cancelled,
 *    and what it read is thrown away; whoever read decides whether it is read again
 *    at once, where the session itself waits for another one: two that wait for each other are a deadlock, which the
 *    server would end after a second by an error for either of them
 * 2. the session that holds the snapshot has no lock on any table; what waits for it waits for the snapshot to end
 *    (CREATE INDEX CONCURRENTLY and REINDEX, which hold nobody up meanwhile): that is said aloud, once for each
 *
 * `pg_locks` and `pg_blocking_pids` may be read by every role, and neither waits for a lock of a table.
 */
import type { AppError, Clock } from "../../kernel/index.ts";
import { formatDuration, toAppError } from "../../kernel/index.ts";
import { sourceError } from "../errors.ts";
import type { ControlSession } from "./control.ts";
import type { Notices } from "./notices.ts";

/** What the application can bear: everything that reads the table waits as well. */
export const DEFAULT_LOCK_PATIENCE_MS = 5_000;
const LOOK_EVERY_MS = 500;

export interface LockWatchOptions {
  readonly patienceMs: number;
  readonly clock: Clock;
  readonly notices: Pick<Notices, "say">;
  readonly control: ControlSession;
  /** Of the session that holds the snapshot. */
  readonly snapshotPid: number;
}

/** A session of ours that may hold locks of tables: our own by its process, a program's by the name that it was given. */
export type LockHolder = { readonly pid: number } | { readonly applicationName: string };

export interface Hold extends Disposable {
  /** Aborts, with `source.ddl_waited` as its reason, when somebody has waited for longer than the patience. */
  readonly signal: AbortSignal;
  /** The reason; `undefined` while nobody has. */
  waited(): AppError | undefined;
}

export interface LockWatch extends AsyncDisposable {
  /** From here until it is disposed whoever waits for that session is noticed. */
  hold(holder: LockHolder): Hold;
}

interface WaitRow extends Record<string, unknown> {
  readonly waiter: number;
  readonly holder: number;
  readonly holder_name: string;
  readonly what: string;
  readonly mode: string;
  /** Of a virtual transaction: waits for the snapshot, not for a lock. */
  readonly for_snapshot: boolean;
  readonly holder_waits: boolean;
}

/**
 * A statement CONCURRENTLY waits for transactions one by one: for those that lock its table, which may give way, or for
 * those whose snapshot is older than it is, which only an end of the snapshot would help. Only CREATE and REINDEX INDEX do
 * the second; where the server hides the phase it is taken for the second, so that nothing is given up in vain.
 */
const WAITS = `
  SELECT DISTINCT w.pid AS waiter, b.pid AS holder, coalesce(a.application_name, '') AS holder_name,
         coalesce(w.relation::text, w.locktype) AS what, w.mode AS mode,
         (w.locktype = 'virtualxid' AND p.pid IS NOT NULL
           AND coalesce(p.phase, 'waiting for old snapshots') = 'waiting for old snapshots') AS for_snapshot,
         EXISTS (SELECT FROM pg_locks AS o WHERE o.pid = b.pid AND NOT o.granted) AS holder_waits
    FROM pg_locks AS w
   CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b(pid)
    LEFT JOIN pg_stat_activity AS a ON a.pid = b.pid
    LEFT JOIN pg_stat_progress_create_index AS p ON p.pid = w.pid
   WHERE NOT w.granted AND (b.pid = ANY ($1::int[]) OR a.application_name = ANY ($2::text[]))`;

class Holding implements Hold {
  readonly holder: LockHolder;
  readonly #given = new AbortController();
  #waited: AppError | undefined;
  readonly #end: () => void;

  constructor(holder: LockHolder, end: (holding: Holding) => void) {
    this.holder = holder;
    this.#end = () => end(this);
  }

  get signal(): AbortSignal {
    return this.#given.signal;
  }

  waited(): AppError | undefined {
    return this.#waited;
  }

  giveWay(error: AppError): void {
    this.#waited ??= error;
    this.#given.abort(this.#waited);
  }

  holds({ holder, holder_name: name }: WaitRow): boolean {
    return "pid" in this.holder ? this.holder.pid === holder : this.holder.applicationName === name;
  }

  [Symbol.dispose](): void {
    this.#end();
  }
}

/**
 * A program whose session waits for a lock does not end by being killed, not before it has the lock: its session is ended
 * at the server. A role may do that to sessions of its own.
 */
const END_PROGRAM = `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity
   WHERE pid = $1 AND application_name = $2 AND usename = current_user`;

/** Looks until it is disposed; then nothing of it is under way. */
export function watchLocks(options: LockWatchOptions): LockWatch {
  const { control, clock, notices } = options;
  const holdings = new Set<Holding>();
  const waits = new Waits(options, holdings);
  let looking: Promise<void> | undefined;
  let blind = false;
  const ticker = clock.every(LOOK_EVERY_MS, () => {
    looking ??= control
      .run((session) => session.query<WaitRow>(WAITS, namesOf(options, holdings)))
      .then(async (rows) => {
        blind = false;
        for (const { holder, holder_name: name } of waits.see(rows)) {
          await control.run((session) => session.query(END_PROGRAM, [holder, name]));
        }
      })
      .catch((error: unknown) => {
        // A source that does not answer fails the reading as well; one that has no session left for us may not.
        if (!blind)
          notices.say(`nobody saw who waited for this backup: ${toAppError(error).message}`);
        blind = true;
      })
      .finally(() => (looking = undefined));
  });
  return {
    hold: (holder) => {
      const holding = new Holding(holder, (ended) => holdings.delete(ended));
      holdings.add(holding);
      return holding;
    },
    [Symbol.asyncDispose]: async () => {
      ticker[Symbol.dispose]();
      await looking;
    },
  };
}

function namesOf(
  { snapshotPid }: LockWatchOptions,
  holdings: ReadonlySet<Holding>,
): readonly [number[], string[]] {
  const pids = [snapshotPid];
  const names: string[] = [];
  for (const { holder } of holdings) {
    if ("pid" in holder) pids.push(holder.pid);
    else names.push(holder.applicationName);
  }
  return [pids, names];
}

/** Who waits since when, by our own clock: PostgreSQL 13 does not tell. */
class Waits {
  readonly #options: LockWatchOptions;
  readonly #holdings: ReadonlySet<Holding>;
  readonly #warned = new Set<number>();
  #since = new Map<string, number>();

  constructor(options: LockWatchOptions, holdings: ReadonlySet<Holding>) {
    this.#options = options;
    this.#holdings = holdings;
  }

  /** Gives way where somebody has waited for too long; the result are programs whose sessions are to be ended. */
  see(rows: readonly WaitRow[]): readonly WaitRow[] {
    const { clock, patienceMs } = this.#options;
    const nowMs = clock.monotonicMs();
    const seen = new Map<string, number>();
    const programs: WaitRow[] = [];
    for (const row of rows) {
      const key = [row.waiter, row.holder, row.what, row.mode].join(" ");
      const sinceMs = this.#since.get(key) ?? nowMs;
      seen.set(key, sinceMs);
      if (nowMs - sinceMs < patienceMs && !row.holder_waits) continue;
      if (this.#act(row, nowMs - sinceMs)) programs.push(row);
    }
    this.#since = seen;
    return programs;
  }

  /** True of a program. */
  #act(row: WaitRow, waitedMs: number): boolean {
    const { notices, snapshotPid } = this.#options;
    if (row.for_snapshot || row.holder === snapshotPid) {
      if (this.#warned.has(row.waiter)) return false;
      this.#warned.add(row.waiter);
      notices.say(
        `session ${row.waiter}, a statement CONCURRENTLY, that waited for the end of this backup`,
      );
      return false;
    }
    const error = sourceError("ddl_waited", {
      message: `session ${row.waiter}, which has waited for ${formatDuration(waitedMs)} for a lock of this backup`,
      subject: { pid: row.waiter, mode: row.mode },
    });
    const held = [...this.#holdings].filter((one) => one.holds(row));
    for (const one of held) one.giveWay(error);
    return held.some(({ holder }) => "applicationName" in holder);
  }
}
