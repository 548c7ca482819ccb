import type { Bytes } from "../../kernel/index.ts";

/*
 * Poly1305 (RFC 8439 §2.5) with limbs of 22 bits: 2^132 = 4 * 2^130 = 20 (mod 2^130 - 5), so a product that leaves the
 * sixth limb comes back times 20, and six products of 22-bit limbs stay below 2^53, exact in a double.
 */
const LIMB = 0x400000;
const MASK = 0x3fffff;
const BLOCK_BYTES = 16;

/** `r` as it is stored (clamped here), `s` already encrypted under the nonce; both 16 bytes. Returns 16 bytes. */
export function poly1305(r: Bytes, s: Bytes, message: Bytes): Bytes {
  const h = new Float64Array(6);
  const multiplier = limbsOf(clamp(r), 0, 0);
  const whole = message.byteLength - (message.byteLength % BLOCK_BYTES);
  for (let at = 0; at < whole; at += BLOCK_BYTES) absorb(h, limbsOf(message, at, 1), multiplier);
  if (whole < message.byteLength) {
    const last = new Uint8Array(BLOCK_BYTES);
    last.set(message.subarray(whole));
    last[message.byteLength - whole] = 1;
    absorb(h, limbsOf(last, 0, 0), multiplier);
  }
  return finish(h, s);
}

function clamp(r: Bytes): Bytes {
  const clamped = Uint8Array.from(r);
  for (const at of [3, 7, 11, 15]) clamped[at] = (clamped[at] ?? 0) & 15;
  for (const at of [4, 8, 12]) clamped[at] = (clamped[at] ?? 0) & 252;
  return clamped;
}

function limbsOf(bytes: Bytes, at: number, highBit: 0 | 1): Float64Array {
  const t0 = word(bytes, at);
  const t1 = word(bytes, at + 4);
  const t2 = word(bytes, at + 8);
  const t3 = word(bytes, at + 12);
  const limbs = new Float64Array(6);
  limbs[0] = t0 & MASK;
  limbs[1] = ((t0 >>> 22) | (t1 << 10)) & MASK;
  limbs[2] = ((t1 >>> 12) | (t2 << 20)) & MASK;
  limbs[3] = (t2 >>> 2) & MASK;
  limbs[4] = ((t2 >>> 24) | (t3 << 8)) & MASK;
  limbs[5] = (t3 >>> 14) | (highBit << 18);
  return limbs;
}

function word(bytes: Bytes, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
  return low | ((bytes[at + 3] ?? 0) << 24);
}

/** h = (h + block) * r, limbs carried down to 22 bits and a little. */
function absorb(h: Float64Array, block: Float64Array, r: Float64Array): void {
  for (let i = 0; i < 6; i += 1) h[i] = (h[i] ?? 0) + (block[i] ?? 0);
  const product = new Float64Array(6);
  for (let i = 0; i < 6; i += 1) {
    let sum = 0;
    for (let j = 0; j < 6; j += 1) {
      const wraps = j > i;
      const other = r[wraps ? i - j + 6 : i - j] ?? 0;
      sum += (h[j] ?? 0) * (wraps ? other * 20 : other);
    }
    product[i] = sum;
  }
  carry(product);
  h.set(product);
}

function carry(limbs: Float64Array): void {
  let over = 0;
  for (let i = 0; i < 6; i += 1) {
    const value = (limbs[i] ?? 0) + over;
    over = Math.floor(value / LIMB);
    limbs[i] = value - over * LIMB;
  }
  limbs[0] = (limbs[0] ?? 0) + over * 20;
}

/** (h mod 2^130 - 5) + s, modulo 2^128. */
function finish(h: Float64Array, s: Bytes): Bytes {
  let value = 0n;
  for (let i = 5; i >= 0; i -= 1) value = (value << 22n) + BigInt(h[i] ?? 0);
  value %= (1n << 130n) - 5n;
  const view = new DataView(s.buffer, s.byteOffset, s.byteLength);
  value += view.getBigUint64(0, true) + (view.getBigUint64(8, true) << 64n);
  const tag = new Uint8Array(16);
  const out = new DataView(tag.buffer);
  out.setBigUint64(0, BigInt.asUintN(64, value), true);
  out.setBigUint64(8, BigInt.asUintN(64, value >> 64n), true);
  return tag;
}
