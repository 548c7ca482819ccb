/*
 * Rolling hash of src/repository/chunker: hash = 2 * hash + table[byte] modulo 2^64; a cut is where its top bits are
 * zero. A byte has left the hash after 64 more, so the second half of a piece can be hashed beside the first, from 64
 * bytes before it on: two independent chains keep the processor busy where one would wait for itself.
 */
const TABLE: usize = memory.data(2048, 16);
const INPUT: usize = memory.data(65536 + 64, 16);
const INPUT_BYTES: u32 = 65536;
/** End of the first cut in the second half, or 0. */
const SECOND: usize = memory.data(16, 16);
const WINDOW: u32 = 64;
/** Two halves of this much are hashed side by side. */
const HALF: u32 = 2048;

let hash: u64 = 0;

export function table(): usize { return TABLE; }
export function input(): usize { return INPUT; }
export function inputBytes(): u32 { return INPUT_BYTES; }
/** The rolling hash: one stream's between its calls of `scan`. */
export function hashNow(): u64 { return hash; }
export function restore(value: u64): void { hash = value; }

/** Hashes [from, to) of the input without looking for a cut. */
export function warm(from: u32, to: u32): void {
  hash = roll(hash, INPUT + <usize>from, INPUT + <usize>to);
}

/** End of the first cut in [from, to) of the input, or 0; `shift` is 64 less the number of zero bits wanted. */
export function scan(from: u32, to: u32, shift: u32): u32 {
  const limit = (<u64>1) << <u64>shift;
  let at = from;
  while (to - at >= 2 * HALF) {
    const cut = scanPair(at, limit);
    if (cut != 0) return cut;
    at += 2 * HALF;
  }
  let value = hash;
  for (; at < to; at++) {
    value = step(value, load<u8>(INPUT + <usize>at));
    if (value < limit) {
      hash = value;
      return at + 1;
    }
  }
  hash = value;
  return 0;
}

/** The first half decides; a cut in the second counts only where the first has none. */
function scanPair(from: u32, limit: u64): u32 {
  let a = INPUT + <usize>from;
  let b = a + <usize>HALF;
  const middle = b;
  let left = hash;
  let right = roll(0, b - <usize>WINDOW, b);
  store<usize>(SECOND, 0);
  while (a < middle) {
    left = step(left, load<u8>(a, 0));
    if (left < limit) return foundAt(left, a + 1);
    right = step(right, load<u8>(b, 0));
    if (right < limit) noteSecond(b + 1);
    left = step(left, load<u8>(a, 1));
    if (left < limit) return foundAt(left, a + 2);
    right = step(right, load<u8>(b, 1));
    if (right < limit) noteSecond(b + 2);
    left = step(left, load<u8>(a, 2));
    if (left < limit) return foundAt(left, a + 3);
    right = step(right, load<u8>(b, 2));
    if (right < limit) noteSecond(b + 3);
    left = step(left, load<u8>(a, 3));
    if (left < limit) return foundAt(left, a + 4);
    right = step(right, load<u8>(b, 3));
    if (right < limit) noteSecond(b + 4);
    left = step(left, load<u8>(a, 4));
    if (left < limit) return foundAt(left, a + 5);
    right = step(right, load<u8>(b, 4));
    if (right < limit) noteSecond(b + 5);
    left = step(left, load<u8>(a, 5));
    if (left < limit) return foundAt(left, a + 6);
    right = step(right, load<u8>(b, 5));
    if (right < limit) noteSecond(b + 6);
    left = step(left, load<u8>(a, 6));
    if (left < limit) return foundAt(left, a + 7);
    right = step(right, load<u8>(b, 6));
    if (right < limit) noteSecond(b + 7);
    left = step(left, load<u8>(a, 7));
    if (left < limit) return foundAt(left, a + 8);
    right = step(right, load<u8>(b, 7));
    if (right < limit) noteSecond(b + 8);
    a += 8;
    b += 8;
  }
  hash = right;
  const second = load<usize>(SECOND);
  return second == 0 ? 0 : <u32>(second - INPUT);
}

// @ts-ignore: decorator
@inline
function step(value: u64, byte: u8): u64 {
  return (value << 1) + load<u64>(<usize>byte << 3, TABLE);
}

/** In memory and not in a variable: the compiler would make it a select on every byte. */
function noteSecond(end: usize): void {
  if (load<usize>(SECOND) == 0) store<usize>(SECOND, end);
}

function foundAt(value: u64, end: usize): u32 {
  hash = value;
  return <u32>(end - INPUT);
}

function roll(start: u64, from: usize, to: usize): u64 {
  let value = start;
  for (let at = from; at < to; at++) value = step(value, load<u8>(at, 0));
  return value;
}
