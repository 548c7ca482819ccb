import { blake3 } from "@noble/hashes/blake3.js";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AppError, concatBytes } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { createRowHasher } from "./row-hash.ts";
import type { RowSum } from "./row-hash.ts";

const KEY = Uint8Array.from({ length: 32 }, (_, i) => i);

function naiveSum(rows: readonly Bytes[]): RowSum {
  const sum = rows.reduce(
    (total, row) => total + BigInt(`0x${Buffer.from(blake3(row, { key: KEY })).toString("hex")}`),
    0n,
  );
  return {
    rows: BigInt(rows.length),
    hash: BigInt.asUintN(256, sum).toString(16).padStart(64, "0"),
  };
}

function hashOf(
  stream: Bytes,
  format: "text" | "binary",
  cuts: readonly number[] = [1 << 20],
): RowSum {
  const hasher = createRowHasher(KEY, format);
  for (let at = 0, turn = 0; at < stream.byteLength; turn += 1) {
    const size = cuts[turn % cuts.length] ?? 1;
    hasher.update(stream.subarray(at, at + size));
    at += size;
  }
  return hasher.finish();
}

const text = (rows: readonly Bytes[]): Bytes =>
  concatBytes([new Uint8Array(0), ...rows.flatMap((row) => [row, Uint8Array.of(10)])]);

const HEADER = Buffer.from("PGCOPY\n\u00ff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const TRAILER = Uint8Array.of(255, 255);

function tuple(fields: readonly (Bytes | null)[]): Bytes {
  const count = Buffer.alloc(2);
  count.writeInt16BE(fields.length);
  const parts = fields.flatMap((field) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(field === null ? -1 : field.byteLength);
    return field === null ? [length] : [length, field];
  });
  return Buffer.concat([count, ...parts]);
}

const binary = (tuples: readonly Bytes[]): Bytes => Buffer.concat([HEADER, ...tuples, TRAILER]);

/** Sizes on both sides of every limit of BLAKE3's blocks, chunks and trees. */
const LENGTHS = [
  0, 1, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 3073, 4096, 5121, 7168,
  8192, 8193, 16384, 31744, 65537, 102400,
];
const patterned = (length: number): Bytes =>
  Uint8Array.from({ length }, (_, i) => (i % 251 === 10 ? 0 : i % 251));

const line = fc
  .oneof(
    { weight: 8, arbitrary: fc.uint8Array({ maxLength: 160 }) },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 1000, maxLength: 3000, size: "max" }) },
  )
  .map((bytes) => bytes.map((byte) => (byte === 10 ? 11 : byte)));
const field = fc.oneof(fc.constant(null), fc.uint8Array({ maxLength: 200 }));
const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 9 });

describe("createRowHasher", () => {
  test.for(LENGTHS)("a text row of %i bytes", (length) => {
    const row = patterned(length);
    expect(hashOf(text([row]), "text")).toEqual(naiveSum([row]));
  });

  test.for(LENGTHS)("a text row of %i bytes among others, pushed in pieces", (length) => {
    const rows = [patterned(90), patterned(length), patterned(5), patterned(length), patterned(0)];
    expect(hashOf(text(rows), "text", [1000, 7])).toEqual(naiveSum(rows));
  });

  test("the hash of one row is BLAKE3's own test vector", () => {
    const hasher = createRowHasher(Buffer.from("whats the Elvish word for friend"), "text");
    hasher.update(Uint8Array.of(10));
    expect(hasher.finish()).toEqual({
      rows: 1n,
      hash: "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
    });
  });

  test("any text, cut anywhere, equals the sum of its rows", () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), cuts, (rows, sizes) => {
        expect(hashOf(text(rows), "text", sizes)).toEqual(naiveSum(rows));
      }),
    );
  });

  test("any tuples, cut anywhere, equal the sum of their bytes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(field, { maxLength: 6 }), { maxLength: 30 }),
        cuts,
        (rows, sizes) => {
          const tuples = rows.map(tuple);
          expect(hashOf(binary(tuples), "binary", sizes)).toEqual(naiveSum(tuples));
        },
      ),
    );
  });

  test("long tuples, cut in the middle of lengths", () => {
    const tuples = [
      tuple([patterned(70_000), null, patterned(3)]),
      tuple([]),
      tuple([patterned(5000)]),
    ];
    for (const size of [1, 3, 64, 1000, 65_536]) {
      expect(hashOf(binary(tuples), "binary", [size])).toEqual(naiveSum(tuples));
    }
  });

  test("order does not matter, duplicates count, parts add up", () => {
    const rows = ["1\ta", "2\tb", "2\tb"].map((row) => Buffer.from(row));
    const whole = hashOf(text(rows), "text");
    expect(hashOf(text(rows.toReversed()), "text")).toEqual(whole);
    expect(hashOf(text(rows.slice(1)), "text").hash).not.toBe(whole.hash);
    const parts = [rows.slice(0, 1), rows.slice(1)].map((part) => hashOf(text(part), "text").hash);
    const added = parts.reduce((sum, hash) => sum + BigInt(`0x${hash}`), 0n);
    expect(BigInt.asUintN(256, added).toString(16).padStart(64, "0")).toBe(whole.hash);
  });

  test("the sum carries through all its words", () => {
    const rows = Array.from({ length: 5000 }, (_, i) => Buffer.from(String(i)));
    expect(hashOf(text(rows), "text")).toEqual(naiveSum(rows));
  });

  test("nothing is no rows", () => {
    expect(hashOf(new Uint8Array(0), "text")).toEqual({ rows: 0n, hash: "0".repeat(64) });
    expect(hashOf(binary([]), "binary")).toEqual({ rows: 0n, hash: "0".repeat(64) });
  });

  test("another key gives another sum", () => {
    const hasher = createRowHasher(new Uint8Array(32), "text");
    hasher.update(Buffer.from("row\n"));
    expect(hasher.finish().hash).not.toBe(hashOf(Buffer.from("row\n"), "text").hash);
  });

  test("hashers that run side by side do not mix", () => {
    const rows = [patterned(500), patterned(40)];
    const one = createRowHasher(KEY, "text");
    const two = createRowHasher(KEY, "text");
    one.update(Buffer.from("left half "));
    two.update(text(rows));
    one.update(Buffer.from("right half\n"));
    expect(one.finish()).toEqual(naiveSum([Buffer.from("left half right half")]));
    expect(two.finish()).toEqual(naiveSum(rows));
  });

  test("a header extension is passed over", () => {
    const extended = Buffer.from(HEADER);
    extended.writeInt32BE(9, 15);
    const one = tuple([patterned(12)]);
    const stream = Buffer.concat([extended, Buffer.alloc(9, 1), one, TRAILER]);
    for (const size of [1, 5, 1000])
      expect(hashOf(stream, "binary", [size])).toEqual(naiveSum([one]));
  });
});

const flagged = Buffer.from(HEADER);
flagged.writeUInt32BE(0x00010000, 11);
const negativeExtension = Buffer.from(HEADER);
negativeExtension.writeInt32BE(-1, 15);

const BAD: readonly [string, "text" | "binary", Bytes, string][] = [
  ["text inside a row", "text", Buffer.from("1\ta\n2\tb"), "manifest.truncated_copy"],
  ["long text inside a row", "text", Buffer.alloc(100_000, "x"), "manifest.truncated_copy"],
  ["nothing at all", "binary", new Uint8Array(0), "manifest.truncated_copy"],
  ["half a header", "binary", HEADER.subarray(0, 12), "manifest.truncated_copy"],
  ["no trailer", "binary", HEADER, "manifest.truncated_copy"],
  [
    "inside a tuple",
    "binary",
    Buffer.concat([HEADER, tuple([patterned(9)]).subarray(0, 11)]),
    "manifest.truncated_copy",
  ],
  ["a wrong signature", "binary", Buffer.from("PGCOPY\r\n"), "manifest.damaged_copy"],
  ["a critical flag", "binary", flagged, "manifest.damaged_copy"],
  ["a negative extension", "binary", negativeExtension, "manifest.damaged_copy"],
  [
    "a negative field count",
    "binary",
    Buffer.concat([HEADER, Uint8Array.of(255, 254)]),
    "manifest.damaged_copy",
  ],
  [
    "a negative length",
    "binary",
    Buffer.concat([HEADER, Uint8Array.of(0, 1, 255, 255, 255, 254)]),
    "manifest.damaged_copy",
  ],
  [
    "bytes after the trailer",
    "binary",
    Buffer.concat([HEADER, TRAILER, TRAILER]),
    "manifest.damaged_copy",
  ],
];

describe("a stream that PostgreSQL would not send", () => {
  test.for(BAD)("%s", ([, format, stream, code]) => {
    for (const size of [1, 1 << 20]) {
      const caught = thrownBy(() => hashOf(stream, format, [size]));
      expect(caught).toBeInstanceOf(AppError);
      expect(caught).toHaveProperty("code", code);
    }
  });
});

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}
