import type { Clock } from "../../kernel/index.ts";

/** Time passes when somebody sleeps, to the next who is to wake, once all others wait too. */
export function createSleptClock(): Pick<Clock, "monotonicMs" | "sleep"> & { passed(): number } {
  let nowMs = 0;
  const sleepers = new Set<{ dueMs: number; wake: () => void }>();
  const wakeNext = (): void => {
    const [next] = [...sleepers].sort((a, b) => a.dueMs - b.dueMs);
    if (next === undefined) return;
    sleepers.delete(next);
    nowMs = Math.max(nowMs, next.dueMs);
    next.wake();
  };
  return {
    monotonicMs: () => nowMs,
    passed: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { dueMs: nowMs + ms, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", () => {
          sleepers.delete(sleeper);
          reject(new DOMException("aborted", "AbortError"));
        });
        setImmediate(wakeNext);
      }),
  };
}
