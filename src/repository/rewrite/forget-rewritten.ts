import type { SnapshotId } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { readStanding, removeUnlessHeld } from "../hold/standing.ts";
import type { Remaining } from "../hold/standing.ts";
import { acquireLock } from "../lock/lock.ts";
import { loadSnapshot } from "../snapshots.ts";
import type { Repository, Snapshot } from "../types.ts";
import type { CopierOwner } from "../write/blob-copier.ts";

interface Rewritten {
  readonly old: Snapshot;
  readonly to: SnapshotId;
  readonly tree: string;
}

export interface ForgetOptions extends CopierOwner {
  readonly signal?: AbortSignal;
}

/**
 * Removes snapshots whose rewritten form is durable. Under an exclusive lock, as restic's forget; holds are read under it.
 * A snapshot that is held or that the store does not let go is a value: the erasure is not complete, and says so.
 */
export async function forgetRewritten(
  repository: Repository,
  rewritten: readonly Rewritten[],
  options: ForgetOptions,
): Promise<{
  readonly forgotten: readonly SnapshotId[];
  readonly remaining: readonly Remaining<SnapshotId>[];
}> {
  const core = coreOf(repository);
  const { hostname, username, pid, signal } = options;
  const waits = signal === undefined ? {} : { signal };
  const owner = { hostname, username, pid };
  await using lock = await acquireLock(core, { exclusive: true, owner, ...waits });
  const standing = await readStanding(repository, await lock.clocks(signal), waits);
  const forgotten: SnapshotId[] = [];
  const remaining: Remaining<SnapshotId>[] = [];
  for (const { old, to, tree } of rewritten) {
    await requireWritten(core, to, tree, signal);
    await lock.requireHeld(signal);
    const left = await removeUnlessHeld(core, old, standing, waits);
    if (left === undefined) forgotten.push(old.id);
    else remaining.push(left);
  }
  return { forgotten, remaining };
}

/** Read again from the store: the old one is all there is until then. */
async function requireWritten(
  core: RepositoryCore,
  to: SnapshotId,
  tree: string,
  signal?: AbortSignal,
): Promise<void> {
  if ((await loadSnapshot(core, to, signal)).tree === tree) return;
  throw repositoryError("copy_differs", {
    message: `snapshot ${to.slice(0, 8)} of another tree than the one written`,
    subject: { snapshot: to },
  });
}
