import { toHex } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { createBinaryHeader } from "./binary-header.ts";
import { manifestError } from "./errors.ts";
import { instantiateRowHash } from "./row-hash-kernel.generated.ts";
import type { RowHashKernel } from "./row-hash-kernel.generated.ts";

/**
 * Sum modulo 2^256 of BLAKE3 (keyed, 32-byte output) of each row: order does not matter, duplicates count, sums of
 * parts add up. A text row is its COPY line without the newline; a binary row is its tuple bytes
 * (field count included), the file header and trailer left out.
 */
export interface RowHasher {
  /** Any cut of the COPY stream; rows may span calls. */
  update(chunk: Bytes): void;
  /** Rows complete so far and their sum. A stream that ends inside a row throws `manifest.truncated_copy`. */
  finish(): RowSum;
}

export interface RowSum {
  readonly rows: bigint;
  /** 64 lower-case hex digits, big-endian. */
  readonly hash: string;
}

export type CreateRowHasher = (key: Bytes, format: "text" | "binary") => RowHasher;

interface KernelInstance {
  readonly kernel: RowHashKernel;
  readonly memory: Uint8Array;
}

/**
 * Instances whose stream is finished, for the next ones: each reserves address space, and a database may have thousands
 * of tables. A hasher that is dropped before `finish` leaves its instance to the garbage collector.
 */
const idle: KernelInstance[] = [];
const IDLE_LIMIT = 16;

/** What `binary` of the kernel returns. */
const TRAILER = 1;
const BAD_COUNT = 2;
const BAD_LENGTH = 3;

export const createRowHasher: CreateRowHasher = (key, format) => {
  const instance = acquire(key);
  const stream = format === "text" ? textStream(instance) : binaryStream(instance);
  return {
    update(chunk) {
      stream.update(chunk);
    },
    finish() {
      stream.finish();
      const { kernel, memory } = instance;
      const sum = memory.subarray(kernel.sum(), kernel.sum() + 32);
      const result = { rows: BigInt.asUintN(64, kernel.rowCount()), hash: toHex(sum) };
      if (idle.length < IDLE_LIMIT) idle.push(instance);
      return result;
    },
  };
};

function acquire(key: Bytes): KernelInstance {
  const instance = idle.pop() ?? instantiate();
  instance.memory.set(key, instance.kernel.key());
  instance.kernel.begin();
  return instance;
}

function instantiate(): KernelInstance {
  const kernel = instantiateRowHash();
  return { kernel, memory: new Uint8Array(kernel.memory.buffer) };
}

interface Stream {
  update(chunk: Bytes): void;
  finish(): void;
}

/** COPY text escapes a newline inside a value, so every raw one ends a row. */
function textStream({ kernel, memory }: KernelInstance): Stream {
  const input = kernel.input();
  const inputBytes = kernel.inputBytes();
  return {
    update(chunk) {
      for (let at = 0; at < chunk.byteLength; at += inputBytes) {
        const piece = chunk.subarray(at, at + inputBytes);
        memory.set(piece, input);
        kernel.text(piece.byteLength);
      }
    },
    finish() {
      if (kernel.insideRow() !== 0) throw truncated("COPY text ends inside a row");
    },
  };
}

function binaryStream({ kernel, memory }: KernelInstance): Stream {
  const input = kernel.input();
  const inputBytes = kernel.inputBytes();
  const header = createBinaryHeader();
  let done = false;
  return {
    update(chunk) {
      const tuples = header.push(chunk);
      for (let at = 0; at < tuples.byteLength; at += inputBytes) {
        if (done) throw damaged("binary COPY goes on after its trailer");
        const piece = tuples.subarray(at, at + inputBytes);
        memory.set(piece, input);
        const status = kernel.binary(piece.byteLength);
        if (status === BAD_COUNT) throw damaged("binary COPY row with a negative field count");
        if (status === BAD_LENGTH) throw damaged("binary COPY field with a negative length");
        done = status === TRAILER;
        if (done && kernel.trailing() > 0) throw damaged("binary COPY goes on after its trailer");
      }
    },
    finish() {
      if (!done) throw truncated("binary COPY ends before its trailer");
    },
  };
}

function truncated(message: string): Error {
  return manifestError("truncated_copy", { message });
}

function damaged(message: string): Error {
  return manifestError("damaged_copy", { message });
}
