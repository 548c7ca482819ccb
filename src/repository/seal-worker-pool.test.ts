import { createHash, randomBytes } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { AppError, equalBytes, toHex } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { sealKeysOf } from "./crypto/master-key.ts";
import { openBlob } from "./seal.ts";
import type { BlobType } from "./seal.ts";
import { createPoolSealer } from "./seal-worker-pool.ts";
import type { PoolOptions } from "./seal-worker-pool.ts";
import type { SealBatch, Sealer, SealOutcome } from "./sealer.ts";
import { SEAL_WORKER, ThreadStock } from "./thread-stock.ts";

const KEYS = sealKeysOf(Uint8Array.from({ length: 64 }, (_, i) => i));
const open: Sealer[] = [];

function pool(options: Partial<PoolOptions> = {}): Sealer {
  const sealer = createPoolSealer({
    keys: KEYS,
    random: randomBytes,
    level: 1,
    inlineBytes: 0,
    ...options,
  });
  open.push(sealer);
  return sealer;
}

afterEach(async () => {
  for (const sealer of open.splice(0)) await sealer[Symbol.asyncDispose]();
});

const everything = (ids: readonly Bytes[]): readonly boolean[] => ids.map(() => true);

/** Plains back to back in one buffer, as the chunker gives them. */
function slabOf(...contents: readonly (string | Bytes)[]): { plains: Bytes[]; copies: Bytes[] } {
  const copies = contents.map((content) => new Uint8Array(Buffer.from(content)));
  const slab = Buffer.allocUnsafeSlow(copies.reduce((sum, copy) => sum + copy.byteLength, 100));
  let at = 0;
  const plains = copies.map((copy) => {
    slab.set(copy, at);
    at += copy.byteLength;
    return slab.subarray(at - copy.byteLength, at);
  });
  return { plains, copies };
}

function opened({ sealed }: SealOutcome): Bytes | undefined {
  if (sealed === undefined) return undefined;
  return openBlob(sealed.bytes, sealed.compressed ? sealed.plainBytes : undefined, KEYS);
}

function expectSealed(outcomes: readonly SealOutcome[], plains: readonly Bytes[]): void {
  expect(outcomes).toHaveLength(plains.length);
  outcomes.forEach((outcome, i) => {
    const plain = plains[i] ?? new Uint8Array(0);
    expect(toHex(outcome.id)).toBe(createHash("sha256").update(plain).digest("hex"));
    expect(outcome.plainBytes).toBe(plain.byteLength);
    expect(equalBytes(opened(outcome) ?? new Uint8Array(0), plain)).toBe(true);
  });
}

async function errorOf(work: Promise<unknown>): Promise<AppError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (thrown instanceof AppError) return thrown;
  throw new Error("no AppError was thrown", { cause: thrown });
}

describe("createPoolSealer", () => {
  test("seals in threads that were started before it", async () => {
    const threads = new ThreadStock(SEAL_WORKER, 2);
    const sealer = pool({ threads });
    const { plains, copies } = slabOf("one", "two", randomBytes(5000));
    const outcomes = await sealer.seal({ type: "data", plains, claim: everything });
    expect(outcomes).toHaveLength(3);
    expectSealed(outcomes, copies);
    await sealer[Symbol.asyncDispose]();
  });

  test("seals what is wanted, keeps the order, and gives the buffer back", async () => {
    const { plains, copies } = slabOf(
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      randomBytes(70_000),
      "b",
    );
    const sizeBytes = plains[0]?.buffer.byteLength;
    const returned: ArrayBufferLike[] = [];
    const outcomes = await pool().seal({
      type: "data",
      plains,
      claim: everything,
      onReturned: (buffer) => returned.push(buffer),
    });
    expectSealed(outcomes, copies);
    expect(outcomes.map(({ sealed }) => sealed?.compressed)).toEqual([true, false, false]);
    expect(returned.map(({ byteLength }) => byteLength)).toEqual([sizeBytes]);
    expect(plains[0]?.byteLength).toBe(0);
  });

  test("asks once which blobs are wanted, and leaves the others", async () => {
    const { plains, copies } = slabOf("one", "two", "three");
    const asked: string[][] = [];
    const outcomes = await pool().seal({
      type: "data",
      plains,
      claim: (ids) => {
        asked.push(ids.map(toHex));
        return [false, true, false];
      },
      onReturned: () => {},
    });
    expect(asked).toEqual([copies.map((copy) => createHash("sha256").update(copy).digest("hex"))]);
    expect(outcomes.map(({ sealed }) => sealed !== undefined)).toEqual([false, true, false]);
    expect(outcomes.map(({ plainBytes }) => plainBytes)).toEqual([3, 3, 5]);
  });

  test.for<BlobType>(["data", "tree"])(
    "%s: buffers that were not given stay whole",
    async (type) => {
      const shared = Buffer.from("..{}\n..");
      const plains = [shared.subarray(2, 5)];
      const outcomes = await pool().seal({ type, plains, claim: everything });
      expectSealed(outcomes, [Buffer.from("{}\n")]);
      expect(shared.toString()).toBe("..{}\n..");
      expect(outcomes[0]?.sealed?.compressed).toBe(type === "tree");
    },
  );

  test("many batches at once, each with its own outcome", async () => {
    expect.hasAssertions();
    const sealer = pool();
    const sent = Array.from({ length: 40 }, (_, i) => slabOf(`batch ${i}`, randomBytes(i * 100)));
    const all = await Promise.all(
      sent.map(({ plains }) =>
        sealer.seal({ type: "data", plains, claim: everything, onReturned: () => {} }),
      ),
    );
    all.forEach((outcomes, i) => expectSealed(outcomes, sent[i]?.copies ?? []));
  });

  test("no IV is used twice", async () => {
    const sealer = pool();
    const batch = (): SealBatch => ({
      type: "data",
      plains: slabOf("same", "same", "same").plains,
      claim: everything,
      onReturned: () => {},
    });
    const outcomes = (await Promise.all([sealer.seal(batch()), sealer.seal(batch())])).flat();
    const ivs = outcomes.map(({ sealed }) => toHex(sealed?.bytes.subarray(0, 16) ?? Buffer.of()));
    expect(new Set(ivs).size).toBe(6);
  });

  test("a buffer that was released is used again, and what was not released stays", async () => {
    const sealer = pool({ workers: 1 });
    const seal = async (content: Bytes): Promise<readonly SealOutcome[]> =>
      sealer.seal({
        type: "data",
        plains: slabOf(content).plains,
        claim: everything,
        onReturned: () => {},
      });
    const kept = await seal(randomBytes(50_000));
    const before = toHex(kept[0]?.sealed?.bytes ?? Buffer.of());
    const released = await seal(randomBytes(50_000));
    sealer.release?.(released);
    const contents = [randomBytes(49_000), randomBytes(90_000)];
    for (const content of contents) expectSealed(await seal(content), [content]);
    expect(released[0]?.sealed?.bytes.byteLength).toBe(0);
    expect(toHex(kept[0]?.sealed?.bytes ?? Buffer.of())).toBe(before);
  });

  test("the first bytes are sealed without a thread, then threads take over", async () => {
    const sealer = pool({ inlineBytes: 10, entry: new URL("data:text/javascript,") });
    const first = slabOf("twelve bytes");
    const sealed = await sealer.seal({ type: "data", plains: first.plains, claim: everything });
    expectSealed(sealed, first.copies);
    const next = { type: "data", plains: slabOf("more").plains, claim: everything } as const;
    expect((await errorOf(sealer.seal(next))).code).toBe("repository.sealer_failed");
  });
});

describe("when it does not go well", () => {
  const batch = (more: Partial<SealBatch> = {}): SealBatch => ({
    type: "data",
    plains: slabOf("some content").plains,
    claim: everything,
    onReturned: () => {},
    ...more,
  });

  test.for([
    ["a thread that exits", "data:text/javascript,process.exit(7)", "ended with code 7"],
    [
      "a thread that throws",
      "data:text/javascript,throw new Error('broken')",
      "thread that failed",
    ],
    ["a thread that does not exist", "file:///nowhere/worker.js", "thread that failed"],
    [
      "a thread that talks nonsense",
      "data:text/javascript,import('node:worker_threads').then((t)=>t.parentPort.on('message',()=>t.parentPort.postMessage(42)))",
      "not understood",
    ],
  ] as const)(
    "%s is an error for what it held and for all later batches",
    async ([, url, text]) => {
      const sealer = pool({ entry: new URL(url), workers: 1 });
      const failures = await Promise.all([
        errorOf(sealer.seal(batch())),
        errorOf(sealer.seal(batch())),
      ]);
      failures.push(await errorOf(sealer.seal(batch())));
      expect(failures.map(({ code }) => code)).toEqual(Array(3).fill("repository.sealer_failed"));
      expect(failures[0]?.message).toContain(text);
    },
  );

  test("an error inside the thread reaches the caller, and the thread goes on", async () => {
    let size = 3;
    const sealer = pool({ random: () => randomBytes(size), workers: 1 });
    const failure = await errorOf(sealer.seal(batch()));
    expect(failure.code).toBe("repository.sealer_failed");
    expect(failure.message).toContain("initialization vector");
    size = 16;
    const { plains, copies } = slabOf("next");
    expectSealed(await sealer.seal(batch({ plains })), copies);
  });

  test("an error of the claim reaches the caller, and the thread forgets the batch", async () => {
    const sealer = pool({ workers: 1 });
    const claim = (): never => {
      throw new AppError("test.claim", "bug", { message: "claim that broke" });
    };
    expect((await errorOf(sealer.seal(batch({ claim })))).code).toBe("test.claim");
    const { plains, copies } = slabOf("next");
    expectSealed(await sealer.seal(batch({ plains })), copies);
  });

  test("an abort ends the batch before it is sealed", async () => {
    const controller = new AbortController();
    const sealer = pool({ workers: 1 });
    const claimed: number[] = [];
    const claim = (ids: readonly Bytes[]): readonly boolean[] => {
      claimed.push(ids.length);
      return everything(ids);
    };
    const sealing = errorOf(sealer.seal(batch({ signal: controller.signal, claim })));
    controller.abort();
    expect((await sealing).kind).toBe("cancelled");
    expect((await errorOf(sealer.seal(batch({ signal: controller.signal })))).kind).toBe(
      "cancelled",
    );
    expect(claimed).toEqual([]);
  });

  test("disposal ends the threads and whatever they held", async () => {
    const sealer = pool();
    const sealing = [errorOf(sealer.seal(batch())), errorOf(sealer.seal(batch()))];
    await sealer[Symbol.asyncDispose]();
    for (const failure of await Promise.all(sealing)) expect(failure.kind).toBe("cancelled");
    expect((await errorOf(sealer.seal(batch()))).kind).toBe("bug");
  });
});
