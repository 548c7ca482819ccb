import { isUtf8 } from "node:buffer";
import type { Bytes } from "../../kernel/index.ts";
import { manifestError } from "../errors.ts";

/** JSON is UTF-8 by definition; a database of encoding SQL_ASCII may hold anything. */
export interface Utf8Guard {
  push(chunk: Bytes): void;
  finish(): void;
}

export function createUtf8Guard(): Utf8Guard {
  let rest: Bytes = new Uint8Array(0);
  return {
    push(chunk) {
      const bytes = rest.byteLength === 0 ? chunk : Buffer.concat([rest, chunk]);
      const whole = bytes.byteLength - unfinishedBytes(bytes);
      if (!isUtf8(bytes.subarray(0, whole))) throw notText();
      rest = Uint8Array.from(bytes.subarray(whole));
    },
    finish() {
      if (rest.byteLength > 0) throw notText();
    },
  };
}

/** Bytes of a character at the end that may still be completed. */
function unfinishedBytes(bytes: Bytes): number {
  for (let back = 1; back <= Math.min(3, bytes.byteLength); back += 1) {
    const byte = bytes[bytes.byteLength - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

function notText(): Error {
  return manifestError("not_utf8", {
    message: "a value that is not UTF-8, which JSON cannot hold",
  });
}
