import { AppError, asSnapshotId } from "../kernel/index.ts";
import type { SnapshotId } from "../kernel/index.ts";
import type { RepositoryCore } from "./core.ts";
import { repositoryError } from "./errors.ts";
import { listIds } from "./list.ts";
import { objectOf, parseJson } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { parseSnapshot, snapshotOf } from "./snapshot-file.ts";
import type { Snapshot } from "./types.ts";
import { loadUnpacked, unpackedDamage, unpackedPrefix } from "./unpacked.ts";

const PARALLEL = 8;

/** All of them, oldest first. One that was forgotten between listing and reading is left out. */
export async function loadSnapshots(
  core: RepositoryCore,
  signal?: AbortSignal,
): Promise<readonly Snapshot[]> {
  const { snapshots, damaged } = await loadReadableSnapshots(core, signal);
  for (const { error } of damaged) throw error;
  return snapshots;
}

export interface ReadableSnapshots {
  /** Oldest first. */
  readonly snapshots: readonly Snapshot[];
  /** Those whose file cannot be understood. */
  readonly damaged: readonly { readonly id: SnapshotId; readonly error: AppError }[];
}

/** The same for those who go on without the damaged ones, and say so. */
export async function loadReadableSnapshots(
  core: RepositoryCore,
  signal?: AbortSignal,
): Promise<ReadableSnapshots> {
  const ids = await listIds(core.store, unpackedPrefix.snapshot, signal);
  const snapshots: Snapshot[] = [];
  const damaged: { id: SnapshotId; error: AppError }[] = [];
  for (let at = 0; at < ids.length; at += PARALLEL) {
    const some = ids.slice(at, at + PARALLEL);
    const loaded = await Promise.all(some.map((id) => loadIfThere(core, id, signal)));
    for (const [i, one] of loaded.entries()) {
      if (one instanceof AppError) damaged.push({ id: asSnapshotId(some[i] ?? ""), error: one });
      else if (one !== undefined) snapshots.push(one);
    }
  }
  snapshots.sort((a, b) => a.time.getTime() - b.time.getTime() || (a.id < b.id ? -1 : 1));
  return { snapshots, damaged };
}

async function loadIfThere(
  core: RepositoryCore,
  id: string,
  signal?: AbortSignal,
): Promise<Snapshot | AppError | undefined> {
  try {
    return await loadSnapshot(core, id, signal);
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    if (thrown.code === "objectstore.not_found") return undefined;
    if (thrown.kind === "corrupt") return thrown;
    throw thrown;
  }
}

export async function loadSnapshot(
  core: RepositoryCore,
  id: string,
  signal?: AbortSignal,
): Promise<Snapshot> {
  const json = await loadUnpacked(core, "snapshot", id, signal);
  const snapshot = parseSnapshot(json, asSnapshotId(id));
  if (snapshot === undefined) throw unpackedDamage("snapshot", id, "that is no snapshot");
  return snapshot;
}

/** With every field that stands in the file: a copy carries those too that we give no meaning to. */
export async function loadSnapshotFields(
  core: RepositoryCore,
  id: string,
  signal?: AbortSignal,
): Promise<{ readonly snapshot: Snapshot; readonly fields: JsonObject }> {
  const fields = objectOf(parseJson(await loadUnpacked(core, "snapshot", id, signal)));
  const snapshot = fields === undefined ? undefined : snapshotOf(fields, asSnapshotId(id));
  if (fields === undefined || snapshot === undefined) {
    throw unpackedDamage("snapshot", id, "that is no snapshot");
  }
  return { snapshot, fields };
}

/** `latest`, a full id, or a prefix that only one id has. */
export async function resolveSnapshot(
  core: RepositoryCore,
  reference: string,
  signal?: AbortSignal,
): Promise<Snapshot> {
  if (reference === "latest") {
    const newest = (await loadSnapshots(core, signal)).at(-1);
    if (newest === undefined) throw notFound(reference, "repository without a snapshot");
    return newest;
  }
  if (!/^[0-9a-f]{1,64}$/.test(reference)) throw notFound(reference, "snapshot id that is no hex");
  const ids = await listIds(core.store, unpackedPrefix.snapshot, signal);
  const matching = ids.filter((id) => id.startsWith(reference));
  const [only] = matching;
  if (only === undefined) throw notFound(reference, `no snapshot ${reference}`);
  if (matching.length > 1) {
    throw repositoryError("snapshot_ambiguous", {
      message: `${matching.length} snapshots that begin with ${reference}`,
      subject: { snapshot: reference },
    });
  }
  return await loadSnapshot(core, only, signal);
}

function notFound(reference: string, message: string): AppError {
  return repositoryError("snapshot_not_found", {
    message,
    subject: { snapshot: reference.slice(0, 64) },
  });
}
