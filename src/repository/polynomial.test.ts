import { describe, expect, test } from "vitest";
import { degreeOf, isIrreducible, randomPolynomial } from "./polynomial.ts";
import { seededRandom } from "./testing/fixtures.ts";

describe("chunker polynomials", () => {
  test.for([
    ["x", 0b10n, true],
    ["x + 1", 0b11n, true],
    ["x² + x + 1", 0b111n, true],
    ["x² + 1 = (x + 1)²", 0b101n, false],
    ["x³ + x + 1", 0b1011n, true],
    ["x⁴ + x² + 1 = (x² + x + 1)²", 0b10101n, false],
    ["x⁸ + x⁴ + x³ + x + 1, of AES", 0x11bn, true],
    ["x⁸ + x⁴ + x³ + x", 0x11an, false],
    ["the one of restic's own documentation", 0x25b468838dcb75n, true],
    ["the one of the tests of its chunker", 0x3da3358b4dc173n, true],
    ["1", 1n, false],
    ["0", 0n, false],
  ] as const)("%s", ([, polynomial, irreducible]) => {
    expect(isIrreducible(polynomial)).toBe(irreducible);
  });

  test("agree with trial division up to degree 10", () => {
    const irreducible: bigint[] = [];
    for (let f = 2n; f < 1n << 11n; f += 1n) {
      const divided = irreducible.some((g) => 2 * degreeOf(g) <= degreeOf(f) && divides(g, f));
      if (!divided) irreducible.push(f);
      expect(isIrreducible(f)).toBe(!divided);
    }
    expect(irreducible.length).toBe(2 + 1 + 2 + 3 + 6 + 9 + 18 + 30 + 56 + 99);
  });

  test("drawn at random are irreducible, of degree 53, and differ", () => {
    const random = seededRandom("polynomial");
    const [a, b] = [randomPolynomial(random), randomPolynomial(random)];
    expect(a).not.toBe(b);
    for (const polynomial of [a, b]) {
      expect(degreeOf(BigInt(`0x${polynomial}`))).toBe(53);
      expect(isIrreducible(BigInt(`0x${polynomial}`))).toBe(true);
    }
  });
});

function divides(g: bigint, f: bigint): boolean {
  let rest = f;
  while (degreeOf(rest) >= degreeOf(g)) rest ^= g << BigInt(degreeOf(rest) - degreeOf(g));
  return rest === 0n;
}
