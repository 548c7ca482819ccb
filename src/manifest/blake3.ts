import type { Bytes } from "../kernel/index.ts";

/*
 * BLAKE3, keyed, 32-byte output, of messages that are at hand whole. Plain and slow: the reference for the kernel.
 * BLAKE3 specification §2: chunks of 1024 bytes in blocks of 64, chaining values joined in a binary tree whose left
 * subtrees are the largest powers of two.
 */
const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;
const KEYED = 16;
const CHUNK_BYTES = 1024;
const BLOCK_BYTES = 64;

/** Quarter rounds: columns, then diagonals. */
const MIXES = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

export function blake3Keyed(key: Bytes, message: Bytes): Bytes {
  const keyWords = wordsOf(key, 8);
  const root = subtree(keyWords, message, 0, ROOT);
  const out = new Uint8Array(32);
  const view = new DataView(out.buffer);
  root.forEach((word, i) => view.setUint32(4 * i, word, true));
  return out;
}

/** Chaining value of `message`, which begins at chunk `counter` of the whole. */
function subtree(key: Uint32Array, message: Bytes, counter: number, flags: number): Uint32Array {
  if (message.byteLength <= CHUNK_BYTES) return chunk(key, message, counter, flags);
  const chunks = Math.ceil(message.byteLength / CHUNK_BYTES);
  const leftChunks = 2 ** Math.floor(Math.log2(chunks - 1));
  const split = leftChunks * CHUNK_BYTES;
  const block = new Uint32Array(16);
  block.set(subtree(key, message.subarray(0, split), counter, 0));
  block.set(subtree(key, message.subarray(split), counter + leftChunks, 0), 8);
  return compress(key, block, 0, BLOCK_BYTES, KEYED | PARENT | flags);
}

function chunk(key: Uint32Array, message: Bytes, counter: number, flags: number): Uint32Array {
  const blocks = Math.max(1, Math.ceil(message.byteLength / BLOCK_BYTES));
  let chaining = key;
  for (let i = 0; i < blocks; i += 1) {
    const block = message.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
    const last = i === blocks - 1 ? CHUNK_END | flags : 0;
    const own = KEYED | (i === 0 ? CHUNK_START : 0) | last;
    chaining = compress(chaining, wordsOf(block, 16), counter, block.byteLength, own);
  }
  return chaining;
}

function compress(
  chaining: Uint32Array,
  block: Uint32Array,
  counter: number,
  length: number,
  flags: number,
): Uint32Array {
  const v = Uint32Array.of(
    ...chaining,
    ...IV.slice(0, 4),
    counter,
    Math.floor(counter / 2 ** 32),
    length,
    flags,
  );
  let words = block;
  for (let round = 0; round < 7; round += 1) {
    MIXES.forEach(([a, b, c, d], i) =>
      mix(v, a, b, c, d, words[2 * i] ?? 0, words[2 * i + 1] ?? 0),
    );
    words = Uint32Array.from(PERMUTATION, (from) => words[from] ?? 0);
  }
  return v.slice(0, 8).map((word, i) => word ^ (v[i + 8] ?? 0));
}

function mix(
  v: Uint32Array,
  a: number,
  b: number,
  c: number,
  d: number,
  x: number,
  y: number,
): void {
  const at = (i: number): number => v[i] ?? 0;
  v[a] = at(a) + at(b) + x;
  v[d] = rotateRight(at(d) ^ at(a), 16);
  v[c] = at(c) + at(d);
  v[b] = rotateRight(at(b) ^ at(c), 12);
  v[a] = at(a) + at(b) + y;
  v[d] = rotateRight(at(d) ^ at(a), 8);
  v[c] = at(c) + at(d);
  v[b] = rotateRight(at(b) ^ at(c), 7);
}

function rotateRight(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

/** Little-endian, zeros where `bytes` ends. */
function wordsOf(bytes: Bytes, count: number): Uint32Array {
  const words = new Uint32Array(count);
  bytes.forEach((byte, i) => {
    words[i >> 2] = (words[i >> 2] ?? 0) | (byte << (8 * (i & 3)));
  });
  return words;
}
