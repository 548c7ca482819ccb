import type { Bytes } from "../../kernel/index.ts";
import type { EntryKind } from "../types.ts";
import { GEAR_LIMITS } from "./gear-limits.ts";
import { createPlainGearScan } from "./gear-scan.ts";
import { gearTable } from "./gear-table.ts";

/** Cuts one stream by its content: the same bytes give the same chunks however they are pushed. */
export interface Chunker {
  /** Chunks that `bytes` completed, in order: copies, the caller may keep them. `bytes` is not kept. */
  push(bytes: Bytes): readonly Bytes[];
  /** The last chunk, if any; it may be shorter than the least length. Not used after that. */
  finish(): Bytes | undefined;
}

export function createChunker(secret: Bytes, kind: EntryKind): Chunker {
  const limits = GEAR_LIMITS[kind];
  const scan = createPlainGearScan(gearTable(secret, kind), limits);
  let pending = new Uint8Array(limits.normalBytes);
  let filled = 0;

  const keep = (bytes: Bytes): void => {
    if (filled + bytes.byteLength > pending.byteLength) {
      const grown = Math.min(
        Math.max(pending.byteLength * 2, filled + bytes.byteLength),
        limits.maxBytes,
      );
      const larger = new Uint8Array(grown);
      larger.set(pending.subarray(0, filled));
      pending = larger;
    }
    pending.set(bytes, filled);
    filled += bytes.byteLength;
  };

  const complete = (end: Bytes): Bytes => {
    const chunk = new Uint8Array(filled + end.byteLength);
    chunk.set(pending.subarray(0, filled));
    chunk.set(end, filled);
    filled = 0;
    return chunk;
  };

  return {
    push(bytes) {
      const chunks: Bytes[] = [];
      let rest = bytes;
      for (let cut = scan.next(rest); cut > 0; cut = scan.next(rest)) {
        chunks.push(complete(rest.subarray(0, cut)));
        rest = rest.subarray(cut);
      }
      keep(rest);
      return chunks;
    },
    finish: () => (filled === 0 ? undefined : complete(new Uint8Array(0))),
  };
}
