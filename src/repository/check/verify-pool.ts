import type { Worker } from "node:worker_threads";
import { bug, kernelError, MIB } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { SealKeys } from "../crypto/master-key.ts";
import { repositoryError } from "../errors.ts";
import { PACK_TARGET_BYTES } from "../pack/header.ts";
import { startThread, THREADS, VERIFY_WORKER } from "../thread-stock.ts";
import type { ThreadStock } from "../thread-stock.ts";
import { createZstdSession } from "../zstd-session.ts";
import { verifyPack } from "./verify-pack.ts";
import type { BlobTable, PackVerdict } from "./verify-pack.ts";
import { isVerifyReply } from "./verify-worker-messages.ts";
import type { VerifyRequest, VerifyStart } from "./verify-worker-messages.ts";

/** Verifies whole packs. `pack` is not to be touched again by the caller: it may travel to a thread. */
export interface PackVerifier extends AsyncDisposable {
  /** How many packs are worth having under way. */
  readonly parallel: number;
  verify(pack: Bytes, name: string, table: BlobTable): Promise<PackVerdict>;
  /** Memory for a pack of so many bytes that is verified next, used again for later ones: new memory costs its pages. */
  room(sizeBytes: number): Bytes;
}

/** Less than this is verified before a thread would have started. */
const INLINE_BYTES = 24 * 1024 * 1024;
export interface VerifierOptions {
  readonly keys: SealKeys;
  /** Of everything that will be asked. */
  readonly totalBytes: number;
  readonly inlineBytes?: number;
  /** Tests put another program in its place. */
  readonly entry?: URL;
  /** Started already; given back with the verifier. */
  readonly threads?: ThreadStock;
}

export function createPackVerifier(options: VerifierOptions): PackVerifier {
  const { keys, totalBytes, inlineBytes = INLINE_BYTES, threads } = options;
  return totalBytes <= inlineBytes ? inlineVerifier(keys, threads) : new PoolVerifier(options);
}

function inlineVerifier(keys: SealKeys, threads: ThreadStock | undefined): PackVerifier {
  const codec = createZstdSession(1);
  return {
    parallel: 2,
    verify: (pack, name, table) => Promise.resolve(verifyPack(pack, name, table, { keys, codec })),
    room: (sizeBytes) => new Uint8Array(sizeBytes),
    [Symbol.asyncDispose]: async () => await threads?.[Symbol.asyncDispose](),
  };
}

interface Waiting {
  readonly resolve: (verdict: PackVerdict) => void;
  readonly reject: (reason: unknown) => void;
}

class PoolVerifier implements PackVerifier {
  /** One in work for each thread, and one that is being read. */
  readonly parallel = THREADS + 1;
  readonly #threads: VerifyThread[];
  readonly #stock: ThreadStock | undefined;
  readonly #rooms = new Rooms();

  constructor(options: VerifierOptions) {
    this.#stock = options.threads;
    this.#threads = Array.from({ length: THREADS }, () => new VerifyThread(options, this.#rooms));
  }

  verify(pack: Bytes, name: string, table: BlobTable): Promise<PackVerdict> {
    const [first, ...others] = this.#threads;
    if (first === undefined) throw bug("verifier without a thread");
    const least = others.reduce((a, b) => (b.load < a.load ? b : a), first);
    return least.verify(pack, name, table);
  }

  room(sizeBytes: number): Bytes {
    return this.#rooms.take(sizeBytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.stop()));
    await this.#stock?.[Symbol.asyncDispose]();
  }
}

/** Any pack of ours or of restic's default fits: pages that none fills cost nothing. For larger ones no room is kept. */
const ROOM_BYTES = PACK_TARGET_BYTES + 8 * MIB;
const SPARE_ROOMS = THREADS + 1;

class Rooms {
  readonly #free: ArrayBuffer[] = [];
  readonly #ours = new WeakSet<ArrayBufferLike>();

  take(sizeBytes: number): Bytes {
    const found = sizeBytes > ROOM_BYTES ? undefined : this.#free.pop();
    const room = found ?? new ArrayBuffer(Math.max(sizeBytes, ROOM_BYTES));
    this.#ours.add(room);
    return new Uint8Array(room, 0, sizeBytes);
  }

  has(buffer: ArrayBufferLike): boolean {
    return this.#ours.has(buffer);
  }

  giveBack(room: ArrayBuffer): void {
    if (room.byteLength === ROOM_BYTES && this.#free.length < SPARE_ROOMS) this.#free.push(room);
  }
}

/** One worker. When it ends before its work, every pack that it held fails, and every later one. */
class VerifyThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #rooms: Rooms;
  #next = 0;
  #over: Error | undefined;

  constructor({ keys, entry: program = VERIFY_WORKER, threads }: VerifierOptions, rooms: Rooms) {
    this.#rooms = rooms;
    this.#worker = threads?.take(program) ?? startThread(program);
    this.#worker.on("message", (reply: unknown) => this.#receive(reply));
    this.#worker.on("messageerror", (cause) => this.#end("that was not understood", cause));
    this.#worker.on("error", (cause) => this.#end("that failed", cause));
    this.#worker.on("exit", (code) => this.#end(`that ended with code ${code}`));
    const { encrypt, macK, macR } = keys;
    this.#worker.postMessage({ encrypt, macK, macR } satisfies VerifyStart, []);
  }

  get load(): number {
    return this.#waiting.size;
  }

  verify(pack: Bytes, name: string, table: BlobTable): Promise<PackVerdict> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) {
        reject(this.#over);
        return;
      }
      const number = this.#next;
      this.#next += 1;
      this.#waiting.set(number, { resolve, reject });
      const lent = this.#rooms.has(pack.buffer);
      const own = lent ? pack.buffer : wholeBuffer(pack);
      const sizeBytes = pack.byteLength;
      const request: VerifyRequest = { number, name, pack: own, sizeBytes, lent, table };
      this.#worker.postMessage(request, own instanceof ArrayBuffer ? [own] : []);
    });
  }

  async stop(): Promise<void> {
    this.#fail(kernelError("cancelled", { message: "verification that was stopped" }));
    await this.#worker.terminate();
  }

  #receive(reply: unknown): void {
    if (!isVerifyReply(reply)) {
      this.#end("that was not understood");
      return;
    }
    const waiting = this.#waiting.get(reply.number);
    this.#waiting.delete(reply.number);
    if (reply.pack !== undefined) this.#rooms.giveBack(reply.pack);
    waiting?.resolve(reply.verdict);
  }

  #end(what: string, cause?: unknown): void {
    this.#fail(repositoryError("sealer_failed", { message: `verifying thread ${what}`, cause }));
  }

  #fail(error: Error): void {
    this.#over ??= error;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(this.#over);
  }
}

/** The buffer itself where the pack is all of it, else a copy: what else lies in it belongs to others. */
function wholeBuffer(pack: Bytes): ArrayBufferLike {
  const whole = pack.byteOffset === 0 && pack.byteLength === pack.buffer.byteLength;
  return whole ? pack.buffer : Uint8Array.from(pack).buffer;
}
