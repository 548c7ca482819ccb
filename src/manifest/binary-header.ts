import type { Bytes } from "../kernel/index.ts";
import { manifestError } from "./errors.ts";

/** PostgreSQL documentation, COPY, "Binary Format": signature, flags, length of an extension to be passed over. */
const SIGNATURE = Buffer.from("PGCOPY\n\u00ff\r\n\0", "latin1");
const FLAGS_AT = SIGNATURE.byteLength;
const FIXED_BYTES = FLAGS_AT + 8;
/** A reader stops at those that it does not know. */
const CRITICAL_FLAGS = 0xffff0000;

export interface BinaryHeader {
  /** What of `chunk` comes after the header. */
  push(chunk: Bytes): Bytes;
}

export function createBinaryHeader(): BinaryHeader {
  const fixed = Buffer.alloc(FIXED_BYTES);
  let filled = 0;
  let extensionLeft = 0;
  return {
    push(chunk) {
      let rest = chunk;
      if (filled < FIXED_BYTES) {
        const taken = rest.subarray(0, FIXED_BYTES - filled);
        fixed.set(taken, filled);
        filled += taken.byteLength;
        rest = rest.subarray(taken.byteLength);
        checkSignature(fixed.subarray(0, filled));
        if (filled < FIXED_BYTES) return rest;
        extensionLeft = extensionBytes(fixed);
      }
      const skipped = Math.min(extensionLeft, rest.byteLength);
      extensionLeft -= skipped;
      return rest.subarray(skipped);
    },
  };
}

function checkSignature(seen: Buffer): void {
  const length = Math.min(seen.byteLength, SIGNATURE.byteLength);
  if (!seen.subarray(0, length).equals(SIGNATURE.subarray(0, length))) {
    throw manifestError("damaged_copy", { message: "binary COPY without its signature" });
  }
}

function extensionBytes(fixed: Buffer): number {
  if ((fixed.readUInt32BE(FLAGS_AT) & CRITICAL_FLAGS) !== 0) {
    throw manifestError("damaged_copy", { message: "binary COPY with an unknown critical flag" });
  }
  const length = fixed.readInt32BE(FLAGS_AT + 4);
  if (length < 0) {
    throw manifestError("damaged_copy", {
      message: "binary COPY with a negative header extension",
    });
  }
  return length;
}
