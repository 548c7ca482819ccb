import type { RandomBytes } from "../kernel/index.ts";

/**
 * `config.chunker_polynomial`: a random irreducible polynomial of degree 53 over GF(2), as hex. We cut by our own
 * chunker, but restic refuses a config whose polynomial is reducible. docs/spec/repository.md §config
 */
const DEGREE = 53n;

export function randomPolynomial(random: RandomBytes): string {
  for (;;) {
    const bits = Buffer.from(random(8)).readBigUInt64LE() & ((1n << DEGREE) - 1n);
    // The constant term is set: without it x would divide the polynomial.
    const candidate = (1n << DEGREE) | bits | 1n;
    if (isIrreducible(candidate)) return candidate.toString(16);
  }
}

/** Ben-Or's test: no common factor with x^(2^i) − x for any i up to half the degree. */
export function isIrreducible(f: bigint): boolean {
  const degree = degreeOf(f);
  if (degree < 1) return false;
  let power = 2n;
  for (let i = 1; i <= Math.floor(degree / 2); i += 1) {
    power = remainder(square(power), f);
    if (degreeOf(gcd(f, power ^ 2n)) !== 0) return false;
  }
  return true;
}

export function degreeOf(f: bigint): number {
  return f === 0n ? -1 : f.toString(2).length - 1;
}

function square(f: bigint): bigint {
  // Squaring over GF(2) spreads the bits: between two of them stands a zero.
  return BigInt(`0b${f.toString(2).split("").join("0")}`);
}

function remainder(f: bigint, divisor: bigint): bigint {
  const degree = degreeOf(divisor);
  let rest = f;
  for (let d = degreeOf(rest); d >= degree; d = degreeOf(rest)) {
    rest ^= divisor << BigInt(d - degree);
  }
  return rest;
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, remainder(x, y)];
  return x;
}
