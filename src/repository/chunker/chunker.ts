import type { Bytes } from "../../kernel/index.ts";
import type { EntryKind } from "../types.ts";
import { GEAR_LIMITS } from "./gear-limits.ts";
import { gearScans } from "./gear-scan.ts";
import type { GearScan } from "./gear-scan.ts";
import { gearTable } from "./gear-table.ts";

/** Cuts one stream by its content: the same bytes give the same chunks however they are pushed. */
export interface Chunker {
  /** Chunks that `bytes` completed, in order: copies, the caller may keep them. `bytes` is not kept. */
  push(bytes: Bytes): readonly Bytes[];
  /** The last chunk, if any; it may be shorter than the least length. Not used after that. */
  finish(): Bytes | undefined;
}

/** Kernels by secret: the table costs more to derive than a small file takes to cut. */
const scansOfSecret = new WeakMap<Bytes, Map<EntryKind, () => GearScan>>();

function scanOf(secret: Bytes, kind: EntryKind): GearScan {
  const known = scansOfSecret.get(secret) ?? new Map<EntryKind, () => GearScan>();
  scansOfSecret.set(secret, known);
  const create = known.get(kind) ?? gearScans(gearTable(secret, kind), GEAR_LIMITS[kind]);
  known.set(kind, create);
  return create();
}

/** `secret` must not change afterwards: what follows from it is remembered with the array. */
export function createChunker(secret: Bytes, kind: EntryKind): Chunker {
  const { normalBytes, maxBytes } = GEAR_LIMITS[kind];
  const scan = scanOf(secret, kind);
  let pending: Bytes = new Uint8Array(0);
  let filled = 0;

  const keep = (bytes: Bytes): void => {
    const needed = filled + bytes.byteLength;
    if (needed > pending.byteLength) {
      const atLeast = filled === 0 ? needed : Math.max(needed, normalBytes);
      const larger = Buffer.allocUnsafeSlow(
        Math.min(Math.max(atLeast, pending.byteLength * 2), maxBytes),
      );
      larger.set(pending.subarray(0, filled));
      pending = larger;
    }
    pending.set(bytes, filled);
    filled = needed;
  };

  const complete = (end: Bytes): Bytes => {
    const chunk = Buffer.allocUnsafeSlow(filled + end.byteLength);
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
