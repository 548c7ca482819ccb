/**
 * COPY … TO STDOUT straight from the socket.
 *
 * 1. While a COPY runs, every chunk of the socket passes a filter that takes the rows out of their CopyData frames;
 *    all other messages go on to the driver's parser, in order.
 * 2. Rows gather in large chunks; where the consumer lags, the socket is paused.
 * 3. The end is CopyDone, CommandComplete and ReadyForQuery, all three. Anything else is an error, never a short result.
 */
import type { Connection as WireConnection } from "pg";
import { bug } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { postgresError } from "./errors.ts";

/** Small pieces (a unix socket gives 8 KiB at a time) are gathered up to this; large ones go on as they are. */
const CHUNK_BYTES = 256 * 1024;
const LARGE_BYTES = 32 * 1024;
const PAUSE_AT_BYTES = 1024 * 1024;
const RESUME_AT_BYTES = 512 * 1024;

/** What the reading of a COPY needs of its socket. */
export interface CopySource {
  pause(): void;
  resume(): void;
}

/** Rows of one COPY on their way from the socket to one consumer. */
export class CopyOutQueue {
  readonly #source: CopySource;
  readonly #chunks: Bytes[] = [];
  #queuedBytes = 0;
  #filling = Buffer.alloc(0);
  #filled = 0;
  #paused = false;
  #discarding = false;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(source: CopySource) {
    this.#source = source;
  }

  /** `payload` is the queue's from here on. */
  push(payload: Bytes): void {
    if (this.#discarding) return;
    if (payload.byteLength >= LARGE_BYTES) {
      this.#cut();
      this.#add(payload);
    } else {
      this.#gather(payload);
    }
    if (this.#queuedBytes >= PAUSE_AT_BYTES && !this.#paused) {
      this.#paused = true;
      this.#source.pause();
    }
  }

  #gather(payload: Bytes): void {
    let at = 0;
    while (at < payload.byteLength) {
      // A buffer of its own for each chunk: the consumer may keep it or hand it to another thread.
      if (this.#filling.byteLength === 0) this.#filling = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      const part = payload.subarray(at, at + CHUNK_BYTES - this.#filled);
      this.#filling.set(part, this.#filled);
      this.#filled += part.byteLength;
      at += part.byteLength;
      if (this.#filled === CHUNK_BYTES) this.#cut();
    }
  }

  end(): void {
    this.#cut();
    this.#ended = true;
    this.#wakeUp();
  }

  fail(error: Error): void {
    this.#error ??= error;
    this.#wakeUp();
  }

  /** Lets the rest of the COPY pass unread, so that the session reaches its end. What is left is no COPY any more. */
  discard(): void {
    this.#discarding = true;
    this.#chunks.length = 0;
    this.#queuedBytes = 0;
    this.#unpause();
  }

  get settled(): boolean {
    return this.#ended || this.#error !== undefined;
  }

  /** `undefined` at the end. One consumer only. */
  async next(): Promise<Bytes | undefined> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#queuedBytes -= chunk.byteLength;
        if (this.#queuedBytes <= RESUME_AT_BYTES) this.#unpause();
        return chunk;
      }
      if (this.#ended && this.#discarding) throw shortened();
      if (this.#ended) return undefined;
      await this.#change();
    }
  }

  /** Resolves when the COPY ended or failed. */
  async finished(): Promise<void> {
    while (!this.settled) await this.#change();
  }

  #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return promise;
  }

  #cut(): void {
    if (this.#filled === 0 || this.#discarding) return;
    this.#add(this.#filling.subarray(0, this.#filled));
    this.#filling = Buffer.alloc(0);
    this.#filled = 0;
  }

  #add(chunk: Bytes): void {
    this.#chunks.push(chunk);
    this.#queuedBytes += chunk.byteLength;
    this.#wakeUp();
  }

  #unpause(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#source.resume();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

function shortened(): Error {
  return postgresError("copy_incomplete", { message: "COPY of which a part was thrown away" });
}

/** The driver's view of one COPY … TO STDOUT: it hears of everything but the rows. */
export class CopyOutStatement {
  readonly queue: CopyOutQueue;
  readonly #sql: string;
  readonly #translate: (thrown: unknown) => Error;
  #copyDone = false;
  #rows: bigint | undefined;

  constructor(options: {
    readonly sql: string;
    readonly source: CopySource;
    readonly translate: (thrown: unknown) => Error;
  }) {
    this.#sql = options.sql;
    this.queue = new CopyOutQueue(options.source);
    this.#translate = options.translate;
  }

  /** Rows by the server's own count; known after the end. */
  get rows(): bigint {
    if (this.#rows === undefined) throw bug("row count of a COPY that has not ended");
    return this.#rows;
  }

  submit(connection: WireConnection): void {
    connection.query(this.#sql);
  }

  handleCopyDone(): void {
    this.#copyDone = true;
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const count = /^COPY (\d+)$/.exec(message.text)?.[1];
    if (count !== undefined) this.#rows = BigInt(count);
  }

  handleReadyForQuery(): void {
    if (this.#copyDone && this.#rows !== undefined) {
      this.queue.end();
      return;
    }
    this.queue.fail(
      postgresError("copy_incomplete", {
        message: "COPY ended without the marks of its end",
        subject: { copyDone: this.#copyDone, commandComplete: this.#rows !== undefined },
      }),
    );
  }

  /** The server's ErrorResponse (ReadyForQuery still follows), or the end of the connection. */
  handleError(error: unknown): void {
    this.queue.fail(this.#translate(error));
  }

  handleRowDescription(): void {
    this.queue.fail(
      postgresError("copy_incomplete", {
        message: "statement gave rows where a COPY was expected",
      }),
    );
  }

  handleDataRow(): void {
    // Rows of a statement that is no COPY: handleRowDescription has failed it already.
  }

  handleEmptyQuery(): void {
    this.queue.fail(postgresError("copy_incomplete", { message: "statement is empty" }));
  }
}
