import { AppError } from "../../kernel/index.ts";
import type { SnapshotId } from "../../kernel/index.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { isHeld, standingHolds } from "../hold/held-snapshots.ts";
import { acquireLock } from "../lock/lock.ts";
import { loadSnapshot, loadSnapshots } from "../snapshots.ts";
import type { Repository } from "../types.ts";
import type { CopierOwner } from "../write/blob-copier.ts";

/** Why an old snapshot is still there. */
export interface Remaining {
  readonly snapshot: SnapshotId;
  readonly why: "held" | "locked" | "denied";
  /** When the store's lock ends. */
  readonly until?: Date;
}

interface Rewritten {
  readonly from: SnapshotId;
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
  readonly remaining: readonly Remaining[];
}> {
  const core = coreOf(repository);
  const { hostname, username, pid, signal } = options;
  const waits = signal === undefined ? {} : { signal };
  const owner = { hostname, username, pid };
  await using lock = await acquireLock(core, { exclusive: true, owner, ...waits });
  const old = new Set<string>(rewritten.map(({ from }) => from));
  const standing = await standingHolds(core, await lock.clocks(signal), signal);
  const there = (await loadSnapshots(core, signal)).filter(({ id }) => old.has(id));
  const held = new Set(there.filter((each) => isHeld(standing, each)).map(({ id }) => id));
  const forgotten: SnapshotId[] = [];
  const remaining: Remaining[] = [];
  for (const { from: snapshot, to, tree } of rewritten) {
    await requireWritten(core, to, tree, signal);
    await lock.requireHeld(signal);
    const left = held.has(snapshot)
      ? ({ snapshot, why: "held" } as const)
      : await removeSnapshot(core, snapshot, signal);
    if (left === undefined) forgotten.push(snapshot);
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

async function removeSnapshot(
  core: RepositoryCore,
  snapshot: SnapshotId,
  signal?: AbortSignal,
): Promise<Remaining | undefined> {
  const key = objectKey.snapshot(snapshot);
  const waits = signal === undefined ? {} : { signal };
  const retention = await core.store.lock?.retentionOf(key, waits);
  const { until } = retention ?? {};
  if (until !== undefined && until > core.clock.now()) return { snapshot, why: "locked", until };
  try {
    await core.store.remove(key, waits);
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "objectstore.denied") throw thrown;
    return { snapshot, why: "denied" };
  }
}
