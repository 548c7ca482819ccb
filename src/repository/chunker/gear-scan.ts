import type { Bytes } from "../../kernel/index.ts";
import { GEAR_WINDOW_BYTES } from "./gear-limits.ts";
import type { GearLimits } from "./gear-limits.ts";

/** Finds the end of the chunk being filled. One for each stream; holds the rolling hash between calls. */
export interface GearScan {
  /**
   * Bytes of `bytes` that belong to the current chunk when it ends among them (1 to its length; the scan is then ready
   * for the next chunk), or 0: all belong to it and it goes on.
   */
  next(bytes: Bytes): number;
}

/** hash = 2 * hash + table[byte] modulo 2^64, in two halves; the cut looks at the high one. */
export function createPlainGearScan(table: Bytes, limits: GearLimits): GearScan {
  const words = new Uint32Array(table.slice().buffer);
  const skipBytes = limits.minBytes - GEAR_WINDOW_BYTES;
  let high = 0;
  let low = 0;
  let length = 0;

  const cut = (): void => {
    high = 0;
    low = 0;
    length = 0;
  };

  return {
    next(bytes) {
      let at = Math.min(Math.max(skipBytes - length, 0), bytes.byteLength);
      length += at;
      for (; at < bytes.byteLength; at += 1) {
        const entry = (bytes[at] ?? 0) * 2;
        const sum = ((low << 1) >>> 0) + (words[entry] ?? 0);
        high = ((high << 1) | (low >>> 31)) + (words[entry + 1] ?? 0) + (sum > 0xffffffff ? 1 : 0);
        high >>>= 0;
        low = sum >>> 0;
        length += 1;
        if (length < limits.minBytes) continue;
        const bits = length < limits.normalBytes ? limits.strictBits : limits.looseBits;
        if (high >>> (32 - bits) !== 0 && length < limits.maxBytes) continue;
        cut();
        return at + 1;
      }
      return 0;
    },
  };
}
