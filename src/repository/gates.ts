import { AppError, kernelError, throwIfAborted } from "../kernel/index.ts";

/**
 * A bounded amount of something (bytes in flight, uploads under way). First come, first served; a request larger than
 * the whole is let in when nothing else is, so that no request waits for ever.
 */
export class Gate {
  readonly #capacity: number;
  #used = 0;
  readonly #waiting: { amount: number; admit: () => void; reject: (reason: unknown) => void }[] =
    [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  async enter(amount: number, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    if (this.#waiting.length === 0 && this.#fits(amount)) {
      this.#used += amount;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        reject(abortError(signal));
        this.#admitNext();
      };
      const entry = {
        amount,
        reject,
        admit: () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(entry);
    });
  }

  leave(amount: number): void {
    this.#used -= amount;
    this.#admitNext();
  }

  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.#capacity;
  }

  #admitNext(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!this.#fits(next.amount)) return;
      this.#used += next.amount;
      this.#waiting.shift();
      next.admit();
    }
  }
}

function abortError(signal: AbortSignal): AppError {
  const reason: unknown = signal.reason;
  if (reason instanceof AppError) return reason;
  return kernelError("cancelled", { message: "cancelled", cause: reason });
}

/** Work started and not awaited one by one. The first failure is kept and thrown by `settled`; none is unhandled. */
export class Tasks {
  #running = 0;
  #failure: { readonly thrown: unknown } | undefined;
  #idle: (() => void)[] = [];

  start(work: () => Promise<void>): void {
    this.#running += 1;
    void work()
      .catch((thrown: unknown) => {
        this.#failure ??= { thrown };
      })
      .finally(() => {
        this.#running -= 1;
        if (this.#running > 0) return;
        for (const wake of this.#idle.splice(0)) wake();
      });
  }

  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Resolves when nothing runs; throws the first failure. */
  async settled(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.throwIfFailed();
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }
}
