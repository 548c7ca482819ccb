import { KIB, MIB } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { EntryKind } from "../types.ts";
import { GEAR_LIMITS } from "./gear-limits.ts";
import { gearScans } from "./gear-scan.ts";
import type { GearScan } from "./gear-scan.ts";
import { gearTable } from "./gear-table.ts";
import type { SlabPool } from "./slabs.ts";

/** Cuts one stream by its content: the same bytes give the same chunks however they are pushed. */
export interface Chunker {
  /** Batches that `bytes` completed, in order. `bytes` is not kept. */
  push(bytes: Bytes): readonly ChunkBatch[];
  /** The last batch, if any; its last chunk may be shorter than the least length. Not used after that. */
  finish(): ChunkBatch | undefined;
}

/**
 * Chunks that follow each other, back to back from the start of one buffer, which is the receiver's: to be given back to
 * the pool that it came from when the chunks are no longer needed.
 */
export interface ChunkBatch {
  readonly chunks: readonly Bytes[];
}

interface BatchLimits {
  /** A batch is complete with the first chunk that brings it to this. */
  readonly batchBytes: number;
  /** What is set aside for it; it grows where a chunk does not fit. */
  readonly slabBytes: number;
}

const BATCH_LIMITS: Readonly<Record<EntryKind, BatchLimits>> = {
  "small-table": { batchBytes: MIB, slabBytes: MIB + 16 * KIB },
  table: { batchBytes: MIB, slabBytes: MIB + 256 * KIB },
  /** One chunk each: the least is half a MiB, and one in a hundred is longer than two. */
  file: { batchBytes: 512 * KIB, slabBytes: 2 * MIB },
};

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
export function createChunker(secret: Bytes, kind: EntryKind, slabs: SlabPool): Chunker {
  const { batchBytes, slabBytes } = BATCH_LIMITS[kind];
  const scan = scanOf(secret, kind);
  let slab: Bytes | undefined;
  let filled = 0;
  let ends: number[] = [];

  const append = (bytes: Bytes): void => {
    const needed = filled + bytes.byteLength;
    slab ??= slabs.acquire(slabBytes);
    if (needed > slab.byteLength) slab = grown(slab, filled, needed, slabs);
    slab.set(bytes, filled);
    filled = needed;
  };

  const complete = (used: Bytes): ChunkBatch => {
    const chunks = ends.map((end, i) => used.subarray(ends[i - 1] ?? 0, end));
    slab = undefined;
    filled = 0;
    ends = [];
    return { chunks };
  };

  return {
    push(bytes) {
      const batches: ChunkBatch[] = [];
      for (let rest = bytes; rest.byteLength > 0;) {
        const cut = scan.next(rest);
        const taken = cut === 0 ? rest.byteLength : cut;
        append(rest.subarray(0, taken));
        rest = rest.subarray(taken);
        if (cut === 0 || slab === undefined) continue;
        ends.push(filled);
        if (filled >= batchBytes) batches.push(complete(slab));
      }
      return batches;
    },
    finish() {
      if (slab === undefined) return undefined;
      if (filled > (ends.at(-1) ?? 0)) ends.push(filled);
      return complete(trimmed(slab, filled, slabs));
    },
  };
}

function grown(slab: Bytes, filled: number, needed: number, slabs: SlabPool): Bytes {
  const larger = slabs.acquire(Math.max(slab.byteLength * 2, needed));
  larger.set(slab.subarray(0, filled));
  slabs.release(slab.buffer);
  return larger;
}

/** A short end would hold a whole slab back while it waits for its place in a pack. */
function trimmed(slab: Bytes, filled: number, slabs: SlabPool): Bytes {
  if (filled * 2 > slab.byteLength) return slab;
  const exact = Uint8Array.from(slab.subarray(0, filled));
  slabs.release(slab.buffer);
  return exact;
}
