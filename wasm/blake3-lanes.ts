/*
 * BLAKE3's compression function on four inputs at once: lane i of every vector belongs to input i. One vector holds one
 * word of the state; the sixteen message words lie transposed at MESSAGE.
 */

export const CHUNK_START: u32 = 1;
export const CHUNK_END: u32 = 2;
export const PARENT: u32 = 4;
export const ROOT: u32 = 8;
export const KEYED: u32 = 16;

/** 16 vectors: word w of the four messages. */
export const MESSAGE: usize = memory.data(256, 16);
/** 8 vectors: word w of the four chaining values, in and out. */
export const CHAIN: usize = memory.data(128, 16);
/** The key, 8 words; and the same spread over the lanes, 8 vectors. */
export const KEY: usize = memory.data(32, 16);
export const KEY_LANES: usize = memory.data(128, 16);
/** 64 bytes of ones, then 64 of zeros: a load at MASK + 64 - n keeps the first n bytes of a block. */
const MASK: usize = memory.data<u8>([
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
], 16);
/** Message word for each of the sixteen places of each round, as a byte offset into MESSAGE. */
const SCHEDULE: usize = memory.data<u16>([
  0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240,
  32, 96, 48, 160, 112, 0, 64, 208, 16, 176, 192, 80, 144, 224, 240, 128,
  48, 64, 160, 192, 208, 32, 112, 224, 96, 80, 144, 0, 176, 240, 128, 16,
  160, 112, 192, 144, 224, 48, 208, 240, 64, 0, 176, 32, 80, 128, 16, 96,
  192, 208, 144, 176, 240, 160, 224, 128, 112, 32, 80, 48, 0, 16, 96, 64,
  144, 224, 176, 80, 128, 192, 240, 16, 208, 48, 0, 160, 32, 96, 64, 112,
  176, 240, 80, 0, 16, 144, 128, 96, 224, 160, 32, 192, 48, 64, 112, 208,
], 16);

export function spreadKey(): void {
  for (let w: usize = 0; w < 8; w++) {
    v128.store(KEY_LANES + (w << 4), i32x4.splat(load<i32>(KEY + (w << 2))));
  }
}

/** All four lanes begin a chunk. */
export function beginLanes(): void {
  memory.copy(CHAIN, KEY_LANES, 128);
}

/** Puts 64 bytes at `a`, `b`, `c`, `d` into the four lanes, of each the first `*Length` bytes and zeros after them. */
export function gather(
  a: usize, b: usize, c: usize, d: usize,
  aLength: u32, bLength: u32, cLength: u32, dLength: u32,
): void {
  const aMask = MASK + 64 - <usize>aLength;
  const bMask = MASK + 64 - <usize>bLength;
  const cMask = MASK + 64 - <usize>cLength;
  const dMask = MASK + 64 - <usize>dLength;
  for (let at: usize = 0; at < 64; at += 16) {
    transpose(
      v128.and(v128.load(a + at), v128.load(aMask + at)),
      v128.and(v128.load(b + at), v128.load(bMask + at)),
      v128.and(v128.load(c + at), v128.load(cMask + at)),
      v128.and(v128.load(d + at), v128.load(dMask + at)),
      MESSAGE + (at << 2),
    );
  }
}

/** The same for blocks that are full. */
export function gatherWhole(a: usize, b: usize, c: usize, d: usize): void {
  for (let at: usize = 0; at < 64; at += 16) {
    transpose(v128.load(a + at), v128.load(b + at), v128.load(c + at), v128.load(d + at), MESSAGE + (at << 2));
  }
}

// @ts-ignore: decorator
@inline
function transpose(a: v128, b: v128, c: v128, d: v128, to: usize): void {
  const ab0 = v128.shuffle<u32>(a, b, 0, 4, 1, 5);
  const ab1 = v128.shuffle<u32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<u32>(c, d, 0, 4, 1, 5);
  const cd1 = v128.shuffle<u32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<u64>(ab0, cd0, 0, 2));
  v128.store(to, v128.shuffle<u64>(ab0, cd0, 1, 3), 16);
  v128.store(to, v128.shuffle<u64>(ab1, cd1, 0, 2), 32);
  v128.store(to, v128.shuffle<u64>(ab1, cd1, 1, 3), 48);
}

// @ts-ignore: decorator
@inline
function rotate16(x: v128): v128 {
  return i8x16.shuffle(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

// @ts-ignore: decorator
@inline
function rotate12(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 12), i32x4.shl(x, 20));
}

// @ts-ignore: decorator
@inline
function rotate8(x: v128): v128 {
  return i8x16.shuffle(x, x, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
}

// @ts-ignore: decorator
@inline
function rotate7(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 7), i32x4.shl(x, 25));
}

// @ts-ignore: decorator
@inline
function word(schedule: usize, place: usize): v128 {
  return v128.load(MESSAGE + <usize>load<u16>(schedule + (place << 1)));
}

/** MESSAGE into CHAIN; block lengths, flags and chunk counters (their low halves) lane by lane. */
export function compress(lengths: v128, flags: v128, counters: v128): void {
  let v0 = v128.load(CHAIN);
  let v1 = v128.load(CHAIN, 16);
  let v2 = v128.load(CHAIN, 32);
  let v3 = v128.load(CHAIN, 48);
  let v4 = v128.load(CHAIN, 64);
  let v5 = v128.load(CHAIN, 80);
  let v6 = v128.load(CHAIN, 96);
  let v7 = v128.load(CHAIN, 112);
  let v8 = i32x4.splat(0x6a09e667);
  let v9 = i32x4.splat(0xbb67ae85);
  let v10 = i32x4.splat(0x3c6ef372);
  let v11 = i32x4.splat(0xa54ff53a);
  let v12 = counters;
  let v13 = i32x4.splat(0);
  let v14 = lengths;
  let v15 = flags;

  for (let s: usize = SCHEDULE; s < SCHEDULE + 224; s += 32) {
    v0 = i32x4.add(i32x4.add(v0, v4), word(s, 0));
    v1 = i32x4.add(i32x4.add(v1, v5), word(s, 2));
    v2 = i32x4.add(i32x4.add(v2, v6), word(s, 4));
    v3 = i32x4.add(i32x4.add(v3, v7), word(s, 6));
    v12 = rotate16(v128.xor(v12, v0));
    v13 = rotate16(v128.xor(v13, v1));
    v14 = rotate16(v128.xor(v14, v2));
    v15 = rotate16(v128.xor(v15, v3));
    v8 = i32x4.add(v8, v12);
    v9 = i32x4.add(v9, v13);
    v10 = i32x4.add(v10, v14);
    v11 = i32x4.add(v11, v15);
    v4 = rotate12(v128.xor(v4, v8));
    v5 = rotate12(v128.xor(v5, v9));
    v6 = rotate12(v128.xor(v6, v10));
    v7 = rotate12(v128.xor(v7, v11));
    v0 = i32x4.add(i32x4.add(v0, v4), word(s, 1));
    v1 = i32x4.add(i32x4.add(v1, v5), word(s, 3));
    v2 = i32x4.add(i32x4.add(v2, v6), word(s, 5));
    v3 = i32x4.add(i32x4.add(v3, v7), word(s, 7));
    v12 = rotate8(v128.xor(v12, v0));
    v13 = rotate8(v128.xor(v13, v1));
    v14 = rotate8(v128.xor(v14, v2));
    v15 = rotate8(v128.xor(v15, v3));
    v8 = i32x4.add(v8, v12);
    v9 = i32x4.add(v9, v13);
    v10 = i32x4.add(v10, v14);
    v11 = i32x4.add(v11, v15);
    v4 = rotate7(v128.xor(v4, v8));
    v5 = rotate7(v128.xor(v5, v9));
    v6 = rotate7(v128.xor(v6, v10));
    v7 = rotate7(v128.xor(v7, v11));

    v0 = i32x4.add(i32x4.add(v0, v5), word(s, 8));
    v1 = i32x4.add(i32x4.add(v1, v6), word(s, 10));
    v2 = i32x4.add(i32x4.add(v2, v7), word(s, 12));
    v3 = i32x4.add(i32x4.add(v3, v4), word(s, 14));
    v15 = rotate16(v128.xor(v15, v0));
    v12 = rotate16(v128.xor(v12, v1));
    v13 = rotate16(v128.xor(v13, v2));
    v14 = rotate16(v128.xor(v14, v3));
    v10 = i32x4.add(v10, v15);
    v11 = i32x4.add(v11, v12);
    v8 = i32x4.add(v8, v13);
    v9 = i32x4.add(v9, v14);
    v5 = rotate12(v128.xor(v5, v10));
    v6 = rotate12(v128.xor(v6, v11));
    v7 = rotate12(v128.xor(v7, v8));
    v4 = rotate12(v128.xor(v4, v9));
    v0 = i32x4.add(i32x4.add(v0, v5), word(s, 9));
    v1 = i32x4.add(i32x4.add(v1, v6), word(s, 11));
    v2 = i32x4.add(i32x4.add(v2, v7), word(s, 13));
    v3 = i32x4.add(i32x4.add(v3, v4), word(s, 15));
    v15 = rotate8(v128.xor(v15, v0));
    v12 = rotate8(v128.xor(v12, v1));
    v13 = rotate8(v128.xor(v13, v2));
    v14 = rotate8(v128.xor(v14, v3));
    v10 = i32x4.add(v10, v15);
    v11 = i32x4.add(v11, v12);
    v8 = i32x4.add(v8, v13);
    v9 = i32x4.add(v9, v14);
    v5 = rotate7(v128.xor(v5, v10));
    v6 = rotate7(v128.xor(v6, v11));
    v7 = rotate7(v128.xor(v7, v8));
    v4 = rotate7(v128.xor(v4, v9));
  }

  v128.store(CHAIN, v128.xor(v0, v8));
  v128.store(CHAIN, v128.xor(v1, v9), 16);
  v128.store(CHAIN, v128.xor(v2, v10), 32);
  v128.store(CHAIN, v128.xor(v3, v11), 48);
  v128.store(CHAIN, v128.xor(v4, v12), 64);
  v128.store(CHAIN, v128.xor(v5, v13), 80);
  v128.store(CHAIN, v128.xor(v6, v14), 96);
  v128.store(CHAIN, v128.xor(v7, v15), 112);
}

/** Chaining value of one lane, 8 words, to `to`. */
export function storeLane(lane: usize, to: usize): void {
  for (let w: usize = 0; w < 8; w++) store<u32>(to + (w << 2), load<u32>(CHAIN + (w << 4) + (lane << 2)));
}

/** A chaining value of 8 words into one lane. */
export function loadLane(lane: usize, from: usize): void {
  for (let w: usize = 0; w < 8; w++) store<u32>(CHAIN + (w << 4) + (lane << 2), load<u32>(from + (w << 2)));
}
