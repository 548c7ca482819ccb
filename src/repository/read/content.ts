import { asBlobId, fromHex, throwIfAborted, toHex } from "../../kernel/index.ts";
import type { BlobId, Bytes } from "../../kernel/index.ts";
import { isMissing, isTruncated } from "./blob-reader.ts";
import type { BlobReader } from "./blob-reader.ts";
import { coalesce } from "./ranges.ts";
import type { PackRange } from "./ranges.ts";

/**
 * The bytes of a file, window by window: the blobs of a window are fetched in as few ranges as their places allow,
 * the next window while this one is being consumed. Memory: two windows, sealed and plain.
 */
const WINDOW_BYTES = 4 * 1024 * 1024;
const WINDOW_BLOBS = 1024;
const WINDOWS_AHEAD = 2;
const PARALLEL_RANGES = 4;

/** The plain bytes of a window's blobs where they belong, as far as they opened at their first place. */
interface Window {
  readonly bytes: Bytes;
  readonly slots: readonly Slot[];
}

interface Slot {
  readonly id: BlobId;
  /** In the index; below 0 where it knows of none. */
  readonly position: number;
  readonly at: number;
  readonly sizeBytes: number;
  filled: boolean;
}

type Fetched = { readonly window: Window } | { readonly thrown: unknown };

/** What is given out is the caller's, of any length: many small blobs come together. */
export async function* readContent(
  reader: BlobReader,
  content: readonly BlobId[],
  signal?: AbortSignal,
): AsyncGenerator<Bytes> {
  const ahead: Promise<Fetched>[] = [];
  let next = 0;
  for (;;) {
    while (ahead.length < WINDOWS_AHEAD && next < content.length) {
      const slots = slotsFrom(reader, content, next);
      next += slots.length;
      ahead.push(fetchWindow(reader, slots, signal));
    }
    const fetched = await ahead.shift();
    throwIfAborted(signal);
    if (fetched === undefined) return;
    if ("thrown" in fetched) throw fetched.thrown;
    yield* inOrder(reader, fetched.window, signal);
  }
}

/** Neighbours at once; whatever did not come with its window is looked for at every place, one by one. */
async function* inOrder(
  reader: BlobReader,
  { bytes, slots }: Window,
  signal: AbortSignal | undefined,
): AsyncGenerator<Bytes> {
  let from = 0;
  let to = 0;
  for (const { id, at, sizeBytes, filled } of slots) {
    if (filled) {
      to = at + sizeBytes;
      continue;
    }
    if (to > from) yield bytes.subarray(from, to);
    yield await reader.load(fromHex(id), "data", signal);
    from = at + sizeBytes;
    to = from;
  }
  if (to > from) yield bytes.subarray(from, to);
}

/** Up to a window's bytes. What an index says of one blob may be any number: beyond a window it is loaded alone. */
function slotsFrom(reader: BlobReader, content: readonly BlobId[], from: number): readonly Slot[] {
  const slots: Slot[] = [];
  let at = 0;
  for (let i = from; i < content.length && slots.length < WINDOW_BLOBS; i += 1) {
    const id = content[i];
    if (id === undefined) break;
    const position = reader.index.position(fromHex(id), "data");
    const sizeBytes = position < 0 ? 0 : reader.index.plainLengthAt(position);
    if (slots.length > 0 && at + sizeBytes > WINDOW_BYTES) break;
    slots.push({ id, position, at, sizeBytes, filled: false });
    at += sizeBytes;
  }
  return slots;
}

/** Never rejects: it runs ahead of whoever will await it. */
async function fetchWindow(
  reader: BlobReader,
  slots: readonly Slot[],
  signal?: AbortSignal,
): Promise<Fetched> {
  try {
    const last = slots.at(-1);
    const totalBytes = last === undefined ? 0 : last.at + last.sizeBytes;
    if (totalBytes > WINDOW_BYTES) return { window: { bytes: new Uint8Array(0), slots } };
    const window = { bytes: Buffer.allocUnsafeSlow(totalBytes), slots };
    const slotsOf = Map.groupBy(slots, ({ id }) => id);
    const positions = slots.map(({ position }) => position).filter((position) => position >= 0);
    await openRanges(
      reader,
      positions,
      (id, plain) => fill(window, slotsOf.get(id) ?? [], plain),
      signal,
    );
    return { window };
  } catch (thrown) {
    return { thrown };
  }
}

function fill({ bytes }: Window, slots: readonly Slot[], plain: Bytes): void {
  for (const slot of slots) {
    if (slot.sizeBytes !== plain.byteLength) continue;
    bytes.set(plain, slot.at);
    slot.filled = true;
  }
}

/** `plain` may lie where the next one will. */
type Keep = (id: BlobId, plain: Bytes, compressed: boolean) => void;

async function openRanges(
  reader: BlobReader,
  positions: readonly number[],
  keep: Keep,
  signal?: AbortSignal,
): Promise<void> {
  const ranges = coalesce(reader.index, positions);
  for (let at = 0; at < ranges.length; at += PARALLEL_RANGES) {
    const group = ranges.slice(at, at + PARALLEL_RANGES);
    await Promise.all(group.map((range) => openRange(reader, range, keep, signal)));
  }
}

/** Those of the blobs that open at their first place, by id. */
export async function openBlobs(
  reader: BlobReader,
  positions: readonly number[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, Bytes>> {
  const found = new Map<string, Bytes>();
  const room = roomFor(reader, positions);
  const keep: Keep = (id, plain, compressed) =>
    void found.set(id, compressed ? kept(plain, room) : plain);
  await openRanges(reader, positions, keep, signal);
  return found;
}

/**
 * One buffer for the compressed blobs of a window, in place of one for each: those lie outside V8's heap, are dead for long
 * before it looks, and leave holes.
 */
interface Room {
  readonly bytes: Bytes;
  used: number;
}

/** What an index says of one blob may be any number: beyond a window each has a buffer of its own, when it was opened. */
function roomFor({ index }: BlobReader, positions: readonly number[]): Room {
  let sizeBytes = 0;
  for (const position of positions) {
    if (index.compressedAt(position)) sizeBytes += index.plainLengthAt(position);
  }
  return { bytes: Buffer.allocUnsafeSlow(Math.min(sizeBytes, WINDOW_BYTES)), used: 0 };
}

function kept(plain: Bytes, room: Room): Bytes {
  const at = room.used;
  if (at + plain.byteLength > room.bytes.byteLength) return Uint8Array.from(plain);
  room.bytes.set(plain, at);
  room.used += plain.byteLength;
  return room.bytes.subarray(at, room.used);
}

async function openRange(
  reader: BlobReader,
  range: PackRange,
  keep: Keep,
  signal?: AbortSignal,
): Promise<void> {
  let sealed: Bytes;
  try {
    sealed = await reader.fetch(range.pack, range, signal);
  } catch (thrown) {
    // Missing or truncated here says nothing of the other places: the caller asks for those blobs one by one.
    if (isMissing(thrown) || isTruncated(thrown)) return;
    throw thrown;
  }
  for (const position of range.positions) {
    const place = reader.index.at(position);
    const from = place.offset - range.offset;
    const plain = reader.look(place, sealed.subarray(from, from + place.lengthBytes));
    if (plain !== undefined) keep(asBlobId(toHex(place.id)), plain, place.plainBytes !== undefined);
  }
}
