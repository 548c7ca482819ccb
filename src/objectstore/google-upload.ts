import { toHex } from "../kernel/index.ts";
import type { Bytes, RandomBytes } from "../kernel/index.ts";
import type { HttpBody } from "./http.ts";
import type { LargeBody } from "./object-store.ts";

/** A body of `uploadType=multipart`: metadata as JSON, then the bytes, which are not copied. */
export function uploadBody(
  metadata: Readonly<Record<string, string | undefined>>,
  body: readonly Bytes[] | LargeBody,
  random: RandomBytes,
): { readonly parts: HttpBody; readonly contentType: string } {
  // 128 random bits: no content holds them.
  const boundary = `sparekeep-${toHex(random(16))}`;
  const head =
    `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(metadata)}\r\n` +
    `--${boundary}\r\nContent-Type: application/octet-stream\r\n\r\n`;
  const tail = `\r\n--${boundary}--\r\n`;
  const contentType = `multipart/related; boundary=${boundary}`;
  if (!("open" in body)) {
    return { parts: [Buffer.from(head), ...body, Buffer.from(tail)], contentType };
  }
  const sizeBytes = head.length + body.sizeBytes + tail.length;
  const open = async function* (): AsyncGenerator<Bytes, void, undefined> {
    yield Buffer.from(head);
    yield* body.open();
    yield Buffer.from(tail);
  };
  return { parts: { sizeBytes, open }, contentType };
}
