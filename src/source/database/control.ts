/** One session that reads the present (not the snapshot), shared by whoever asks: one statement at a time. */
import type { Connection } from "../../postgres/index.ts";
import { openSession } from "./snapshot.ts";
import type { SessionOptions } from "./snapshot.ts";

export class ControlSession implements AsyncDisposable {
  readonly #options: SessionOptions;
  readonly #name: string;
  #session: Connection | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: SessionOptions, name = "control") {
    this.#options = options;
    this.#name = name;
  }

  /** A lost session is opened again for the next caller. */
  run<Result>(work: (session: Connection) => Promise<Result>): Promise<Result> {
    const turn = this.#queue.then(async () => {
      this.#session ??= await openSession(this.#options, this.#name);
      try {
        return await work(this.#session);
      } catch (error) {
        await this.#close();
        throw error;
      }
    });
    // The next in line does not care how this one ended; the caller has the promise that does.
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue;
    await this.#close();
  }

  async #close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.[Symbol.asyncDispose]();
  }
}
