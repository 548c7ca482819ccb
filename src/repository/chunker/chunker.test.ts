import { createCipheriv, createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatBytes, equalBytes, toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { EntryKind } from "../types.ts";
import { createChunker } from "./chunker.ts";
import type { ChunkBatch } from "./chunker.ts";
import { GEAR_LIMITS } from "./gear-limits.ts";
import { gearTable } from "./gear-table.ts";
import { SlabPool } from "./slabs.ts";

const SECRET = new Uint8Array(32).fill(7);

/** The same random-looking bytes on every run. */
function noise(sizeBytes: number, seed = 1): Bytes {
  const cipher = createCipheriv("aes-256-ctr", Buffer.alloc(32, seed), Buffer.alloc(16));
  return cipher.update(new Uint8Array(sizeBytes));
}

function cut(content: Bytes, kind: EntryKind, secret = SECRET, pushBytes = [65536]): Bytes[] {
  const slabs = new SlabPool();
  const chunker = createChunker(secret, kind, slabs);
  const chunks: Bytes[] = [];
  const take = (batch: ChunkBatch): void => {
    chunks.push(...batch.chunks.map((chunk) => Uint8Array.from(chunk)));
    // Overwritten as soon as it is used again: a chunk that lay in two batches would show.
    const buffer = batch.chunks[0]?.buffer ?? new ArrayBuffer(0);
    new Uint8Array(buffer).fill(0xee);
    slabs.release(buffer);
  };
  for (let at = 0, turn = 0; at < content.byteLength; turn += 1) {
    const size = pushBytes[turn % pushBytes.length] ?? 1;
    for (const batch of chunker.push(content.subarray(at, at + size))) take(batch);
    at += size;
  }
  const last = chunker.finish();
  if (last !== undefined) take(last);
  return chunks;
}

const lengths = (chunks: readonly Bytes[]): number[] => chunks.map((chunk) => chunk.byteLength);

/** Straight from the definition: every hash from zero over the 64 bytes before it. */
function lengthsByDefinition(content: Bytes, kind: EntryKind): number[] {
  const view = new DataView(gearTable(SECRET, kind).buffer);
  const words = Array.from({ length: 256 }, (_, i) => view.getBigUint64(8 * i, true));
  const limits = GEAR_LIMITS[kind];
  const ends: number[] = [];
  let length = 0;
  let hash = 0n;
  for (const byte of content) {
    length += 1;
    if (length > limits.minBytes - 64) hash = BigInt.asUintN(64, hash * 2n + (words[byte] ?? 0n));
    if (length < limits.minBytes) continue;
    const bits = length < limits.normalBytes ? limits.strictBits : limits.looseBits;
    if (hash >> BigInt(64 - bits) !== 0n && length < limits.maxBytes) continue;
    ends.push(length);
    length = 0;
    hash = 0n;
  }
  return length === 0 ? ends : [...ends, length];
}

describe("createChunker", () => {
  test("cuts where the definition says", () => {
    const content = noise(1_500_000);
    expect(lengths(cut(content, "table"))).toEqual(lengthsByDefinition(content, "table"));
  });

  test("the cuts of a stored format: they must never move", () => {
    const table = lengths(cut(noise(8_000_000), "table"));
    const file = lengths(cut(noise(16_000_000), "file"));
    const small = lengths(cut(noise(1_000_000), "small-table"));
    expect(createHash("sha256").update(small.join()).digest("hex")).toMatchInlineSnapshot(
      `"f5aebe5d4a578a7ca13649f876398fcf351784440c105b657b6be09bd8fa4e85"`,
    );
    expect(table.slice(0, 4)).toMatchInlineSnapshot(`
      [
        74104,
        61504,
        54766,
        114769,
      ]
    `);
    expect(createHash("sha256").update(table.join()).digest("hex")).toMatchInlineSnapshot(
      `"d65465fca6abd26427691ba33bd5282c9de6ff20fac841cf958f6d4d15bee047"`,
    );
    expect(createHash("sha256").update(file.join()).digest("hex")).toMatchInlineSnapshot(
      `"61f5028a8a8927a7ae6fb39ed369e68871edd451a0a7997aa6ceda8712a663eb"`,
    );
  });

  test("push boundaries do not matter and nothing is lost", () => {
    const content = noise(700_000);
    const expected = cut(content, "table").map(toHex);
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 400_000 })), {
          minLength: 1,
          maxLength: 20,
        }),
        (pushBytes) => {
          expect(cut(content, "table", SECRET, pushBytes).map(toHex)).toEqual(expected);
        },
      ),
      { numRuns: 30 },
    );
    expect(equalBytes(concatBytes(cut(content, "table")), content)).toBe(true);
  });

  test.for<EntryKind>(["small-table", "table", "file"])(
    "%s: lengths within the limits, near the average",
    (kind) => {
      const { minBytes, maxBytes } = GEAR_LIMITS[kind];
      const average = { "small-table": 5_120, table: 65_536, file: 1_048_576 }[kind];
      const all = lengths(cut(noise(160 * average), kind)).slice(0, -1);
      expect(Math.min(...all)).toBeGreaterThanOrEqual(minBytes);
      expect(Math.max(...all)).toBeLessThanOrEqual(maxBytes);
      const mean = all.reduce((sum, length) => sum + length, 0) / all.length;
      expect(mean / average).toBeGreaterThan(0.85);
      expect(mean / average).toBeLessThan(1.15);
    },
  );

  test("without any cut in the content a chunk ends at the greatest length", () => {
    const chunks = cut(new Uint8Array(3 * 256 * 1024 + 5), "table");
    expect(lengths(chunks)).toEqual([262144, 262144, 262144, 5]);
  });

  test("another secret cuts elsewhere", () => {
    const content = noise(2_000_000);
    const one = new Set(ends(cut(content, "table")));
    const other = ends(cut(content, "table", new Uint8Array(32).fill(8))).slice(0, -1);
    expect(other.length).toBeGreaterThan(10);
    expect(other.filter((end) => one.has(end))).toEqual([]);
  });

  test("an insertion moves the cuts near it only", () => {
    const content = noise(4_000_000);
    const changed = concatBytes([
      content.subarray(0, 1_000_000),
      Buffer.from("inserted"),
      content.subarray(1_000_000),
    ]);
    const known = new Set(cut(content, "table").map((chunk) => digest(chunk)));
    const fresh = cut(changed, "table").filter((chunk) => !known.has(digest(chunk)));
    expect(fresh.length).toBeGreaterThan(0);
    expect(fresh.length).toBeLessThanOrEqual(6);
  });

  test("a short stream is one chunk, an empty one is none", () => {
    expect(cut(Buffer.from("a"), "file").map(toHex)).toEqual(["61"]);
    expect(cut(new Uint8Array(0), "file")).toEqual([]);
  });
});

describe("batches", () => {
  const batchesOf = (content: Bytes, kind: EntryKind, slabs: SlabPool): ChunkBatch[] => {
    const chunker = createChunker(SECRET, kind, slabs);
    const batches = [...chunker.push(content)];
    const last = chunker.finish();
    return last === undefined ? batches : [...batches, last];
  };

  test.for<EntryKind>(["small-table", "table", "file"])(
    "%s: chunks lie back to back in one buffer",
    (kind) => {
      for (const { chunks } of batchesOf(noise(12_000_000), kind, new SlabPool())) {
        expect(new Set(chunks.map(({ buffer }) => buffer)).size).toBe(1);
        expect(chunks.map(({ byteOffset }) => byteOffset)).toEqual(
          [0, ...ends([...chunks])].slice(0, -1),
        );
      }
    },
  );

  test("a slab that came back is used again, and no more are kept than allowed", () => {
    const slabs = new SlabPool(2);
    const first = slabs.acquire(1000);
    const others = [slabs.acquire(1000), slabs.acquire(500)];
    for (const slab of [first, ...others]) slabs.release(slab.buffer);
    expect(slabs.acquire(1000).buffer).toBe(first.buffer);
    expect(slabs.acquire(1000).buffer).toBe(others[0]?.buffer);
    expect(slabs.acquire(500).buffer).not.toBe(others[1]?.buffer);
  });

  test("a short end does not hold a slab back", () => {
    const slabs = new SlabPool();
    const [batch] = batchesOf(noise(20_000), "table", slabs);
    expect(batch?.chunks[0]?.buffer.byteLength).toBe(20_000);
  });
});

function ends(chunks: readonly Bytes[]): number[] {
  let at = 0;
  return chunks.map((chunk) => (at += chunk.byteLength));
}

function digest(chunk: Bytes): string {
  return createHash("sha256").update(chunk).digest("hex");
}
