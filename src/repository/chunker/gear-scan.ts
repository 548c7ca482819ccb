import type { Bytes } from "../../kernel/index.ts";
import { instantiateGear } from "./gear-kernel.generated.ts";
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

/** Scans for any number of streams with one table: a call takes the kernel for its own duration only. */
export function gearScans(table: Bytes, limits: GearLimits): () => GearScan {
  const kernel = instantiateGear();
  const memory = new Uint8Array(kernel.memory.buffer);
  memory.set(table, kernel.table());
  const input = kernel.input();
  const inputBytes = kernel.inputBytes();
  const { minBytes, normalBytes, maxBytes } = limits;
  const skipBytes = minBytes - GEAR_WINDOW_BYTES;

  return () => {
    /** Of the current chunk, and the rolling hash after it. */
    let length = 0;
    let hash = 0n;

    /** Where in the loaded piece the chunk ends, or 0. */
    const scanPiece = (pieceBytes: number): number => {
      let at = 0;
      while (at < pieceBytes) {
        const warms = length < minBytes - 1;
        const strict = length < normalBytes - 1;
        const until = warms ? minBytes - 1 : strict ? normalBytes - 1 : maxBytes;
        const to = Math.min(at + until - length, pieceBytes);
        length += to - at;
        if (warms) {
          kernel.warm(at, to);
        } else {
          const cut = kernel.scan(at, to, 64 - (strict ? limits.strictBits : limits.looseBits));
          if (cut > 0) return cut;
          if (length === maxBytes) return to;
        }
        at = to;
      }
      return 0;
    };

    return {
      next(bytes) {
        let at = Math.min(Math.max(skipBytes - length, 0), bytes.byteLength);
        length += at;
        if (at === bytes.byteLength) return 0;
        kernel.restore(hash);
        for (; at < bytes.byteLength; at += inputBytes) {
          const piece = bytes.subarray(at, at + inputBytes);
          memory.set(piece, input);
          const cut = scanPiece(piece.byteLength);
          if (cut > 0) {
            length = 0;
            hash = 0n;
            return at + cut;
          }
        }
        hash = kernel.hashNow();
        return 0;
      },
    };
  };
}
