/** COPY … FROM STDIN: rows straight to the socket, at the speed that it takes them. */
import type { Connection as WireConnection } from "pg";
import { bug } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { postgresError } from "./errors.ts";

const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);
const COPY_DATA = 0x64;
const COPY_FAIL = 0x66;
/** A message may be 1 GiB long; far smaller ones keep the server's memory small. */
const MAX_MESSAGE_BYTES = 1024 * 1024;

/** The driver's view of one COPY … FROM STDIN. */
export class CopyInStatement {
  readonly #sql: string;
  readonly #rows: AsyncIterable<Bytes>;
  readonly #translate: (thrown: unknown) => Error;
  readonly #result = Promise.withResolvers<bigint>();
  #pump: Promise<void> = Promise.resolve();
  #error: Error | undefined;
  #count: bigint | undefined;
  #stopped = false;
  #wake: (() => void) | undefined;

  constructor(sql: string, rows: AsyncIterable<Bytes>, translate: (thrown: unknown) => Error) {
    this.#sql = sql;
    this.#rows = rows;
    this.#translate = translate;
  }

  /** The server's own row count, once it has acknowledged the end. */
  async result(): Promise<bigint> {
    try {
      return await this.#result.promise;
    } finally {
      await this.#pump;
    }
  }

  submit(connection: WireConnection): void {
    connection.query(this.#sql);
  }

  handleCopyInResponse(connection: WireConnection): void {
    this.#pump = this.#send(connection);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const count = /^COPY (\d+)$/.exec(message.text)?.[1];
    if (count !== undefined) this.#count = BigInt(count);
  }

  handleReadyForQuery(): void {
    this.#stop();
    if (this.#error !== undefined) this.#result.reject(this.#error);
    else if (this.#count !== undefined) this.#result.resolve(this.#count);
    else this.#result.reject(postgresError("copy_incomplete", { message: "COPY without an end" }));
  }

  /** What the source of the rows threw comes before the server's echo of it. */
  handleError(error: unknown): void {
    this.#error ??= this.#translate(error);
    this.#stop();
    // ReadyForQuery follows an ErrorResponse but not the end of the connection; the result is the same error.
    this.#result.reject(this.#error);
  }

  handleRowDescription(): void {
    this.#error ??= postgresError("copy_incomplete", {
      message: "statement gave rows where a COPY was expected",
    });
  }

  handleDataRow(): void {
    // Rows of a statement that is no COPY: handleRowDescription has failed it already.
  }

  handleEmptyQuery(): void {
    this.#error ??= postgresError("copy_incomplete", { message: "statement is empty" });
  }

  async #send(connection: WireConnection): Promise<void> {
    const { stream } = connection;
    const onDrain = (): void => this.#wakeUp();
    stream.on("drain", onDrain);
    stream.on("close", onDrain);
    try {
      for await (const chunk of this.#rows) {
        for (let at = 0; at < chunk.byteLength; at += MAX_MESSAGE_BYTES) {
          if (this.#stopped) return;
          const body = chunk.subarray(at, at + MAX_MESSAGE_BYTES);
          stream.cork();
          stream.write(header(COPY_DATA, body.byteLength));
          const taken = stream.write(body);
          stream.uncork();
          if (!taken) await this.#drained(stream);
        }
      }
      if (!this.#stopped) stream.write(COPY_DONE);
    } catch (error) {
      // CopyFail makes the server undo the statement; its ErrorResponse then ends it.
      this.#error ??= error instanceof Error ? error : bug(String(error));
      if (!this.#stopped) stream.write(copyFail());
    } finally {
      stream.off("drain", onDrain);
      stream.off("close", onDrain);
    }
  }

  async #drained(stream: {
    readonly writableNeedDrain: boolean;
    readonly destroyed: boolean;
  }): Promise<void> {
    while (stream.writableNeedDrain && !stream.destroyed && !this.#stopped) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  #stop(): void {
    this.#stopped = true;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

function header(type: number, bodyBytes: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(type, 0);
  bytes.writeInt32BE(bodyBytes + 4, 1);
  return bytes;
}

function copyFail(): Buffer {
  const reason = Buffer.from("the source of the rows stopped\0");
  return Buffer.concat([header(COPY_FAIL, reason.byteLength), reason]);
}
