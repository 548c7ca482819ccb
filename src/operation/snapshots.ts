/*
 * effects
 *   reads         snapshot files, proofs and holds of the repository; with --locks indexes, trees and the lock of every object
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 10 no repository; 12 wrong password; 20 a snapshot file is damaged
 */
import type { LockMode } from "../objectstore/index.ts";
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import {
  acquireLockReader,
  holds,
  isInForce,
  listHolds,
  outcomeOf,
  planOf,
  proofOf,
  proofsOf,
  scopeOf,
  sourceOf,
} from "../repository/index.ts";
import type { Hold, Proof, ProofState, Repository, Snapshot } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { openDestination, recordedView } from "./open.ts";
import type { View } from "./open.ts";
import { hasRoomForRecords } from "./prove.ts";

export interface SnapshotLine {
  readonly id: string;
  readonly time: string;
  readonly hostname: string;
  readonly username: string;
  readonly plan?: string;
  readonly source?: string;
  readonly outcome: "complete" | "incomplete" | "foreign";
  /** `tables`: the rows of some tables alone, no whole database. */
  readonly scope?: "everything" | "tables";
  readonly tags: readonly string[];
  readonly paths: readonly string[];
  /** Only when locks were asked for; `null` where something that the point needs carries none. */
  readonly lock?: { readonly mode: LockMode; readonly until: string } | null;
  /** The snapshot that this one is a copy of, or was rewritten from. */
  readonly original?: string;
}

export interface ListSnapshotsOptions extends View {
  readonly policy: Policy;
  readonly destination?: string;
  /** Reads the lock of every object that the points need: one request an object. */
  readonly locks?: boolean;
}

export interface ListedHold {
  readonly id: string;
  readonly by: string;
  readonly reason: string;
  readonly until?: string;
}

export interface ListedSnapshot extends SnapshotLine {
  readonly state: ProofState;
  /** Those in force. */
  readonly holds: readonly ListedHold[];
  /** Of a suspect one: the last record that doubts it. */
  readonly doubt?: Pick<Proof, "by" | "details"> & { readonly at: string };
}

export async function listSnapshots(
  context: OperationContext,
  options: ListSnapshotsOptions,
): Promise<readonly ListedSnapshot[]> {
  const { signal } = context;
  const destination = destinationNamed(options.policy, options.destination);
  await recordAccess(context, options.policy, "snapshots", {
    destination: destination.name,
    ...recordedView(options),
  });
  const repository = await openDestination(context, destination, options);
  const snapshots = await repository.snapshots({ signal });
  const records = hasRoomForRecords(destination)
    ? await recordsOf(context, repository)
    : { proofs: new Map<string, Proof>(), standing: [] };
  const listed = snapshots.map((snapshot) => withRecords(snapshot, records));
  if (options.locks !== true) return listed;
  const locks = await locksOf(repository, snapshots, signal);
  return listed.map((line) => ({ ...line, lock: locks.get(line.id) ?? null }));
}

interface Records {
  readonly proofs: ReadonlyMap<string, Proof>;
  readonly standing: readonly Hold[];
}

async function recordsOf(
  { signal, clock }: OperationContext,
  repository: Repository,
): Promise<Records> {
  const proofs = await proofsOf(repository, { signal });
  const all = await listHolds(repository, { signal });
  return { proofs, standing: all.filter((hold) => isInForce(hold, clock.now())) };
}

function withRecords(snapshot: Snapshot, { proofs, standing }: Records): ListedSnapshot {
  const point = { ...snapshot, plan: planOf(snapshot) };
  const proof = proofOf(proofs, snapshot);
  return {
    ...describeSnapshot(snapshot),
    state: proof?.state ?? "stored",
    ...(proof?.state === "suspect" ? { doubt: doubtOf(proof) } : {}),
    holds: standing.filter((hold) => holds(hold, point)).map(listedHold),
  };
}

function doubtOf({ by, at, details }: Proof): NonNullable<ListedSnapshot["doubt"]> {
  return { by, at: at.toISOString(), details };
}

function listedHold({ id, by, reason, until }: Hold): ListedHold {
  return { id, by, reason, ...(until === undefined ? {} : { until: until.toISOString() }) };
}

/** One after the other: each asks for many objects at once, and the next finds most of them asked for. */
async function locksOf(
  repository: Repository,
  snapshots: readonly Snapshot[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, SnapshotLine["lock"]>> {
  const reader = await acquireLockReader(repository, { signal });
  const locks = new Map<string, SnapshotLine["lock"]>();
  for (const snapshot of snapshots) {
    const held = await reader.lockedUntil(snapshot, { signal });
    const lock = held === undefined ? null : { mode: held.mode, until: held.until.toISOString() };
    locks.set(snapshot.id, lock);
  }
  return locks;
}

export function describeSnapshot(snapshot: Snapshot): SnapshotLine {
  const plan = planOf(snapshot);
  const source = sourceOf(snapshot);
  const scope = scopeOf(snapshot);
  return {
    id: snapshot.id,
    time: snapshot.time.toISOString(),
    hostname: snapshot.hostname,
    username: snapshot.username,
    ...(plan === undefined ? {} : { plan }),
    ...(source === undefined ? {} : { source }),
    outcome: outcomeOf(snapshot),
    ...(scope === undefined ? {} : { scope }),
    tags: snapshot.tags,
    paths: snapshot.paths,
    ...(snapshot.original === undefined ? {} : { original: snapshot.original }),
  };
}
