import { open } from "node:fs/promises";
import { join } from "node:path";
import { runChild } from "./child.ts";
import { demoError } from "./errors.ts";
import type { InitdbOptions } from "./cluster.ts";

/**
 * Gives a copied, cleanly stopped cluster an identifier of its own, as initdb would have: two clusters of one identifier
 * are one server to whoever asks. `pg_control` begins with it and ends with the CRC-32C of what is before; the WAL, which
 * carries it too, is begun anew.
 */
export async function giveIdentifier(
  options: InitdbOptions,
  data: string,
  identifier: bigint,
): Promise<void> {
  const path = join(data, "global", "pg_control");
  const file = await open(path, "r+");
  try {
    const bytes = await file.readFile();
    const end = checksumPlace(bytes);
    bytes.writeBigUInt64LE(identifier, 0);
    bytes.writeUInt32LE(crc32c(bytes.subarray(0, end)), end);
    await file.write(bytes, 0, bytes.byteLength, 0);
  } finally {
    await file.close();
  }
  const result = await runChild({
    program: join(options.programs.folder, "pg_resetwal"),
    args: ["-D", data],
    cwd: data,
    user: options.user,
    signal: options.signal,
  });
  if (result.exitCode !== 0) {
    throw demoError("cluster_start", { message: `pg_resetwal: ${result.stderr}` });
  }
}

/** Its offset is another in each version. */
function checksumPlace(bytes: Buffer): number {
  for (let end = 128; end <= 512; end += 4) {
    if (crc32c(bytes.subarray(0, end)) === bytes.readUInt32LE(end)) return end;
  }
  throw demoError("cluster_start", { message: "pg_control without its checksum" });
}

const POLYNOMIAL = 0x82f63b78;

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
    }
  }
  return (crc ^ 0xffffffff) >>> 0;
}
