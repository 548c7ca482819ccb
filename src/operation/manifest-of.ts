import { AppError, collectBytes } from "../kernel/index.ts";
import { parseManifest } from "../manifest/index.ts";
import type { Manifest } from "../manifest/index.ts";
import type { Snapshot, SnapshotReader } from "../repository/index.ts";
import { operationError } from "./errors.ts";

export const MANIFEST_PATH = "manifest.json";

export async function readManifest(
  reader: SnapshotReader,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<Manifest> {
  try {
    const entry = await reader.find(snapshot, [MANIFEST_PATH], { signal });
    return parseManifest(await collectBytes(reader.read(entry, { signal })));
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "repository.path_not_found") throw thrown;
    throw operationError("not_a_database_snapshot", {
      message: `snapshot ${snapshot.id.slice(0, 8)} without a manifest.json`,
      subject: { snapshot: snapshot.id },
      cause: thrown,
    });
  }
}
