import { throwIfAborted } from "../kernel/index.ts";
import type { Clock } from "../kernel/index.ts";
import { createTurns } from "./in-turn.ts";

export interface Bucket {
  /** Returns when that much may pass. */
  take(amount: number, signal?: AbortSignal): Promise<void>;
}

/**
 * A token bucket: in no span of time passes more than the rate times the span and one second's burst. Who takes more than
 * a burst takes it in pieces of one, and between two pieces the others have their turn.
 */
export function createBucket(
  ratePerSecond: number,
  clock: Pick<Clock, "monotonicMs" | "sleep">,
): Bucket {
  const burst = Math.max(1, ratePerSecond);
  const inTurn = createTurns();
  let tokens = burst;
  let countedAtMs = clock.monotonicMs();

  const refill = (): void => {
    const nowMs = clock.monotonicMs();
    tokens = Math.min(burst, tokens + ((nowMs - countedAtMs) / 1000) * ratePerSecond);
    countedAtMs = nowMs;
  };
  const takePiece = async (piece: number, signal: AbortSignal | undefined): Promise<void> => {
    for (;;) {
      refill();
      // Sums of fractions may fall short by one in 10^9 for ever.
      if (tokens >= piece * (1 - 1e-9)) break;
      const waitMs = Math.max(1, Math.ceil(((piece - tokens) / ratePerSecond) * 1000));
      await clock.sleep(waitMs, signal).catch((thrown: unknown) => {
        throwIfAborted(signal);
        throw thrown;
      });
    }
    tokens -= piece;
  };
  return {
    take: async (amount, signal) => {
      throwIfAborted(signal);
      for (let left = amount; left > 0;) {
        const piece = Math.min(left, burst);
        await inTurn("", signal, () => takePiece(piece, signal));
        left -= piece;
      }
    },
  };
}
