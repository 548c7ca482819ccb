/*
 * effects
 *   reads         snapshot files, proofs and holds of the repository
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 10 no repository; 12 wrong password; 20 a snapshot file is damaged
 */
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import {
  holds,
  isInForce,
  listHolds,
  outcomeOf,
  planOf,
  proofsOf,
  sourceOf,
} from "../repository/index.ts";
import type { Hold, ProofState, Snapshot } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { openDestination } from "./open.ts";
import { hasRoomForRecords } from "./prove.ts";

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
}

export async function listSnapshots(
  context: OperationContext,
  options: { readonly policy: Policy; readonly destination?: string },
): Promise<readonly ListedSnapshot[]> {
  const { signal, clock } = context;
  const destination = destinationNamed(options.policy, options.destination);
  await recordAccess(context, options.policy, "snapshots", { destination: destination.name });
  const repository = await openDestination(context, destination);
  const snapshots = await repository.snapshots({ signal });
  if (!hasRoomForRecords(destination)) {
    return snapshots.map((snapshot) => ({
      ...describeSnapshot(snapshot),
      state: "stored",
      holds: [],
    }));
  }
  const proofs = await proofsOf(repository, { signal });
  const standing = (await listHolds(repository, { signal })).filter((hold) =>
    isInForce(hold, clock.now()),
  );
  return snapshots.map((snapshot) => {
    const point = { id: snapshot.id, time: snapshot.time, plan: planOf(snapshot) };
    return {
      ...describeSnapshot(snapshot),
      state: proofs.get(snapshot.id)?.state ?? "stored",
      holds: standing.filter((hold) => holds(hold, point)).map(listedHold),
    };
  });
}

function listedHold({ id, by, reason, until }: Hold): ListedHold {
  return { id, by, reason, ...(until === undefined ? {} : { until: until.toISOString() }) };
}

export function describeSnapshot(snapshot: Snapshot): SnapshotLine {
  const plan = planOf(snapshot);
  const source = sourceOf(snapshot);
  return {
    id: snapshot.id,
    time: snapshot.time.toISOString(),
    hostname: snapshot.hostname,
    username: snapshot.username,
    ...(plan === undefined ? {} : { plan }),
    ...(source === undefined ? {} : { source }),
    outcome: outcomeOf(snapshot),
    tags: snapshot.tags,
    paths: snapshot.paths,
  };
}
