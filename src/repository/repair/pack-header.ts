import type { Bytes } from "../../kernel/index.ts";
import { headerRange, MAX_HEADER_BYTES } from "../check/verify-pack.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { openBytes } from "../crypto/sealed.ts";
import {
  HEADER_LENGTH_BYTES,
  headerEntryBytes,
  packOverheadBytes,
  parseHeader,
} from "../pack/header.ts";
import type { PackEntry } from "../pack/header.ts";
import { isMissing, isTruncated } from "../read/blob-reader.ts";

/** The end of a pack that is asked for first: the header of a pack of ours with 64 KiB chunks is about 10 KiB. */
const FIRST_LOOK_BYTES = 64 * 1024;

/** What a pack says that it holds; `undefined` where its header does not open, or does not make up its size. */
export async function readPackHeader(
  core: RepositoryCore,
  pack: string,
  sizeBytes: number,
  signal?: AbortSignal,
): Promise<readonly PackEntry[] | undefined> {
  try {
    const tail = await readEnd(core, pack, sizeBytes, FIRST_LOOK_BYTES, signal);
    const range = headerRange(sizeBytes, tail);
    if (range === undefined) return undefined;
    const wanted = range.length + HEADER_LENGTH_BYTES;
    const end =
      wanted <= tail.byteLength
        ? tail.subarray(tail.byteLength - wanted)
        : await readEnd(core, pack, sizeBytes, Math.min(wanted, MAX_HEADER_BYTES), signal);
    const header = openBytes(end.subarray(0, range.length), core.master.keys);
    const entries = header === undefined ? undefined : parseHeader(header);
    return entries !== undefined && sizeOf(entries) === sizeBytes ? entries : undefined;
  } catch (thrown) {
    if (isMissing(thrown) || isTruncated(thrown)) return undefined;
    throw thrown;
  }
}

function readEnd(
  core: RepositoryCore,
  pack: string,
  sizeBytes: number,
  wantedBytes: number,
  signal?: AbortSignal,
): Promise<Bytes> {
  const length = Math.min(sizeBytes, wantedBytes);
  if (length === 0) return Promise.resolve(new Uint8Array(0));
  const options = signal === undefined ? {} : { signal };
  return core.store.getRange(objectKey.pack(pack), { offset: sizeBytes - length, length }, options);
}

function sizeOf(entries: readonly PackEntry[]): number {
  return entries.reduce(
    (sum, entry) => sum + entry.lengthBytes + headerEntryBytes(entry.plainBytes !== undefined),
    packOverheadBytes(0),
  );
}
