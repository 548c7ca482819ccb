import { randomBytes } from "node:crypto";
import { ZstdCompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { equalBytes } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { compress } from "./seal.ts";
import { createZstdSession } from "./zstd-session.ts";

const text = (sizeBytes: number): Bytes =>
  Buffer.from("1\tbrake caliper\t2026-01-01\n".repeat(Math.ceil(sizeBytes / 27))).subarray(
    0,
    sizeBytes,
  );

describe("createZstdSession", () => {
  test("Node still lends the handle that the session writes to", () => {
    // When this fails the session falls back to slower calls: it is to be written anew, or removed.
    const handle: unknown = Reflect.get(new ZstdCompress(), "_handle");
    expect(handle).toHaveProperty("writeSync");
    expect(Reflect.get(new ZstdCompress(), "_writeState")).toBeInstanceOf(Uint32Array);
  });

  test("gives what the documented call gives, blob after blob", () => {
    const session = createZstdSession(3);
    for (const sizeBytes of [1, 64, 65_536, 100, 262_144, 1_000_000, 7, 65_536]) {
      const plain = text(sizeBytes);
      expect(equalBytes(session.compress(plain), compress(plain, 3))).toBe(true);
    }
  });

  test("any blobs, either way, in one session", () => {
    const session = createZstdSession(1);
    const blob = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.integer({ min: 0, max: 200_000 }).map((size) => text(size)),
      fc.integer({ min: 0, max: 70_000 }).map((size) => randomBytes(size)),
    );
    fc.assert(
      fc.property(fc.array(blob, { minLength: 1, maxLength: 8 }), (blobs) => {
        for (const plain of blobs) {
          const packed = Uint8Array.from(session.compress(plain));
          expect(equalBytes(zstdDecompressSync(packed), plain)).toBe(true);
          const opened = session.decompress(packed, plain.byteLength);
          expect(opened !== undefined && equalBytes(opened, plain)).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });

  test.for([
    ["no zstd", Buffer.from("this is no zstd at all, not even a little")],
    ["half a frame", zstdCompressSync(randomBytes(50_000)).subarray(0, 30_000)],
    ["another length", zstdCompressSync(text(50_001))],
    ["a flipped bit", flipped(zstdCompressSync(randomBytes(50_000)))],
    ["nothing", new Uint8Array(0)],
  ] as const)("%s is refused, and what comes after it is opened", ([, packed]) => {
    const session = createZstdSession(3);
    const opened = session.decompress(packed, 50_000);
    expect(opened === undefined || !equalBytes(opened, text(50_000))).toBe(true);
    const plain = text(70_000);
    expect(session.decompress(compress(plain, 3), 70_000)).toEqual(Buffer.from(plain));
  });

  test("blobs larger than the session's room pass too", () => {
    const session = createZstdSession(1);
    const plain = text(17 * 1024 * 1024);
    const packed = Uint8Array.from(session.compress(plain));
    expect(equalBytes(session.decompress(packed, plain.byteLength) ?? packed, plain)).toBe(true);
  });
});

function flipped(packed: Bytes): Bytes {
  const spoiled = Uint8Array.from(packed);
  spoiled[3] = (spoiled[3] ?? 0) ^ 0x10;
  return spoiled;
}
