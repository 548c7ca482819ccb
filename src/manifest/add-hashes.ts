const MODULUS = 1n << 256n;

/** Row hashes add up modulo 2^256 (engine of `RowHasher`); no rows sum to zero. */
export function addHashes(hashes: readonly string[]): string {
  const sum = hashes.reduce((total, hash) => (total + BigInt(`0x${hash}`)) % MODULUS, 0n);
  return sum.toString(16).padStart(64, "0");
}
