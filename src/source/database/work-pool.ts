/** A few sessions taking tasks from one list. */
import { AppError, throwIfAborted } from "../../kernel/index.ts";
import type { Clock } from "../../kernel/index.ts";
import type { Connection } from "../../postgres/index.ts";

export interface PoolOptions<Task> {
  readonly tasks: readonly Task[];
  readonly size: number;
  readonly clock: Pick<Clock, "sleep">;
  readonly signal: AbortSignal;
  /** Called on the first failure, so that what the other sessions do is cancelled. */
  readonly fail: () => void;
  readonly open: () => Promise<Connection>;
  /** False: the session is of no more use; the pool opens another for the next task. */
  readonly run: (session: Connection, task: Task) => Promise<boolean>;
}

/** A server without a connection for us is asked again: for one minute, where nobody else goes on. */
const OPEN_ATTEMPTS = 13;
const OPEN_AGAIN_MS = 5_000;

/** Throws the first failure; all sessions are closed by then. */
export async function runPool<Task>(options: PoolOptions<Task>): Promise<void> {
  const pool: Pool<Task> = { ...options, queue: [...options.tasks].reverse(), sessions: 0 };
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    try {
      await drain(pool);
    } catch (error) {
      failures.push(error);
      options.fail();
    }
  };
  const size = Math.max(1, Math.min(options.size, pool.queue.length));
  await Promise.all(Array.from({ length: size }, worker));
  if (failures.length > 0) throw failures[0];
}

interface Pool<Task> extends PoolOptions<Task> {
  readonly queue: Task[];
  /** Open, or about to be: as long as there is one, somebody goes on. */
  sessions: number;
}

async function drain<Task>(pool: Pool<Task>): Promise<void> {
  let session: Connection | undefined;
  const close = async (): Promise<void> => {
    if (session === undefined) return;
    const ended = session;
    session = undefined;
    pool.sessions -= 1;
    await ended[Symbol.asyncDispose]();
  };
  try {
    while (pool.queue.length > 0) {
      throwIfAborted(pool.signal);
      if (session === undefined) {
        session = await open(pool);
        // The others do what this one would have done, or have done it.
        if (session === undefined) return;
      }
      const task = pool.queue.pop();
      if (task === undefined) return;
      if (!(await pool.run(session, task))) await close();
    }
  } finally {
    await close();
  }
}

/** `undefined`: the server has no connection left for us, and others of the pool have one or have done everything. */
async function open<Task>(pool: Pool<Task>): Promise<Connection | undefined> {
  for (let attempt = 1; pool.queue.length > 0; attempt += 1) {
    pool.sessions += 1;
    try {
      return await pool.open();
    } catch (error) {
      pool.sessions -= 1;
      const full = error instanceof AppError && error.code === "postgres.too_many_connections";
      if (!full) throw error;
      if (pool.sessions > 0) return undefined;
      if (attempt === OPEN_ATTEMPTS) throw error;
      await pool.clock.sleep(OPEN_AGAIN_MS, pool.signal);
    }
  }
  return undefined;
}
