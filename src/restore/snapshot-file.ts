import { createHash } from "node:crypto";
import { collectBytes } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import type { StoredFile } from "../manifest/index.ts";
import type { Snapshot, SnapshotReader } from "../repository/index.ts";
import { equalText } from "./compare.ts";

/** Files of the snapshot by the manifest's paths. The reader has compared each blob's hash; these compare the whole. */

export interface SnapshotSource {
  readonly reader: Pick<SnapshotReader, "find" | "read">;
  readonly snapshot: Snapshot;
}

/** The file's bytes; ends with `restore.file_differs` when there were more or fewer than the manifest says. */
export async function* countingFile(
  source: SnapshotSource,
  file: StoredFile,
  signal: AbortSignal | undefined,
  path: readonly string[] = file.path.split("/"),
): AsyncGenerator<Bytes, void, undefined> {
  const options = signal === undefined ? {} : { signal };
  const entry = await source.reader.find(source.snapshot, path, options);
  let sizeBytes = 0;
  for await (const chunk of source.reader.read(entry, options)) {
    sizeBytes += chunk.byteLength;
    yield chunk;
  }
  equalText(file.path, "bytes", String(file.sizeBytes), String(sizeBytes));
}

/** For small files: whole, its SHA-256 compared. */
export async function readWhole(
  source: SnapshotSource,
  file: StoredFile,
  signal: AbortSignal | undefined,
): Promise<Bytes> {
  const bytes = await collectBytes(countingFile(source, file, signal));
  equalText(file.path, "SHA-256", file.sha256, createHash("sha256").update(bytes).digest("hex"));
  return bytes;
}
