import { expect, test } from "vitest";
import { kernelError, toAppError } from "../../kernel/index.ts";
import { postgresError } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { runPool } from "./work-pool.ts";
import type { PoolOptions } from "./work-pool.ts";

/** Counts what is open; `refuse` says of each attempt to open whether the server is full. */
function pool(refuse: (attempt: number) => boolean): {
  options: PoolOptions<number>;
  done: number[];
  open(): number;
  attempts(): number;
  slept: number[];
  failed(): boolean;
} {
  let attempts = 0;
  let open = 0;
  let failed = false;
  const done: number[] = [];
  const slept: number[] = [];
  const session = { [Symbol.asyncDispose]: async () => void (open -= 1) } as unknown as Connection;
  const options: PoolOptions<number> = {
    tasks: [1, 2, 3, 4, 5],
    size: 3,
    signal: new AbortController().signal,
    fail: () => (failed = true),
    clock: { sleep: async (ms) => void slept.push(ms) },
    open: async () => {
      attempts += 1;
      if (refuse(attempts)) throw postgresError("too_many_connections", { message: "full" });
      open += 1;
      return session;
    },
    run: async (_session, task) => {
      await Promise.resolve();
      done.push(task);
      return true;
    },
  };
  return {
    options,
    done,
    slept,
    open: () => open,
    attempts: () => attempts,
    failed: () => failed,
  };
}

test("a pool that gets one of three connections does all the work with it", async () => {
  const one = pool((attempt) => attempt > 1);
  await runPool(one.options);
  expect(one.done.toSorted()).toEqual([1, 2, 3, 4, 5]);
  expect([one.attempts(), one.slept, one.open(), one.failed()]).toEqual([3, [], 0, false]);
});

test("a full server is asked again as long as nobody goes on", async () => {
  const one = pool((attempt) => attempt <= 6);
  await runPool({ ...one.options, size: 1 });
  expect(one.done).toEqual([1, 2, 3, 4, 5]);
  expect([one.slept, one.open()]).toEqual([Array.from({ length: 6 }, () => 5_000), 0]);
});

test("a server that stays full ends the pool after a minute", async () => {
  const one = pool(() => true);
  const error = await runPool(one.options).catch(toAppError);
  expect(error).toMatchObject({ code: "postgres.too_many_connections" });
  expect(one.slept).toHaveLength(12);
  expect([one.done, one.failed()]).toEqual([[], true]);
});

test("a session of no more use is closed, and another one takes the rest", async () => {
  const one = pool(() => false);
  const run = async (session: Connection, task: number): Promise<boolean> =>
    (await one.options.run(session, task)) && task !== 2;
  await runPool({ ...one.options, size: 1, run });
  expect(one.done).toEqual([1, 2, 3, 4, 5]);
  expect([one.attempts(), one.open()]).toEqual([2, 0]);
});

test("another error ends the pool at once", async () => {
  const one = pool(() => false);
  const options = {
    ...one.options,
    size: 1,
    open: () => Promise.reject(kernelError("cancelled", { message: "cancelled" })),
  };
  await expect(runPool(options)).rejects.toMatchObject({ code: "kernel.cancelled" });
  expect(one.slept).toEqual([]);
});
