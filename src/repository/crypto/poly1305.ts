import type { Bytes } from "../../kernel/index.ts";
import { instantiatePoly1305 } from "./poly1305-kernel.generated.ts";

/** One for the thread: a call begins and ends without a pause, and leaves nothing for the next one. */
const kernel = instantiatePoly1305();
const memory = new Uint8Array(kernel.memory.buffer);
const INPUT = kernel.input();
const INPUT_BYTES = kernel.inputBytes();
const KEY = kernel.key();
const TAG = kernel.tag();

/** `r` as it is stored (clamped here), `s` already encrypted under the nonce; both 16 bytes. Returns 16 bytes. */
export function poly1305(r: Bytes, s: Bytes, message: Bytes): Bytes {
  memory.set(r, KEY);
  memory.set(s, KEY + 16);
  kernel.begin();
  for (let at = 0; at < message.byteLength; at += INPUT_BYTES) {
    const piece = message.subarray(at, at + INPUT_BYTES);
    memory.set(piece, INPUT);
    kernel.update(piece.byteLength);
  }
  kernel.finish();
  return memory.slice(TAG, TAG + 16);
}
