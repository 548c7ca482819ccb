import { collectBytes, equalBytes } from "../kernel/index.ts";
import type { AppError, Bytes } from "../kernel/index.ts";
import { parseManifest } from "../manifest/index.ts";
import type { Repository, SnapshotSummary } from "../repository/index.ts";
import { operationError } from "./errors.ts";
import { MANIFEST_PATH } from "./manifest-of.ts";
import { entryPath, pathText } from "./path-text.ts";

/** Files of the snapshot as the run believes to have stored them: path as text, size. */
export type ExpectedFiles = ReadonlyMap<string, number>;

export interface ReadBack {
  readonly files: number;
  readonly sizeBytes: number;
}

/**
 * Opens the new snapshot from the store again, as a stranger would: its manifest must be byte for byte the one that was
 * written and parse, and every file must be there with its size and with all of its blobs in the index. Contents were
 * compared blob by blob before they left; `check --read-data` reads them all again.
 */
export async function readBack(
  repository: Repository,
  summary: SnapshotSummary,
  manifest: Bytes,
  expected: ExpectedFiles,
  signal: AbortSignal,
): Promise<ReadBack> {
  const snapshot = await repository.resolveSnapshot(summary.id, { signal });
  const reader = await repository.acquireReader({ signal });
  const differs = (what: string): AppError =>
    operationError("read_back_differs", {
      message: `snapshot ${summary.id.slice(0, 8)}, read back: ${what}`,
      subject: { snapshot: summary.id },
    });
  if (snapshot.tree !== summary.tree) throw differs("another tree than the one written");
  const missing = new Map(expected);
  let sizeBytes = 0;
  for await (const entry of reader.entries(snapshot, { recursive: true, signal })) {
    if (entry.type === "dir") continue;
    const path = pathText(entry.path);
    const size = missing.get(path);
    if (size === undefined) throw differs(`${path} that was not stored`);
    if (size !== entry.sizeBytes) throw differs(`${path} of ${entry.sizeBytes} bytes, not ${size}`);
    if (!entry.content.every((blob) => reader.holds(blob))) throw differs(`${path} without a blob`);
    missing.delete(path);
    sizeBytes += entry.sizeBytes;
  }
  const [first] = missing.keys();
  if (first !== undefined)
    throw differs(`${missing.size} files are not there, among them ${first}`);
  const stored = await reader.find(snapshot, entryPath(MANIFEST_PATH), { signal });
  const bytes = await collectBytes(reader.read(stored, { signal }));
  if (!equalBytes(bytes, manifest)) throw differs("another manifest than the one written");
  parseManifest(bytes);
  return { files: expected.size, sizeBytes };
}
