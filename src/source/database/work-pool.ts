/** A few sessions taking tasks from one list. */
import { throwIfAborted } from "../../kernel/index.ts";
import type { Connection } from "../../postgres/index.ts";

export interface PoolOptions<Task> {
  readonly tasks: readonly Task[];
  readonly size: number;
  readonly signal: AbortSignal;
  /** Called on the first failure, so that what the other sessions do is cancelled. */
  readonly fail: () => void;
  readonly open: () => Promise<Connection>;
  /** False: the session is of no more use; the pool opens another for the next task. */
  readonly run: (session: Connection, task: Task) => Promise<boolean>;
}

/** Throws the first failure; all sessions are closed by then. */
export async function runPool<Task>(options: PoolOptions<Task>): Promise<void> {
  const queue = [...options.tasks].reverse();
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    try {
      await drain(options, queue);
    } catch (error) {
      failures.push(error);
      options.fail();
    }
  };
  const size = Math.max(1, Math.min(options.size, queue.length));
  await Promise.all(Array.from({ length: size }, worker));
  if (failures.length > 0) throw failures[0];
}

async function drain<Task>(options: PoolOptions<Task>, queue: Task[]): Promise<void> {
  let session: Connection | undefined;
  try {
    for (;;) {
      throwIfAborted(options.signal);
      const task = queue.pop();
      if (task === undefined) return;
      session ??= await options.open();
      if (await options.run(session, task)) continue;
      await session[Symbol.asyncDispose]();
      session = undefined;
    }
  } finally {
    await session?.[Symbol.asyncDispose]();
  }
}
