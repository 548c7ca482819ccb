/*
 * Sum of the keyed BLAKE3 hashes of the rows of a COPY stream. One instance belongs to one stream at a time.
 *
 * Rows of up to one BLAKE3 chunk that lie whole in the input wait in a bucket for three others of as many blocks, then
 * the four are hashed side by side. A longer row goes through a tree, four chunks at a time, and may span any number of
 * inputs. The unfinished tail of an input, up to one chunk, is moved in front of the next one.
 */
import {
  CHAIN, CHUNK_END, CHUNK_START, KEY, KEYED, MESSAGE, PARENT, ROOT,
  beginLanes, compress, gather, gatherWhole, spreadKey, storeLane,
} from "./blake3-lanes";

const CHUNK: u32 = 1024;
const GROUP: u32 = 4096;
const NEWLINE: i8 = 10;
const INPUT_BYTES: u32 = 131072;

/** One chunk of room in front for the tail, one block behind for loads that pass the end. */
const LEAD: usize = memory.data(132224, 16);
const INPUT: usize = LEAD + 1024;
/** 16 buckets of (4 addresses, 4 lengths); and how many are waiting in each. */
const BUCKETS: usize = memory.data(512, 16);
const WAITING: usize = memory.data(64, 16);
/** 8 vectors of two 64-bit sums: word w of the hashes, not yet carried. */
const PARTIAL: usize = memory.data(128, 16);
/** 32 bytes, big-endian. */
const SUM: usize = memory.data(32, 16);
/** The long row: its bytes since the last whole group, the chaining values of finished subtrees, and of a group. */
const TAIL: usize = memory.data(4224, 16);
const STACK: usize = memory.data(2048, 16);
const GROUP_VALUES: usize = memory.data(128, 16);
const RIGHT: usize = memory.data(32, 16);

let rows: u64 = 0;
let leftover: u32 = 0;
let long: bool = false;
let tailFilled: u32 = 0;
let chunksDone: u32 = 0;
let stackDepth: u32 = 0;
/** Inside a long tuple: fields whose length has not been read, bytes left of one, bytes read of a length. */
let fieldsLeft: u32 = 0;
let bytesLeft: u32 = 0;
let lengthFilled: u32 = 0;
let lengthSoFar: u32 = 0;
let trailingBytes: u32 = 0;

export function key(): usize { return KEY; }
export function input(): usize { return INPUT; }
export function inputBytes(): u32 { return INPUT_BYTES; }
export function sum(): usize { return SUM; }
export function rowCount(): u64 { return rows; }
/** Whether bytes of a row wait for its end. */
export function insideRow(): bool { return long || leftover > 0; }
/** Bytes of the last input that came after the trailer. */
export function trailing(): u32 { return trailingBytes; }

/** The key has been written; begins a stream. */
export function begin(): void {
  spreadKey();
  memory.fill(SUM, 0, 32);
  memory.fill(WAITING, 0, 64);
  rows = 0;
  leftover = 0;
  long = false;
}

export function text(length: u32): void {
  const end = INPUT + <usize>length;
  let row = INPUT - <usize>leftover;
  leftover = 0;
  for (let at = INPUT; at < end; at += 16) {
    let mask = <u32>i8x16.bitmask(i8x16.eq(v128.load(at), i8x16.splat(NEWLINE)));
    if (end - at < 16) mask &= (1 << <u32>(end - at)) - 1;
    while (mask != 0) {
      const stop = at + <usize>ctz(mask);
      mask &= mask - 1;
      completeRow(row, <u32>(stop - row));
      row = stop + 1;
    }
  }
  keepTail(row, end);
  flush(end);
}

const OK: i32 = 0;
const TRAILER: i32 = 1;
const BAD_COUNT: i32 = 2;
const BAD_LENGTH: i32 = 3;

/** Tuples, the file's header taken off; 0 to go on, 1 the trailer was seen, 2 and 3 damage. */
export function binary(length: u32): i32 {
  const end = INPUT + <usize>length;
  let row = INPUT - <usize>leftover;
  leftover = 0;
  if (long) {
    const stop = resumeTuple(row, end);
    if (stop == 0) return BAD_LENGTH;
    if (fieldsLeft != 0 || bytesLeft != 0) {
      absorb(row, <u32>(end - row));
      return OK;
    }
    completeRow(row, <u32>(stop - row));
    row = stop;
  }
  const status = tuples(row, end);
  flush(end);
  return status;
}

function tuples(from: usize, end: usize): i32 {
  let row = from;
  while (row + 2 <= end) {
    const fields = <i16>bswap<u16>(load<u16>(row));
    if (fields == -1) {
      trailingBytes = <u32>(end - row - 2);
      return TRAILER;
    }
    if (fields < 0) return BAD_COUNT;
    fieldsLeft = <u32>fields;
    bytesLeft = 0;
    lengthFilled = 0;
    const stop = resumeTuple(row + 2, end);
    if (stop == 0) return BAD_LENGTH;
    if (fieldsLeft != 0 || bytesLeft != 0) break;
    completeRow(row, <u32>(stop - row));
    row = stop;
  }
  keepTail(row, end);
  return OK;
}

/** Walks on inside a tuple; where it ends, or `end` with something left of it, or 0 for a length below -1. */
function resumeTuple(from: usize, end: usize): usize {
  let at = from;
  while (true) {
    if (bytesLeft != 0) {
      const skipped = min<u32>(bytesLeft, <u32>(end - at));
      at += <usize>skipped;
      bytesLeft -= skipped;
      if (bytesLeft != 0) return at;
    }
    if (fieldsLeft == 0) return at;
    if (lengthFilled == 0 && at + 4 <= end) {
      lengthSoFar = bswap<u32>(load<u32>(at));
      at += 4;
    } else {
      while (lengthFilled < 4) {
        if (at >= end) return at;
        lengthSoFar = (lengthSoFar << 8) | <u32>load<u8>(at);
        lengthFilled++;
        at++;
      }
      lengthFilled = 0;
    }
    fieldsLeft--;
    if (<i32>lengthSoFar < -1) return 0;
    if (<i32>lengthSoFar > 0) bytesLeft = lengthSoFar;
  }
}

function completeRow(row: usize, length: u32): void {
  rows++;
  if (long) {
    absorb(row, length);
    finishLong();
  } else if (length > CHUNK) {
    beginLong();
    absorb(row, length);
    finishLong();
  } else {
    enqueue(row, length);
  }
}

function keepTail(row: usize, end: usize): void {
  const length = <u32>(end - row);
  if (!long && length <= CHUNK) {
    leftover = length;
    return;
  }
  if (!long) beginLong();
  absorb(row, length);
}

/** Hashes whatever still points into the input, then moves the tail out of the way of the next one. */
function flush(end: usize): void {
  for (let bucket: u32 = 0; bucket < 16; bucket++) {
    const waiting = <u32>load<u8>(WAITING + <usize>bucket);
    if (waiting != 0) hashBucket(bucket, waiting);
  }
  carry();
  memory.copy(INPUT - <usize>leftover, end - <usize>leftover, <usize>leftover);
}

function enqueue(row: usize, length: u32): void {
  const bucket: u32 = length == 0 ? 0 : (length - 1) >> 6;
  const waiting = <u32>load<u8>(WAITING + <usize>bucket);
  const slot = BUCKETS + (<usize>bucket << 5) + (<usize>waiting << 2);
  store<u32>(slot, <u32>row);
  store<u32>(slot, length, 16);
  if (waiting == 3) hashBucket(bucket, 4);
  else store<u8>(WAITING + <usize>bucket, waiting + 1);
}

function hashBucket(bucket: u32, waiting: u32): void {
  const slot = BUCKETS + (<usize>bucket << 5);
  for (let lane = waiting; lane < 4; lane++) {
    store<u32>(slot + (<usize>lane << 2), load<u32>(slot));
    store<u32>(slot + (<usize>lane << 2), load<u32>(slot, 16), 16);
  }
  let a = <usize>load<u32>(slot);
  let b = <usize>load<u32>(slot, 4);
  let c = <usize>load<u32>(slot, 8);
  let d = <usize>load<u32>(slot, 12);
  const before = bucket << 6;
  beginLanes();
  let flags = KEYED | CHUNK_START;
  for (let block: u32 = 0; block < bucket; block++) {
    gatherWhole(a, b, c, d);
    compress(i32x4.splat(64), i32x4.splat(flags), i32x4.splat(0));
    flags = KEYED;
    a += 64;
    b += 64;
    c += 64;
    d += 64;
  }
  const lengths = i32x4.sub(v128.load(slot, 16), i32x4.splat(before));
  gather(
    a, b, c, d,
    i32x4.extract_lane(lengths, 0), i32x4.extract_lane(lengths, 1),
    i32x4.extract_lane(lengths, 2), i32x4.extract_lane(lengths, 3),
  );
  compress(lengths, i32x4.splat(flags | CHUNK_END | ROOT), i32x4.splat(0));
  addLanes(waiting);
  store<u8>(WAITING + <usize>bucket, 0);
}

/** Adds the first `count` lanes; 2^31 of them fit before a carry, far more than one input holds. */
function addLanes(count: u32): void {
  const mask = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
  for (let w: usize = 0; w < 128; w += 16) {
    const word = v128.load(CHAIN + w);
    const ordered = i8x16.shuffle(word, word, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    const taken = v128.and(ordered, mask);
    const halves = i64x2.add(i64x2.extend_low_i32x4_u(taken), i64x2.extend_high_i32x4_u(taken));
    v128.store(PARTIAL + w, i64x2.add(v128.load(PARTIAL + w), halves));
  }
}

function carry(): void {
  let over: u64 = 0;
  for (let w: i32 = 7; w >= 0; w--) {
    const partial = PARTIAL + (<usize>w << 4);
    const at = SUM + (<usize>w << 2);
    over += load<u64>(partial) + load<u64>(partial, 8) + <u64>bswap<u32>(load<u32>(at));
    store<u32>(at, bswap<u32>(<u32>over));
    over >>= 32;
  }
  memory.fill(PARTIAL, 0, 128);
}

function beginLong(): void {
  long = true;
  tailFilled = 0;
  chunksDone = 0;
  stackDepth = 0;
}

/** A group is hashed only when more is known to follow: the last chunk of a row is different. */
function absorb(from: usize, length: u32): void {
  let at = from;
  let rest = length;
  if (tailFilled != 0) {
    const taken = min<u32>(GROUP - tailFilled, rest);
    memory.copy(TAIL + <usize>tailFilled, at, <usize>taken);
    tailFilled += taken;
    at += <usize>taken;
    rest -= taken;
    if (rest == 0) return;
    hashGroup(TAIL, GROUP);
    for (let lane: usize = 0; lane < 4; lane++) pushValue(GROUP_VALUES + (lane << 5));
    tailFilled = 0;
  }
  while (rest > GROUP) {
    hashGroup(at, GROUP);
    for (let lane: usize = 0; lane < 4; lane++) pushValue(GROUP_VALUES + (lane << 5));
    at += <usize>GROUP;
    rest -= GROUP;
  }
  memory.copy(TAIL, at, <usize>rest);
  tailFilled = rest;
}

function finishLong(): void {
  const chunks = hashGroup(TAIL, tailFilled);
  for (let lane: u32 = 0; lane < chunks - 1; lane++) pushValue(GROUP_VALUES + (<usize>lane << 5));
  memory.copy(RIGHT, GROUP_VALUES + (<usize>(chunks - 1) << 5), 32);
  while (stackDepth != 0) {
    stackDepth--;
    joinRight(stackDepth == 0 ? ROOT : 0);
  }
  addLanes(1);
  long = false;
}

/** Chaining values of up to four chunks that follow each other, to GROUP_VALUES; the last may be short. */
function hashGroup(from: usize, length: u32): u32 {
  const chunks = (length + CHUNK - 1) >> 10;
  const lastLength = length - ((chunks - 1) << 10);
  const lastBlocks = (lastLength + 63) >> 6;
  const lastLane = <usize>(chunks - 1);
  const blocks: u32 = chunks == 1 ? lastBlocks : 16;
  const counters = i32x4.add(i32x4.splat(chunksDone), i32x4(0, 1, 2, 3));
  beginLanes();
  for (let block: u32 = 0; block < blocks; block++) {
    const a = from + (<usize>block << 6);
    const start: u32 = block == 0 ? KEYED | CHUNK_START : KEYED;
    const own: u32 = block == 15 ? start | CHUNK_END : start;
    let flags = i32x4.splat(own);
    let lengths = i32x4.splat(64);
    if (block == lastBlocks - 1) {
      const isLast = i32x4.eq(i32x4(0, 1, 2, 3), i32x4.splat(<u32>lastLane));
      const rest = lastLength - (block << 6);
      flags = v128.bitselect(i32x4.splat(start | CHUNK_END), flags, isLast);
      lengths = v128.bitselect(i32x4.splat(rest), lengths, isLast);
      gather(
        a, a + 1024, a + 2048, a + 3072,
        lastLane == 0 ? rest : 64, lastLane == 1 ? rest : 64,
        lastLane == 2 ? rest : 64, lastLane == 3 ? rest : 64,
      );
    } else {
      gatherWhole(a, a + 1024, a + 2048, a + 3072);
    }
    compress(lengths, flags, counters);
    if (block == lastBlocks - 1) storeLane(lastLane, GROUP_VALUES + (lastLane << 5));
  }
  for (let lane: usize = 0; lane < lastLane; lane++) storeLane(lane, GROUP_VALUES + (lane << 5));
  return chunks;
}

/** BLAKE3 §5.1.2: after chunk n as many subtrees are joined as n has trailing zero bits. */
function pushValue(value: usize): void {
  memory.copy(RIGHT, value, 32);
  chunksDone++;
  for (let total = chunksDone; (total & 1) == 0; total >>= 1) {
    stackDepth--;
    joinRight(0);
    storeLane(0, RIGHT);
  }
  memory.copy(STACK + (<usize>stackDepth << 5), RIGHT, 32);
  stackDepth++;
}

/** Parent of the top of the stack (already taken off) and RIGHT, in lane 0 and in RIGHT. */
function joinRight(flags: u32): void {
  const left = STACK + (<usize>stackDepth << 5);
  for (let w: usize = 0; w < 8; w++) {
    store<u32>(MESSAGE + (w << 4), load<u32>(left + (w << 2)));
    store<u32>(MESSAGE + 128 + (w << 4), load<u32>(RIGHT + (w << 2)));
  }
  beginLanes();
  compress(i32x4.splat(64), i32x4.splat(KEYED | PARENT | flags), i32x4.splat(0));
  storeLane(0, RIGHT);
}
