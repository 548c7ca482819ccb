import { throwIfAborted } from "../kernel/index.ts";
import type { Clock } from "../kernel/index.ts";
import { waitOf } from "./send.ts";

/** Requests that are left of an endpoint's minute, as the API tells with each answer: who asks too often makes others wait. */
export interface RequestBudget {
  wait(endpoint: string, signal: AbortSignal): Promise<void>;
  note(endpoint: string, headers: Headers): void;
}

export function createBudget(clock: Pick<Clock, "monotonicMs" | "sleep">): RequestBudget {
  const spentUntilMs = new Map<string, number>();
  return {
    wait: async (endpoint, signal) => {
      const leftMs = (spentUntilMs.get(endpoint) ?? 0) - clock.monotonicMs();
      if (leftMs <= 0) return;
      await clock.sleep(leftMs, signal).catch((reason: unknown) => {
        throwIfAborted(signal);
        throw reason;
      });
    },
    note: (endpoint, headers) => {
      const resetMs = waitOf(headers);
      if (headers.get("x-ratelimit-remaining") !== "0" || resetMs === undefined) {
        spentUntilMs.delete(endpoint);
        return;
      }
      spentUntilMs.set(endpoint, clock.monotonicMs() + resetMs);
    },
  };
}
