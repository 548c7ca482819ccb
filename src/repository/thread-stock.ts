import { setTimeout } from "node:timers";
import { Worker } from "node:worker_threads";

/** From source in a checkout, from `dist` in a package: the file beside this one, of the same kind. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
export const SEAL_WORKER = new URL(`./seal-worker${EXTENSION}`, import.meta.url);
export const VERIFY_WORKER = new URL(`./check/verify-worker${EXTENSION}`, import.meta.url);

/** Buffers lie outside these; what is bounded here are objects, which are few. A small young generation frees buffers soon. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 2 };
/** Of each kind; the caller's own thread reads, cuts and uploads beside them. */
export const THREADS = 2;
/** Threads that nobody took are given back. */
const IDLE_MS = 10_000;

/** The keys come with its first message. */
export function startThread(entry: URL): Worker {
  // Neither the environment with its secrets nor the flags of whoever started us (a test runner, a profiler).
  return new Worker(entry, { resourceLimits: RESOURCE_LIMITS, env: {}, execArgv: [] });
}

/**
 * Threads that start while something else is waited for. They keep no process alive, and one that ends before it was taken
 * is dropped: whoever needs it starts another and hears why that fails.
 */
export class ThreadStock implements AsyncDisposable {
  readonly #entry: URL;
  readonly #idle = new Set<Worker>();
  readonly #timer: NodeJS.Timeout;

  constructor(entry: URL, count: number, idleMs = IDLE_MS) {
    this.#entry = entry;
    this.#timer = setTimeout(() => void this[Symbol.asyncDispose](), idleMs);
    this.#timer.unref();
    for (let i = 0; i < count; i += 1) this.#start();
  }

  /** One that runs this program; the caller's from here on. */
  take(entry: URL): Worker {
    const [worker] = entry.href === this.#entry.href ? this.#idle : [];
    if (worker === undefined) return startThread(entry);
    this.#idle.delete(worker);
    worker.removeAllListeners();
    worker.ref();
    return worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    const idle = [...this.#idle];
    this.#idle.clear();
    await Promise.all(idle.map((worker) => worker.terminate()));
  }

  /** Where the system gives no thread, who needs one hears of it; many do not. */
  #start(): void {
    let worker: Worker;
    try {
      worker = startThread(this.#entry);
    } catch {
      return;
    }
    worker.unref();
    worker.on("error", () => this.#idle.delete(worker));
    worker.on("exit", () => this.#idle.delete(worker));
    this.#idle.add(worker);
  }
}
