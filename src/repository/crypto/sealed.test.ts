import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../testing/fixtures.ts";
import { deriveKey, masterKeyOf, randomMasterKey } from "./master-key.ts";
import { openBytes, SEAL_OVERHEAD_BYTES, sealBytes } from "./sealed.ts";

const { keys } = masterKeyOf(seededRandom("keys")(64));
const iv = seededRandom("iv")(16);

describe("sealed bytes", () => {
  test("open to what was sealed, 32 bytes shorter", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (plain) => {
        const sealed = sealBytes(plain, keys, iv);
        expect(sealed.byteLength).toBe(plain.byteLength + SEAL_OVERHEAD_BYTES);
        expect([...(openBytes(sealed, keys) ?? [])]).toEqual([...plain]);
      }),
    );
  });

  test("do not open after any one bit changed", () => {
    const sealed = sealBytes(Buffer.from("a row of a table"), keys, iv);
    for (let bit = 0; bit < sealed.byteLength * 8; bit += 1) {
      const damaged = Buffer.from(sealed);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(openBytes(damaged, keys)).toBeUndefined();
    }
  });

  test("do not open truncated, however short", () => {
    const sealed = sealBytes(Buffer.from("row"), keys, iv);
    for (let length = 0; length < sealed.byteLength; length += 1) {
      expect(openBytes(sealed.subarray(0, length), keys)).toBeUndefined();
    }
  });

  test("do not open with another key", () => {
    const other = masterKeyOf(seededRandom("other")(64)).keys;
    expect(openBytes(sealBytes(Buffer.from("row"), keys, iv), other)).toBeUndefined();
  });
});

test("derived keys depend on the label and on the master key alone", () => {
  const master = masterKeyOf(seededRandom("keys")(64));
  const again = masterKeyOf(seededRandom("keys")(64));
  const other = randomMasterKey(seededRandom("other"));
  expect(deriveKey(master, "a")).toEqual(deriveKey(again, "a"));
  expect(deriveKey(master, "a")).not.toEqual(deriveKey(master, "b"));
  expect(deriveKey(master, "a")).not.toEqual(deriveKey(other, "a"));
  expect(deriveKey(master, "a").byteLength).toBe(32);
});
