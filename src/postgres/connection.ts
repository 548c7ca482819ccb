/** One session: queries, COPY both ways, cancel on abort. */
import type { Client, QueryResult } from "pg";
import { bug, throwIfAborted } from "../kernel/index.ts";
import type { AppError, Bytes } from "../kernel/index.ts";
import { requestCancel } from "./cancel.ts";
import type { SessionKey } from "./cancel.ts";
import { createCopyFrames, PAYLOAD_BUFFER_BYTES } from "./copy-frames.ts";
import type { CopyFrames, CopyFramesStep } from "./copy-frames.ts";
import { CopyInStatement } from "./copy-in.ts";
import { CopyOutStatement } from "./copy-out.ts";
import { describeTarget } from "./target.ts";
import type { ConnectionTarget } from "./target.ts";
import { translateError } from "./translate.ts";
import type { Connection, CopyOutOptions, WaitOptions } from "./types.ts";

/** After a cancel request, or a polite goodbye, the socket is closed from our side. */
const GOODBYE_MS = 5_000;
/** As many as wait between the socket and the consumer before the socket is paused. */
const SPARES = 20;

export interface SessionParts {
  readonly client: Client;
  readonly target: ConnectionTarget;
  readonly key: SessionKey;
  readonly versionNum: number;
  /** Where it is another process than the key's: a pooler stands between. */
  readonly pooledPid?: number | undefined;
  readonly signal: AbortSignal | undefined;
}

export class PgConnection implements Connection {
  readonly versionNum: number;
  readonly backendPid: number;
  readonly pooled: boolean;
  readonly #client: Client;
  readonly #target: ConnectionTarget;
  readonly #key: SessionKey;
  readonly #signal: AbortSignal | undefined;
  #lost: Error | undefined;
  #copy: CopyOutStatement | undefined;
  #filtered = false;
  /** Buffers of rows that their consumer has done with. */
  readonly #spares: Bytes[] = [];
  #ended = false;

  constructor(parts: SessionParts) {
    this.#client = parts.client;
    this.#target = parts.target;
    this.#key = parts.key;
    this.#signal = parts.signal;
    this.versionNum = parts.versionNum;
    this.backendPid = parts.pooledPid ?? parts.key.processId;
    this.pooled = parts.pooledPid !== undefined;
    // The reason arrives here; the statement that runs, and the next one, report it.
    this.#client.on("error", (error) => {
      this.#lost ??= error;
    });
    this.#client.connection.on("copyDone", () => this.#copy?.handleCopyDone());
  }

  async query<Row extends Record<string, unknown>>(
    sql: string,
    values?: readonly unknown[],
    options: WaitOptions = {},
  ): Promise<readonly Row[]> {
    const result = await this.#watched(options.signal, async () =>
      values === undefined
        ? this.#client.query<Row>(sql)
        : this.#client.query<Row>(sql, [...values]),
    );
    return rowsOf<Row>(result);
  }

  async *copyOut(
    sql: string,
    options: CopyOutOptions = {},
  ): AsyncGenerator<Bytes, void, undefined> {
    this.#checkUsable(options.signal);
    const { stream } = this.#client.connection;
    const statement = new CopyOutStatement({
      sql,
      source: stream,
      translate: (thrown) => this.#translate(thrown, options.signal),
    });
    this.#filterRows();
    this.#copy = statement;
    using _abort = this.#cancelOnAbort(options.signal, () => this.#stopCopy(statement));
    this.#client.query(statement);
    try {
      for (;;) {
        const chunk = await statement.queue.next();
        if (chunk === undefined) break;
        yield chunk;
        if (options.reuse === true) this.#keepSpare(chunk);
      }
      options.onEnd?.(statement.rows);
    } catch (error) {
      throw this.#translate(error, options.signal);
    } finally {
      if (!statement.queue.settled) await this.#abandon(statement);
      this.#copy = undefined;
    }
  }

  async copyIn(
    sql: string,
    rows: AsyncIterable<Bytes>,
    options: WaitOptions = {},
  ): Promise<bigint> {
    return await this.#watched(options.signal, async () => {
      const statement = new CopyInStatement(sql, rows, (thrown) =>
        this.#translate(thrown, options.signal),
      );
      this.#client.query(statement);
      return await statement.result();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const deadline = AbortSignal.timeout(GOODBYE_MS);
    const { stream } = this.#client.connection;
    const destroy = (): void => {
      stream.destroy();
    };
    deadline.addEventListener("abort", destroy);
    if (this.#lost !== undefined) destroy();
    await this.#client.end();
    deadline.removeEventListener("abort", destroy);
  }

  async #watched<Result>(
    signal: AbortSignal | undefined,
    run: () => Promise<Result>,
  ): Promise<Result> {
    this.#checkUsable(signal);
    using _abort = this.#cancelOnAbort(signal);
    try {
      return await run();
    } catch (error) {
      throw this.#translate(error, signal);
    }
  }

  #checkUsable(signal: AbortSignal | undefined): void {
    throwIfAborted(this.#signal);
    throwIfAborted(signal);
    if (this.#copy !== undefined) throw bug("statement on a session that runs a COPY");
    if (this.#ended) throw bug("statement on a session that was ended");
  }

  /** What was asked to stop is `cancelled`, whatever the server or the socket said when it did. */
  #translate(thrown: unknown, signal: AbortSignal | undefined): AppError {
    try {
      throwIfAborted(this.#signal);
      throwIfAborted(signal);
    } catch (cancelled) {
      return translateError(cancelled, {});
    }
    const subject = { server: describeTarget(this.#target) };
    const error = translateError(thrown, subject);
    // A session that was ended between two statements: the server has said why, the driver says only that it is gone.
    if (error.code !== "postgres.connection_lost" || this.#lost === undefined) return error;
    return translateError(this.#lost, subject);
  }

  /** Sends a real cancel request when either signal aborts; a server that does not react loses its socket. */
  #cancelOnAbort(signal: AbortSignal | undefined, stop?: () => void): Disposable {
    const signals = [this.#signal, signal].filter((one) => one !== undefined);
    if (signals.length === 0) return { [Symbol.dispose]: () => undefined };
    const any = AbortSignal.any(signals);
    const deadline: { stop?: () => void } = {};
    const onAbort = (): void => {
      deadline.stop = this.#cancelWithDeadline();
      stop?.();
    };
    any.addEventListener("abort", onAbort, { once: true });
    return {
      [Symbol.dispose]: () => {
        any.removeEventListener("abort", onAbort);
        deadline.stop?.();
      },
    };
  }

  /**
   * Not when its consumer comes round, which may be busy elsewhere. A server that waits for us to read hears of no cancel
   * request, so its bytes pass unread; one that has sent everything runs nothing that could be cancelled, and keeps its
   * locks until the session ends.
   */
  #stopCopy({ queue }: CopyOutStatement): void {
    if (queue.settled) this.#client.connection.stream.destroy(new Error("Connection terminated"));
    else queue.discard();
  }

  #cancelWithDeadline(): () => void {
    void requestCancel(this.#target, this.#key);
    const timeout = AbortSignal.timeout(GOODBYE_MS);
    const destroy = (): void => {
      this.#client.connection.stream.destroy(new Error("Connection terminated"));
    };
    timeout.addEventListener("abort", destroy);
    return () => timeout.removeEventListener("abort", destroy);
  }

  /** The consumer stopped early: the statement is cancelled and its rest passes unread, so that the session stays usable. */
  async #abandon(statement: CopyOutStatement): Promise<void> {
    statement.queue.discard();
    const stop = this.#cancelWithDeadline();
    await statement.queue.finished();
    stop();
  }

  /**
   * From the first COPY on, all bytes of the socket pass the filter: put on while the session is idle, so at the
   * boundary of a message, and never taken off, so that no half header is lost in it.
   */
  #keepSpare(chunk: Bytes): void {
    const { buffer } = chunk;
    if (buffer.byteLength !== PAYLOAD_BUFFER_BYTES || this.#spares.length >= SPARES) return;
    this.#spares.push(new Uint8Array(buffer));
  }

  #filterRows(): void {
    if (this.#filtered) return;
    this.#filtered = true;
    const { stream } = this.#client.connection;
    const frames = createCopyFrames(this.#spares);
    const parsers = stream.listeners("data");
    stream.removeAllListeners("data");
    stream.on("data", (chunk: Buffer) => {
      const sorted = sortFrames(frames, chunk);
      if (sorted instanceof Error) {
        stream.destroy(sorted);
        return;
      }
      const { payload, messages } = sorted;
      if (payload.byteLength > 0) this.#copy?.queue.push(payload);
      if (messages.byteLength === 0) return;
      const rest = Buffer.from(messages.buffer, messages.byteOffset, messages.byteLength);
      for (const parser of parsers) Reflect.apply(parser, stream, [rest]);
    });
  }
}

/** Several statements in one text give several results; the last one counts. */
function rowsOf<Row extends Record<string, unknown>>(
  result: QueryResult<Row> | QueryResult<Row>[],
): readonly Row[] {
  const last = Array.isArray(result) ? result.at(-1) : result;
  return last?.rows ?? [];
}

/** The bytes of a server that does not keep to the protocol end the session; thrown here they would end the process. */
function sortFrames(frames: CopyFrames, chunk: Buffer): CopyFramesStep | Error {
  try {
    return frames.push(chunk);
  } catch (error) {
    return error instanceof Error ? error : bug(String(error));
  }
}
