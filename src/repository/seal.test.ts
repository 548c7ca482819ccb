import { createHash, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createInlineSealer } from "./sealer.ts";
import { compress, decompress, openBlob, sealBlob } from "./seal.ts";
import { masterKeyOf } from "./crypto/master-key.ts";
import { rows, seededRandom } from "./testing/fixtures.ts";

const random = seededRandom("seal");
const { keys } = masterKeyOf(random(64));

describe("sealed blobs", () => {
  test("of text are compressed and come back", () => {
    const plain = rows(500);
    const sealed = sealBlob(plain, "data", keys, 3, random(16));
    expect(sealed.compressed).toBe(true);
    expect(sealed.bytes.byteLength).toBeLessThan(plain.byteLength * 0.8);
    expect(openBlob(sealed.bytes, plain.byteLength, keys)).toEqual(plain);
  });

  test("of noise are stored as they are when data, and compressed when a tree, as restic does", () => {
    const noise = randomBytes(5000);
    expect(sealBlob(noise, "data", keys, 3, random(16)).compressed).toBe(false);
    expect(sealBlob(noise, "tree", keys, 3, random(16)).compressed).toBe(true);
  });

  test("of nothing at all come back", () => {
    const sealed = sealBlob(new Uint8Array(0), "data", keys, 3, random(16));
    expect(openBlob(sealed.bytes, undefined, keys)?.byteLength).toBe(0);
  });

  test("of another plain length than stated do not open", () => {
    const plain = rows(10);
    const { bytes } = sealBlob(plain, "data", keys, 3, random(16));
    expect(openBlob(bytes, plain.byteLength - 1, keys)).toBeUndefined();
    expect(openBlob(bytes, plain.byteLength + 1, keys)).toBeUndefined();
  });

  test("that the processor spoiled are found before they leave", () => {
    const spoiled = { ...keys };
    let asked = 0;
    // The key changes between sealing and opening: what a flipped bit in memory does.
    Object.defineProperty(spoiled, "encrypt", {
      get: () => (asked++ === 0 ? keys.encrypt : masterKeyOf(random(64)).keys.encrypt),
    });
    expect(() => sealBlob(rows(10), "data", spoiled, 3, random(16))).toThrow(
      expect.objectContaining({ code: "repository.seal_mismatch" }),
    );
  });
});

describe("decompression", () => {
  test("stops a bomb at its limit", () => {
    const bomb = compress(new Uint8Array(50_000_000), 3);
    expect(bomb.byteLength).toBeLessThan(10_000);
    expect(decompress(bomb, 1_000_000)).toBeUndefined();
  });

  test("of garbage and of cut input is undefined", () => {
    expect(decompress(Buffer.from("no zstd at all"), 1000)).toBeUndefined();
    const whole = compress(rows(100), 3);
    expect(decompress(whole.subarray(0, whole.byteLength - 5), 100_000)).toBeUndefined();
  });
});

describe("the inline sealer", () => {
  test("seals what was claimed, once, in order", async () => {
    await using sealer = createInlineSealer({ keys, random, level: 3 });
    const plains = [rows(3, "a"), rows(3, "b"), rows(3, "a")];
    const seen = new Set<string>();
    const outcomes = await sealer.seal({
      type: "data",
      plains,
      claim: (ids) =>
        ids.map((id) => {
          const known = seen.has(Buffer.from(id).toString("hex"));
          seen.add(Buffer.from(id).toString("hex"));
          return !known;
        }),
    });
    expect(outcomes.map(({ sealed }) => sealed !== undefined)).toEqual([true, true, false]);
    for (const [i, { id }] of outcomes.entries()) {
      const expected = createHash("sha256")
        .update(plains[i] ?? "")
        .digest();
      expect(Buffer.from(id)).toEqual(expected);
    }
  });

  test("does nothing once aborted", async () => {
    await using sealer = createInlineSealer({ keys, random, level: 3 });
    const claim = (): boolean[] => {
      throw new Error("claimed");
    };
    const batch = { type: "data", plains: [rows(1)], claim, signal: AbortSignal.abort() } as const;
    await expect(sealer.seal(batch)).rejects.toThrow(
      expect.objectContaining({ code: "kernel.cancelled" }),
    );
  });
});
