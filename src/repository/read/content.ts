import { fromHex, throwIfAborted, toHex } from "../../kernel/index.ts";
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

type Window = ReadonlyMap<string, Bytes>;
type Fetched = { readonly blobs: Window } | { readonly thrown: unknown };

export async function* readContent(
  reader: BlobReader,
  content: readonly BlobId[],
  signal?: AbortSignal,
): AsyncGenerator<Bytes> {
  const ahead: { ids: readonly BlobId[]; fetched: Promise<Fetched> }[] = [];
  let next = 0;
  for (;;) {
    while (ahead.length < WINDOWS_AHEAD && next < content.length) {
      const ids = windowFrom(reader, content, next);
      next += ids.length;
      ahead.push({ ids, fetched: fetchWindow(reader, ids, signal) });
    }
    const window = ahead.shift();
    if (window === undefined) return;
    const fetched = await window.fetched;
    throwIfAborted(signal);
    if ("thrown" in fetched) throw fetched.thrown;
    for (const id of window.ids) {
      // Whatever did not come with its window is looked for at every place, one by one.
      yield fetched.blobs.get(id) ?? (await reader.load(fromHex(id), "data", signal));
    }
  }
}

function windowFrom(
  reader: BlobReader,
  content: readonly BlobId[],
  from: number,
): readonly BlobId[] {
  const ids: BlobId[] = [];
  let sizeBytes = 0;
  for (let at = from; at < content.length && ids.length < WINDOW_BLOBS; at += 1) {
    const id = content[at];
    if (id === undefined) break;
    const position = reader.index.position(fromHex(id), "data");
    const plainBytes = position < 0 ? 0 : reader.index.plainLengthAt(position);
    if (ids.length > 0 && sizeBytes + plainBytes > WINDOW_BYTES) break;
    ids.push(id);
    sizeBytes += plainBytes;
  }
  return ids;
}

/** Never rejects: it runs ahead of whoever will await it. */
async function fetchWindow(
  reader: BlobReader,
  ids: readonly BlobId[],
  signal?: AbortSignal,
): Promise<Fetched> {
  try {
    const positions = ids
      .map((id) => reader.index.position(fromHex(id), "data"))
      .filter((position) => position >= 0);
    return { blobs: await openBlobs(reader, positions, signal) };
  } catch (thrown) {
    return { thrown };
  }
}

/** Those of the blobs that open at their first place, by id. */
export async function openBlobs(
  reader: BlobReader,
  positions: readonly number[],
  signal?: AbortSignal,
): Promise<Window> {
  const found = new Map<string, Bytes>();
  const room = roomFor(reader, positions);
  const ranges = coalesce(reader.index, positions);
  for (let at = 0; at < ranges.length; at += PARALLEL_RANGES) {
    const group = ranges.slice(at, at + PARALLEL_RANGES);
    await Promise.all(group.map((range) => openRange(reader, range, { found, room }, signal)));
  }
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
  { found, room }: { readonly found: Map<string, Bytes>; readonly room: Room },
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
    if (plain === undefined) continue;
    found.set(toHex(place.id), place.plainBytes === undefined ? plain : kept(plain, room));
  }
}
