/*
 * effects
 *   reads         snapshot files of the repository; with --locks indexes, trees and the lock of every object
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 10 no repository; 12 wrong password; 20 a snapshot file is damaged
 */
import type { LockMode } from "../objectstore/index.ts";
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { acquireLockReader } from "../repository/index.ts";
import type { Repository, Snapshot } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { openDestination, recordedView } from "./open.ts";
import type { View } from "./open.ts";

export interface SnapshotLine {
  readonly id: string;
  readonly time: string;
  readonly hostname: string;
  readonly username: string;
  readonly plan?: string;
  readonly source?: string;
  readonly outcome: "complete" | "incomplete" | "foreign";
  readonly tags: readonly string[];
  readonly paths: readonly string[];
  /** Only when locks were asked for; `null` where something that the point needs carries none. */
  readonly lock?: { readonly mode: LockMode; readonly until: string } | null;
}

export interface ListSnapshotsOptions extends View {
  readonly policy: Policy;
  readonly destination?: string;
  /** Reads the lock of every object that the points need: one request an object. */
  readonly locks?: boolean;
}

export async function listSnapshots(
  context: OperationContext,
  options: ListSnapshotsOptions,
): Promise<readonly SnapshotLine[]> {
  const destination = destinationNamed(options.policy, options.destination);
  await recordAccess(context, options.policy, "snapshots", {
    destination: destination.name,
    ...recordedView(options),
  });
  const repository = await openDestination(context, destination, options);
  const snapshots = await repository.snapshots({ signal: context.signal });
  if (options.locks === true) return await withLocks(repository, snapshots, context.signal);
  return snapshots.map(describeSnapshot);
}

/** One after the other: each asks for many objects at once, and the next finds most of them asked for. */
async function withLocks(
  repository: Repository,
  snapshots: readonly Snapshot[],
  signal: AbortSignal,
): Promise<readonly SnapshotLine[]> {
  const locks = await acquireLockReader(repository, { signal });
  const lines: SnapshotLine[] = [];
  for (const snapshot of snapshots) {
    const held = await locks.lockedUntil(snapshot, { signal });
    const lock = held === undefined ? null : { mode: held.mode, until: held.until.toISOString() };
    lines.push({ ...describeSnapshot(snapshot), lock });
  }
  return lines;
}

export function describeSnapshot(snapshot: Snapshot): SnapshotLine {
  const plan = tagValue(snapshot, "plan");
  const source = tagValue(snapshot, "source");
  return {
    id: snapshot.id,
    time: snapshot.time.toISOString(),
    hostname: snapshot.hostname,
    username: snapshot.username,
    ...(plan === undefined ? {} : { plan }),
    ...(source === undefined ? {} : { source }),
    outcome: outcomeOf(snapshot, plan),
    tags: snapshot.tags,
    paths: snapshot.paths,
  };
}

/** Ours say their plan; one without is another tool's, and nothing is claimed about it. */
function outcomeOf(snapshot: Snapshot, plan: string | undefined): SnapshotLine["outcome"] {
  if (plan === undefined) return "foreign";
  return snapshot.tags.includes("outcome=incomplete") ? "incomplete" : "complete";
}

function tagValue(snapshot: Snapshot, key: string): string | undefined {
  const tag = snapshot.tags.find((candidate) => candidate.startsWith(`${key}=`));
  return tag?.slice(key.length + 1);
}
