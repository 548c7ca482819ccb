import { KIB, MIB } from "../../kernel/index.ts";
import type { EntryKind } from "../types.ts";

/**
 * Normalised chunking: up to `normalBytes` a cut needs `strictBits` zero bits at the top of the rolling hash, after that
 * only `looseBits`. The turning points are chosen so that random content averages 5 KiB, 64 KiB and 1 MiB.
 */
export interface GearLimits {
  readonly minBytes: number;
  readonly normalBytes: number;
  readonly maxBytes: number;
  readonly strictBits: number;
  readonly looseBits: number;
}

export const GEAR_LIMITS: Readonly<Record<EntryKind, GearLimits>> = {
  /** Some 35 rows: of those with one change in a hundred rows two thirds stay as they were. ADR 0017 */
  "small-table": {
    minBytes: KIB,
    normalBytes: 4 * KIB,
    maxBytes: 16 * KIB,
    strictBits: 14,
    looseBits: 11,
  },
  table: {
    minBytes: 16 * KIB,
    normalBytes: 52 * KIB,
    maxBytes: 256 * KIB,
    strictBits: 18,
    looseBits: 14,
  },
  /** Least and most are restic's own. */
  file: {
    minBytes: 512 * KIB,
    normalBytes: 800 * KIB,
    maxBytes: 8 * MIB,
    strictBits: 22,
    looseBits: 18,
  },
};

/** A byte leaves the 64-bit hash after 64 more: hashing begins this far before the least length. */
export const GEAR_WINDOW_BYTES = 64;
