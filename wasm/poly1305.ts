/*
 * Poly1305 (RFC 8439 §2.5), five limbs of 26 bits in 64-bit words. Two blocks a turn: h = (h + m1) * r^2 + m2 * r, so
 * that one carry serves both and the products do not wait for each other.
 */
const INPUT_BYTES: u32 = 65536;
const INPUT: usize = memory.data(65568, 16);
/** r then s, 16 bytes each. */
const KEY: usize = memory.data(32, 16);
const TAG: usize = memory.data(16, 16);
const M26: u64 = 0x3ffffff;
const HIGH_BIT: u64 = 1 << 24;

let h0: u64 = 0;
let h1: u64 = 0;
let h2: u64 = 0;
let h3: u64 = 0;
let h4: u64 = 0;
let r0: u64 = 0;
let r1: u64 = 0;
let r2: u64 = 0;
let r3: u64 = 0;
let r4: u64 = 0;
/** r squared. */
let q0: u64 = 0;
let q1: u64 = 0;
let q2: u64 = 0;
let q3: u64 = 0;
let q4: u64 = 0;

export function input(): usize { return INPUT; }
export function inputBytes(): u32 { return INPUT_BYTES; }
export function key(): usize { return KEY; }
export function tag(): usize { return TAG; }

/** The key has been written. */
export function begin(): void {
  const low = load<u64>(KEY) & 0x0ffffffc0fffffff;
  const high = load<u64>(KEY, 8) & 0x0ffffffc0ffffffc;
  r0 = low & M26;
  r1 = (low >> 26) & M26;
  r2 = ((low >> 52) | (high << 12)) & M26;
  r3 = (high >> 14) & M26;
  r4 = high >> 40;
  h0 = r0;
  h1 = r1;
  h2 = r2;
  h3 = r3;
  h4 = r4;
  multiply();
  q0 = h0;
  q1 = h1;
  q2 = h2;
  q3 = h3;
  q4 = h4;
  h0 = 0;
  h1 = 0;
  h2 = 0;
  h3 = 0;
  h4 = 0;
}

/** h = h * r, carried. */
function multiply(): void {
  const s1 = r1 * 5;
  const s2 = r2 * 5;
  const s3 = r3 * 5;
  const s4 = r4 * 5;
  const d0 = h0 * r0 + h1 * s4 + h2 * s3 + h3 * s2 + h4 * s1;
  const d1 = h0 * r1 + h1 * r0 + h2 * s4 + h3 * s3 + h4 * s2;
  const d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s4 + h4 * s3;
  const d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s4;
  const d4 = h0 * r4 + h1 * r3 + h2 * r2 + h3 * r1 + h4 * r0;
  let c = d0 >> 26;
  h0 = d0 & M26;
  c += d1;
  h1 = c & M26;
  c = (c >> 26) + d2;
  h2 = c & M26;
  c = (c >> 26) + d3;
  h3 = c & M26;
  c = (c >> 26) + d4;
  h4 = c & M26;
  h0 += (c >> 26) * 5;
  h1 += h0 >> 26;
  h0 &= M26;
}

/** Absorbs `length` bytes of the input: a multiple of 16, except in the last call. */
export function update(length: u32): void {
  const pairs = length & ~31;
  if (pairs != 0) absorbPairs(INPUT, INPUT + <usize>pairs);
  let at: u32 = pairs;
  if (length - at >= 16) {
    absorbOne(INPUT + <usize>at, HIGH_BIT);
    at += 16;
  }
  if (at == length) return;
  const end = INPUT + <usize>length;
  store<u64>(end, 1);
  store<u64>(end, 0, 8);
  absorbOne(INPUT + <usize>at, 0);
}

function absorbOne(at: usize, highBit: u64): void {
  const low = load<u64>(at);
  const high = load<u64>(at, 8);
  h0 += low & M26;
  h1 += (low >> 26) & M26;
  h2 += ((low >> 52) | (high << 12)) & M26;
  h3 += (high >> 14) & M26;
  h4 += (high >> 40) | highBit;
  multiply();
}

function absorbPairs(from: usize, to: usize): void {
  const a0 = q0;
  const a1 = q1;
  const a2 = q2;
  const a3 = q3;
  const a4 = q4;
  const t1 = q1 * 5;
  const t2 = q2 * 5;
  const t3 = q3 * 5;
  const t4 = q4 * 5;
  const b0 = r0;
  const b1 = r1;
  const b2 = r2;
  const b3 = r3;
  const b4 = r4;
  const s1 = r1 * 5;
  const s2 = r2 * 5;
  const s3 = r3 * 5;
  const s4 = r4 * 5;
  let g0 = h0;
  let g1 = h1;
  let g2 = h2;
  let g3 = h3;
  let g4 = h4;
  for (let at = from; at < to; at += 32) {
    let low = load<u64>(at);
    let high = load<u64>(at, 8);
    g0 += low & M26;
    g1 += (low >> 26) & M26;
    g2 += ((low >> 52) | (high << 12)) & M26;
    g3 += (high >> 14) & M26;
    g4 += (high >> 40) | HIGH_BIT;
    low = load<u64>(at, 16);
    high = load<u64>(at, 24);
    const m0 = low & M26;
    const m1 = (low >> 26) & M26;
    const m2 = ((low >> 52) | (high << 12)) & M26;
    const m3 = (high >> 14) & M26;
    const m4 = (high >> 40) | HIGH_BIT;
    const d0 = g0 * a0 + g1 * t4 + g2 * t3 + g3 * t2 + g4 * t1 + m0 * b0 + m1 * s4 + m2 * s3 + m3 * s2 + m4 * s1;
    const d1 = g0 * a1 + g1 * a0 + g2 * t4 + g3 * t3 + g4 * t2 + m0 * b1 + m1 * b0 + m2 * s4 + m3 * s3 + m4 * s2;
    const d2 = g0 * a2 + g1 * a1 + g2 * a0 + g3 * t4 + g4 * t3 + m0 * b2 + m1 * b1 + m2 * b0 + m3 * s4 + m4 * s3;
    const d3 = g0 * a3 + g1 * a2 + g2 * a1 + g3 * a0 + g4 * t4 + m0 * b3 + m1 * b2 + m2 * b1 + m3 * b0 + m4 * s4;
    const d4 = g0 * a4 + g1 * a3 + g2 * a2 + g3 * a1 + g4 * a0 + m0 * b4 + m1 * b3 + m2 * b2 + m3 * b1 + m4 * b0;
    let c = (d0 >> 26) + d1;
    g0 = d0 & M26;
    g1 = c & M26;
    c = (c >> 26) + d2;
    g2 = c & M26;
    c = (c >> 26) + d3;
    g3 = c & M26;
    c = (c >> 26) + d4;
    g4 = c & M26;
    g0 += (c >> 26) * 5;
    g1 += g0 >> 26;
    g0 &= M26;
  }
  h0 = g0;
  h1 = g1;
  h2 = g2;
  h3 = g3;
  h4 = g4;
}

/** (h mod 2^130 - 5) + s modulo 2^128, to TAG. */
export function finish(): void {
  let c = h1 >> 26;
  h1 &= M26;
  h2 += c;
  c = h2 >> 26;
  h2 &= M26;
  h3 += c;
  c = h3 >> 26;
  h3 &= M26;
  h4 += c;
  c = h4 >> 26;
  h4 &= M26;
  h0 += c * 5;
  c = h0 >> 26;
  h0 &= M26;
  h1 += c;
  reduce();
  let low = h0 | (h1 << 26) | (h2 << 52);
  let high = (h2 >> 12) | (h3 << 14) | (h4 << 40);
  const s = load<u64>(KEY, 16);
  low += s;
  high += load<u64>(KEY, 24) + <u64>(low < s);
  store<u64>(TAG, low);
  store<u64>(TAG, high, 8);
}

/** Takes 2^130 - 5 off where h reaches it: h + 5 then reaches 2^130. No branch on the value. */
function reduce(): void {
  let c: u64 = 5;
  c += h0;
  const g0 = c & M26;
  c = (c >> 26) + h1;
  const g1 = c & M26;
  c = (c >> 26) + h2;
  const g2 = c & M26;
  c = (c >> 26) + h3;
  const g3 = c & M26;
  c = (c >> 26) + h4;
  const g4 = c & M26;
  const keep = (c >> 26) - 1;
  h0 = (h0 & keep) | (g0 & ~keep);
  h1 = (h1 & keep) | (g1 & ~keep);
  h2 = (h2 & keep) | (g2 & ~keep);
  h3 = (h3 & keep) | (g3 & ~keep);
  h4 = (h4 & keep) | (g4 & ~keep);
}
