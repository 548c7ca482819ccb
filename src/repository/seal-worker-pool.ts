import type { Worker } from "node:worker_threads";
import { bug, concatBytes, kernelError, throwIfAborted } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { IV_BYTES } from "./crypto/sealed.ts";
import { repositoryError } from "./errors.ts";
import { isWorkerReply, viewsOf } from "./seal-worker-messages.ts";
import type {
  FailedReply,
  HashRequest,
  SealedReply,
  SealRequest,
  WorkerStart,
} from "./seal-worker-messages.ts";
import { createInlineSealer } from "./sealer.ts";
import type { SealBatch, SealOutcome, Sealer, SealerOptions } from "./sealer.ts";
import { SEAL_WORKER, startThread, THREADS } from "./thread-stock.ts";
import type { ThreadStock } from "./thread-stock.ts";

/** Up to here the caller's thread is done before a thread would have started. */
const INLINE_BYTES = 2 * 1024 * 1024;
/** Of each about half a MiB. */
const SPARES = 4;

interface SealedBatch {
  readonly outcomes: readonly SealOutcome[];
  /** What their bytes lie in. */
  readonly sealed: ArrayBufferLike;
}

interface UnderWay {
  readonly batch: SealBatch;
  readonly resolve: (sealed: SealedBatch) => void;
  readonly reject: (reason: unknown) => void;
  ids: readonly Bytes[];
}

export interface PoolOptions extends SealerOptions {
  readonly workers?: number;
  /** Sealed on the caller's thread until more than this has come. */
  readonly inlineBytes?: number;
  /** Tests put another program in its place. */
  readonly entry?: URL;
  /** Started already; given back with the sealer. */
  readonly threads?: ThreadStock;
}

/** Seals in threads. A thread that ends before its work fails every batch that it held, and all later ones. */
export function createPoolSealer(options: PoolOptions): Sealer {
  return new PoolSealer(options);
}

class PoolSealer implements Sealer {
  readonly parallel: number;
  readonly #options: PoolOptions;
  readonly #inline: Sealer;
  readonly #threads: SealThread[] = [];
  /** Buffers of sealed batches: in use by outcomes not yet released, and free. */
  readonly #lent = new WeakMap<readonly SealOutcome[], ArrayBuffer>();
  readonly #spares: ArrayBuffer[] = [];
  #inlineLeft: number;
  #disposed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.parallel = 2 * (options.workers ?? THREADS);
    this.#inline = createInlineSealer(options);
    this.#inlineLeft = options.inlineBytes ?? INLINE_BYTES;
  }

  async seal(batch: SealBatch): Promise<readonly SealOutcome[]> {
    throwIfAborted(batch.signal);
    if (this.#disposed) throw bug("batch for a sealer that was disposed");
    if (this.#inlineLeft > 0) {
      for (const plain of batch.plains) this.#inlineLeft -= plain.byteLength;
      return this.#inline.seal(batch);
    }
    const { outcomes, sealed } = await this.#leastLoaded().seal(batch, this.#spares.pop());
    if (sealed instanceof ArrayBuffer) this.#lent.set(outcomes, sealed);
    return outcomes;
  }

  release(outcomes: readonly SealOutcome[]): void {
    const buffer = this.#lent.get(outcomes);
    if (buffer === undefined) return;
    this.#lent.delete(outcomes);
    if (this.#spares.length < SPARES) this.#spares.push(buffer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await Promise.all(this.#threads.map((thread) => thread.stop()));
    await this.#options.threads?.[Symbol.asyncDispose]();
  }

  #leastLoaded(): SealThread {
    const wanted = this.#options.workers ?? THREADS;
    while (this.#threads.length < wanted) this.#threads.push(new SealThread(this.#options));
    const [first, ...others] = this.#threads;
    if (first === undefined) throw bug("sealer without a thread");
    return others.reduce((least, thread) => (thread.load < least.load ? thread : least), first);
  }
}

/** One worker and the batches that it holds. */
class SealThread {
  readonly #options: PoolOptions;
  readonly #worker: Worker;
  readonly #underWay = new Map<number, UnderWay>();
  #nextBatch = 0;
  /** Set once the thread is of no more use. */
  #over: Error | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    const { entry = SEAL_WORKER, threads } = options;
    this.#worker = threads?.take(entry) ?? startThread(entry);
    this.#worker.on("message", (reply: unknown) => this.#receive(reply));
    this.#worker.on("messageerror", (cause) =>
      this.#end("sealing thread that was not understood", cause),
    );
    this.#worker.on("error", (cause) => this.#end("sealing thread that failed", cause));
    this.#worker.on("exit", (code) => this.#end(`sealing thread that ended with code ${code}`));
    const { encrypt, macK, macR } = options.keys;
    const start: WorkerStart = { kind: "start", encrypt, macK, macR, level: options.level };
    this.#worker.postMessage(start, []);
  }

  /** Batches under way. */
  get load(): number {
    return this.#underWay.size;
  }

  seal(batch: SealBatch, spare: ArrayBuffer | undefined): Promise<SealedBatch> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) {
        reject(this.#over);
        return;
      }
      const number = this.#nextBatch;
      this.#nextBatch += 1;
      const request = hashRequest(number, batch, spare);
      this.#underWay.set(number, { batch, resolve, reject, ids: [] });
      const buffers = [request.plain, spare].filter((buffer) => buffer instanceof ArrayBuffer);
      this.#worker.postMessage(request, buffers);
    });
  }

  async stop(): Promise<void> {
    this.#fail(kernelError("cancelled", { message: "sealing that was stopped" }));
    await this.#worker.terminate();
  }

  #receive(reply: unknown): void {
    if (!isWorkerReply(reply)) {
      this.#end("sealing thread that was not understood");
      return;
    }
    const underWay = this.#underWay.get(reply.batch);
    // Stopped in the meantime: its caller has been told.
    if (underWay === undefined) return;
    try {
      if (reply.kind === "hashed") {
        const { ids } = reply;
        underWay.ids = underWay.batch.plains.map((_, i) => ids.subarray(i * 32, (i + 1) * 32));
        this.#claim(reply.batch, underWay, underWay.ids);
        return;
      }
      this.#underWay.delete(reply.batch);
      if (reply.kind === "failed") throw failureOf(reply);
      underWay.batch.onReturned?.(reply.plain);
      underWay.resolve({ outcomes: outcomesOf(underWay, reply), sealed: reply.sealed });
    } catch (thrown) {
      this.#underWay.delete(reply.batch);
      underWay.reject(thrown);
    }
  }

  /** Also when nobody waits any more: the thread holds the batch until it hears what to do with it. */
  #claim(number: number, { batch }: UnderWay, ids: readonly Bytes[]): void {
    const wanted = new Uint8Array(ids.length);
    try {
      throwIfAborted(batch.signal);
      wanted.set(Array.from(batch.claim(ids), Number));
    } finally {
      const count = wanted.reduce((sum, flag) => sum + flag, 0);
      const ivs = Uint8Array.from(this.#options.random(count * IV_BYTES));
      const request: SealRequest = { kind: "seal", batch: number, wanted, ivs };
      this.#worker.postMessage(request, []);
    }
  }

  #end(message: string, cause?: unknown): void {
    this.#fail(repositoryError("sealer_failed", { message, cause }));
  }

  #fail(error: Error): void {
    this.#over ??= error;
    const waiting = [...this.#underWay.values()];
    this.#underWay.clear();
    for (const { reject } of waiting) reject(this.#over);
  }
}

/** The buffer itself where it was given, else a copy: what the plains lie in may belong to others too. */
function hashRequest(
  batch: number,
  { type, plains, onReturned }: SealBatch,
  spare: ArrayBuffer | undefined,
): HashRequest {
  const lengths = Uint32Array.from(plains, (plain) => plain.byteLength);
  const given = onReturned === undefined ? undefined : plains[0]?.buffer;
  const plain = given ?? Uint8Array.from(concatBytes(plains)).buffer;
  return { kind: "hash", batch, type, plain, lengths, ...(spare === undefined ? {} : { spare }) };
}

function outcomesOf({ ids }: UnderWay, reply: SealedReply): readonly SealOutcome[] {
  const views = viewsOf(reply.sealed, reply.lengths);
  return ids.map((id, i) => {
    const bytes = views[i] ?? new Uint8Array(0);
    const plainBytes = reply.plainLengths[i] ?? 0;
    if (bytes.byteLength === 0) return { id, plainBytes };
    return { id, plainBytes, sealed: { bytes, plainBytes, compressed: reply.compressed[i] === 1 } };
  });
}

function failureOf({ code, message, stack }: FailedReply): Error {
  const cause = new Error(message);
  cause.stack = stack;
  if (code === "repository.seal_mismatch")
    return repositoryError("seal_mismatch", { message, cause });
  return repositoryError("sealer_failed", {
    message: `sealing thread that failed: ${message}`,
    cause,
  });
}
