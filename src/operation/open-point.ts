import type { Manifest } from "../manifest/index.ts";
import type { RepositoryDestination } from "../policy/index.ts";
import type { Repository, Snapshot, SnapshotReader } from "../repository/index.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { readManifest } from "./manifest-of.ts";
import { openDestination } from "./open.ts";
import type { View } from "./open.ts";

/** A snapshot that is to be read: where it lies, and what it says that it holds. */
export interface OpenPoint {
  readonly repository: Repository;
  readonly snapshot: Snapshot;
  readonly reader: SnapshotReader;
  readonly manifest: Manifest;
}

/** After its record: whoever opens a point for a purpose has said so before. */
export async function openPoint(
  context: OperationContext,
  destination: RepositoryDestination,
  options: View & { readonly snapshot: string },
): Promise<OpenPoint> {
  const { signal } = context;
  const repository = await openDestination(context, destination, options);
  const snapshot = await repository.resolveSnapshot(options.snapshot, { signal });
  const reader = await repository.acquireReader({ signal });
  return { repository, snapshot, reader, manifest: await readManifest(reader, snapshot, signal) };
}

export function requireRows({ snapshot, manifest }: OpenPoint): void {
  if (manifest.captures !== "schema") return;
  throw operationError("schema_only", {
    message: `snapshot ${snapshot.id.slice(0, 8)} that holds the schema alone`,
    subject: { snapshot: snapshot.id },
  });
}
