/*
 * effects
 *   reads         one snapshot file and the proofs of the repository
 *   writes        one audit record; one record that a named person accepts a doubt
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 1 no such snapshot; 2 nothing to accept; 10 no repository; 12 wrong password; 20 a record is damaged
 */
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { acceptSuspect, proofOf, proofsOf } from "../repository/index.ts";
import type { ProofState } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { openDestination } from "./open.ts";
import { requireRoomForRecords } from "./prove.ts";

export interface AcceptOptions {
  readonly policy: Policy;
  readonly destination?: string;
  readonly snapshot: string;
  readonly reason: string;
}

export interface AcceptedPoint {
  readonly snapshot: string;
  readonly by: string;
  readonly reason: string;
  /** What it is now. */
  readonly state: ProofState;
}

export async function acceptPoint(
  context: OperationContext,
  options: AcceptOptions,
): Promise<AcceptedPoint> {
  const { signal, actor: by } = context;
  const { reason } = options;
  const destination = destinationNamed(options.policy, options.destination);
  requireRoomForRecords(destination);
  await recordAccess(context, options.policy, "accept", {
    destination: destination.name,
    snapshot: options.snapshot,
    reason,
  });
  const repository = await openDestination(context, destination);
  const found = await repository.resolveSnapshot(options.snapshot, { signal });
  const doubted = proofOf(await proofsOf(repository, { signal }), found);
  const snapshot = doubted?.snapshot ?? found.id;
  const tagged = doubted?.state === "suspect" && doubted.open.length === 0;
  await acceptSuspect(repository, { snapshot, by, reason, tagged }, { signal });
  const now = proofOf(await proofsOf(repository, { signal }), found);
  return { snapshot: found.id, by, reason, state: now?.state ?? "stored" };
}
