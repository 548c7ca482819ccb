import { Readable } from "node:stream";
import { throwIfAborted } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";

export interface ExpectedBody {
  readonly key: string;
  readonly sizeBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A whole answer in one buffer of its announced size. Fewer or more bytes are a broken transfer, which may pass, and
 * never a short object.
 */
export async function readBody(body: unknown, expected: ExpectedBody): Promise<Bytes> {
  const { key, sizeBytes, signal } = expected;
  if (!(body instanceof Readable)) throw broken(expected, 0, undefined);
  const bytes = bufferOf(expected);
  let filled = 0;
  const stop = (): void => void body.destroy();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    throwIfAborted(signal);
    for await (const chunk of body) {
      const part = bytesOf(chunk, key);
      if (filled + part.byteLength <= sizeBytes) bytes.set(part, filled);
      filled += part.byteLength;
    }
  } catch (thrown) {
    throwIfAborted(signal);
    throw broken(expected, filled, thrown);
  } finally {
    signal?.removeEventListener("abort", stop);
    body.destroy();
  }
  throwIfAborted(signal);
  if (filled !== sizeBytes) throw broken(expected, filled, undefined);
  return bytes;
}

/** A length that no memory holds is no length of ours. */
function bufferOf(expected: ExpectedBody): Buffer {
  try {
    return Buffer.allocUnsafe(expected.sizeBytes);
  } catch (thrown) {
    throw broken(expected, 0, thrown);
  }
}

function bytesOf(chunk: unknown, key: string): Bytes {
  if (chunk instanceof Uint8Array) return chunk;
  throw objectStoreError("unavailable", { message: `body of ${key} that is no bytes` });
}

function broken({ key, sizeBytes }: ExpectedBody, filled: number, cause: unknown): Error {
  return objectStoreError("unavailable", {
    message: `transfer of ${key} broken off after ${filled} of ${sizeBytes} bytes`,
    subject: { key, sizeBytes, receivedBytes: filled },
    cause,
  });
}
