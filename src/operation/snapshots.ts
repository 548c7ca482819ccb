/*
 * effects
 *   reads         snapshot files of the repository
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 10 no repository; 12 wrong password; 20 a snapshot file is damaged
 */
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import type { Snapshot } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { openDestination } from "./open.ts";

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
  /** The snapshot that this one is a copy of, or was rewritten from. */
  readonly original?: string;
}

export async function listSnapshots(
  context: OperationContext,
  options: { readonly policy: Policy; readonly destination?: string },
): Promise<readonly SnapshotLine[]> {
  const destination = destinationNamed(options.policy, options.destination);
  await recordAccess(context, options.policy, "snapshots", { destination: destination.name });
  const repository = await openDestination(context, destination);
  const snapshots = await repository.snapshots({ signal: context.signal });
  return snapshots.map(describeSnapshot);
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
    ...(snapshot.original === undefined ? {} : { original: snapshot.original }),
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
