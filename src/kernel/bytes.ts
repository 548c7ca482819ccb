export type Bytes = Uint8Array<ArrayBufferLike>;

/** Source of randomness, passed in: fills a fresh array of `size` bytes. */
export type RandomBytes = (size: number) => Bytes;

export function concatBytes(parts: readonly Bytes[]): Bytes {
  const only = parts[0];
  if (parts.length === 1 && only !== undefined) return only;
  return Buffer.concat(parts);
}

export function equalBytes(a: Bytes, b: Bytes): boolean {
  return a.byteLength === b.byteLength && Buffer.compare(a, b) === 0;
}

export function toHex(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

export function fromHex(hex: string): Bytes {
  return Buffer.from(hex, "hex");
}

export async function collectBytes(chunks: AsyncIterable<Bytes>): Promise<Bytes> {
  const parts: Bytes[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
