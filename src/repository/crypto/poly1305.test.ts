import { createCipheriv, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../kernel/index.ts";
import { poly1305 } from "./poly1305.ts";

const P = (1n << 130n) - 5n;

/** The definition of RFC 8439 §2.5.1, digit for digit. */
function byDefinition(r: Uint8Array, s: Uint8Array, message: Uint8Array): string {
  const little = (bytes: Uint8Array): bigint =>
    bytes.reduceRight((sum, byte) => (sum << 8n) + BigInt(byte), 0n);
  const clamped = little(r) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (let at = 0; at < message.length; at += 16) {
    const block = message.subarray(at, at + 16);
    sum = ((sum + little(block) + (1n << BigInt(8 * block.length))) * clamped) % P;
  }
  const tag = BigInt.asUintN(128, sum + little(s));
  const bytes = Array.from({ length: 16 }, (_, i) => Number((tag >> BigInt(8 * i)) & 255n));
  return toHex(Uint8Array.from(bytes));
}

describe("poly1305", () => {
  const vectors = [
    {
      name: "RFC 8439 §2.5.2",
      key: "85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b",
      message: toHex(Buffer.from("Cryptographic Forum Research Group")),
      tag: "a8061dc1305136c6c22b8baf0c0127a9",
    },
    { name: "A.3 #1", key: "00".repeat(32), message: "00".repeat(64), tag: "00".repeat(16) },
    {
      name: "A.3 #7: 2^130 - 5 reached",
      key: `02${"00".repeat(31)}`,
      message: "ff".repeat(16),
      tag: `03${"00".repeat(15)}`,
    },
    {
      name: "A.3 #8: sum carries out of 128 bits",
      key: `02${"00".repeat(15)}${"ff".repeat(16)}`,
      message: `02${"00".repeat(15)}`,
      tag: `03${"00".repeat(15)}`,
    },
    {
      name: "A.3 #9",
      key: `01${"00".repeat(31)}`,
      message: `${"ff".repeat(16)}f0${"ff".repeat(15)}11${"00".repeat(15)}`,
      tag: `05${"00".repeat(15)}`,
    },
    {
      name: "A.3 #10",
      key: `01${"00".repeat(31)}`,
      message: `${"ff".repeat(16)}fb${"fe".repeat(15)}${"01".repeat(16)}`,
      tag: "00".repeat(16),
    },
    {
      name: "A.3 #11",
      key: `02${"00".repeat(31)}`,
      message: `fd${"ff".repeat(15)}`,
      tag: `fa${"ff".repeat(15)}`,
    },
    {
      name: "A.3 #12",
      key: `0100000000000000040000000000000000000000000000000000000000000000`,
      message:
        "e33594d7505e43b900000000000000003394d7505e4379cd01000000000000000000000000000000000000000000000001000000000000000000000000000000",
      tag: "14000000000000005500000000000000",
    },
    {
      name: "A.3 #13",
      key: `0100000000000000040000000000000000000000000000000000000000000000`,
      message:
        "e33594d7505e43b900000000000000003394d7505e4379cd010000000000000000000000000000000000000000000000",
      tag: "13000000000000000000000000000000",
    },
  ];
  test.for(vectors)("$name", ({ key, message, tag }) => {
    const bytes = fromHex(key);
    const got = poly1305(bytes.subarray(0, 16), bytes.subarray(16), fromHex(message));
    expect(toHex(got)).toBe(tag);
  });

  test("Poly1305-AES of Bernstein's paper: s is AES-128(k, nonce)", () => {
    const cipher = createCipheriv("aes-128-ecb", fromHex("ec074c835580741701425b623235add6"), null);
    const s = cipher.update(fromHex("fb447350c4e868c52ac3275cf9d4327e"));
    const r = fromHex("851fc40c3467ac0be05cc20404f3f700");
    expect(toHex(poly1305(r, s, fromHex("f3f6")))).toBe("f4c633c3044fc145f84f335cb81953de");
  });

  test("equals the definition on any key and message", () => {
    const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
    const message = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 0, max: 80 }).map((size) => new Uint8Array(size).fill(255)),
    );
    fc.assert(
      fc.property(bytes(16), bytes(16), message, (r, s, text) => {
        expect(toHex(poly1305(r, s, text))).toBe(byDefinition(r, s, text));
      }),
    );
  });

  test("does not depend on where the message lies, and leaves it alone", () => {
    const backing = randomBytes(3000);
    const before = toHex(backing);
    const r = randomBytes(16);
    const s = randomBytes(16);
    for (let offset = 0; offset < 20; offset += 1) {
      const part = backing.subarray(offset, offset + 1000 + offset);
      expect(toHex(poly1305(r, s, part))).toBe(toHex(poly1305(r, s, Uint8Array.from(part))));
    }
    expect(toHex(backing)).toBe(before);
  });
});
