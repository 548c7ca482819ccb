/*
 * effects
 *   reads         holds, and with `add` the names of snapshot files
 *   writes        one audit record; one record of a hold or of its release, which nothing removes
 *   locks         a shared restic lock while a hold is added
 *   leaves behind nothing
 *   exit codes    0; 1 no such snapshot or hold; 2 usage; 10 no repository; 11 locked; 12 wrong password; 20 a record is damaged
 */
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { addHold, isInForce, listHolds, releaseHold } from "../repository/index.ts";
import type { Hold, Repository } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { openDestination } from "./open.ts";
import { ownerOf } from "./owner.ts";
import { requireRoomForRecords } from "./prove.ts";

interface HoldPlace {
  readonly policy: Policy;
  readonly destination?: string;
}

export interface AddHoldOptions extends HoldPlace {
  /** Ids, their first digits, or `latest`. */
  readonly snapshots: readonly string[];
  /** Also what lies in this range of time, of one plan or of all. */
  readonly range?: { readonly plan?: string; readonly from?: Date; readonly to?: Date };
  readonly reason: string;
  readonly until?: Date;
}

export interface ReleaseHoldOptions extends HoldPlace {
  readonly hold: string;
  readonly reason: string;
}

export interface HoldLine {
  readonly id: string;
  readonly at: string;
  readonly by: string;
  readonly reason: string;
  readonly snapshots: readonly string[];
  readonly range?: { readonly plan?: string; readonly from?: string; readonly to?: string };
  readonly until?: string;
  readonly state: "in force" | "expired" | "released";
  readonly released?: { readonly at: string; readonly by: string; readonly reason: string };
}

export async function holdSnapshots(
  context: OperationContext,
  options: AddHoldOptions,
): Promise<HoldLine> {
  const { signal } = context;
  const { reason, range, until, snapshots } = options;
  const repository = await openRecorded(context, options, "add", {
    snapshots: snapshots.join(" "),
    reason,
  });
  const resolved = [];
  for (const reference of snapshots) {
    resolved.push(await repository.resolveSnapshot(reference, { signal }));
  }
  const hold = await addHold(
    repository,
    {
      by: context.actor,
      reason,
      snapshots: resolved.map(({ id }) => id),
      ...(range === undefined ? {} : { range }),
      ...(until === undefined ? {} : { until }),
    },
    ownerOf(context),
    { signal },
  );
  return lineOf(hold, context.clock.now());
}

/** Also those that ended: who held what stays readable. */
export async function readHolds(
  context: OperationContext,
  options: HoldPlace,
): Promise<readonly HoldLine[]> {
  const repository = await openRecorded(context, options, "list", {});
  const holds = await listHolds(repository, { signal: context.signal });
  return holds.map((hold) => lineOf(hold, context.clock.now()));
}

export async function endHold(
  context: OperationContext,
  options: ReleaseHoldOptions,
): Promise<HoldLine> {
  const { hold, reason } = options;
  const repository = await openRecorded(context, options, "release", { hold, reason });
  const by = context.actor;
  const released = await releaseHold(repository, { hold, by, reason }, { signal: context.signal });
  return lineOf(released, context.clock.now());
}

async function openRecorded(
  context: OperationContext,
  { policy, destination: name }: HoldPlace,
  step: string,
  subject: Readonly<Record<string, string>>,
): Promise<Repository> {
  const destination = destinationNamed(policy, name);
  requireRoomForRecords(destination);
  await recordAccess(context, policy, "hold", { step, destination: destination.name, ...subject });
  return openDestination(context, destination);
}

function lineOf(hold: Hold, now: Date): HoldLine {
  const { id, at, by, reason, snapshots, range, until, released } = hold;
  const state = released !== undefined ? "released" : isInForce(hold, now) ? "in force" : "expired";
  return {
    id,
    at: at.toISOString(),
    by,
    reason,
    snapshots,
    ...(range === undefined ? {} : { range: rangeLine(range) }),
    ...(until === undefined ? {} : { until: until.toISOString() }),
    state,
    ...(released === undefined ? {} : { released: { ...released, at: released.at.toISOString() } }),
  };
}

function rangeLine({ plan, from, to }: NonNullable<Hold["range"]>): NonNullable<HoldLine["range"]> {
  return {
    ...(plan === undefined ? {} : { plan }),
    ...(from === undefined ? {} : { from: from.toISOString() }),
    ...(to === undefined ? {} : { to: to.toISOString() }),
  };
}
