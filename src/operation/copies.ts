/*
 * effects
 *   reads         snapshots, proofs and the last check of each plan's destination and of its copies, Object Locks of the newest points; with --check indexes and trees
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 21 a number of 3-2-1-1-0 is not met; 3 one is unknown
 */
import { AppError, throwIfAborted } from "../kernel/index.ts";
import { destinationNamed, planNamed } from "../policy/index.ts";
import type { Destination, Named, Policy, RepositoryDestination } from "../policy/index.ts";
import type { ObjectStore } from "../objectstore/index.ts";
import { acquireLockReader, lastCheckOf, proofsOf } from "../repository/index.ts";
import type { LockReader, Repository, Snapshot } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { openDestination, openStore } from "./open.ts";
import { hasRoomForRecords } from "./prove.ts";
import { scoreCopies } from "./score-copies.ts";
import type {
  CheckFact,
  DestinationFacts,
  Met,
  Place,
  PlanScores,
  PointFact,
} from "./score-copies.ts";
import { describeSnapshot } from "./snapshots.ts";

export interface CopiesOptions {
  readonly policy: Policy;
  /** All plans when left out. */
  readonly plan?: string;
  /** Also check the structure of each repository, so that errors are a fact. */
  readonly check: boolean;
}

export interface PlanCopies extends PlanScores {
  readonly plan: string;
  readonly destinations: readonly {
    readonly name: string;
    readonly place?: Place;
    readonly points?: number;
    readonly trouble?: string;
  }[];
  /** Of the newest point; `no` where the plan has none. */
  readonly met: Met;
}

/** A dump of its own has no copies that the policy counts. */
function repositoryPlans({ plans }: Policy): readonly string[] {
  return Object.entries(plans).flatMap(([name, { capture }]) =>
    capture === "everything" ? [name] : [],
  );
}

export async function countCopies(
  context: OperationContext,
  options: CopiesOptions,
): Promise<readonly PlanCopies[]> {
  const { policy } = options;
  const names =
    options.plan === undefined ? repositoryPlans(policy) : [planNamed(policy, options.plan).name];
  await recordAccess(context, policy, "copies", { plans: names.join(" ") });
  const read = new Map<string, Promise<ReadDestination>>();
  const plans: PlanCopies[] = [];
  for (const name of names) {
    const { to } = planNamed(policy, name);
    const all = [to, ...(destinationNamed(policy, to).copies ?? [])];
    const facts: DestinationFacts[] = [];
    for (const destination of all) {
      const reading =
        read.get(destination) ??
        readDestination(context, destinationNamed(policy, destination), options.check);
      read.set(destination, reading);
      facts.push(factsOf(await reading, name));
    }
    plans.push(planCopies(name, facts, context.clock.now()));
  }
  return plans;
}

function planCopies(plan: string, facts: readonly DestinationFacts[], now: Date): PlanCopies {
  const scores = scoreCopies(facts, now);
  const destinations = facts.map(({ destination: name, read, trouble }) => ({
    name,
    ...(read === undefined ? {} : { place: read.place, points: read.points.length }),
    ...(trouble === undefined ? {} : { trouble }),
  }));
  return { plan, ...scores, destinations, met: metOf(scores, facts) };
}

function metOf({ newest }: PlanScores, facts: readonly DestinationFacts[]): Met {
  if (newest === undefined) return facts[0]?.read === undefined ? "unknown" : "no";
  const { copies, kinds, offsite, immutable, errors } = newest;
  const all = [copies, kinds, offsite, immutable, errors].map(({ met }) => met);
  if (all.includes("no")) return "no";
  return all.includes("unknown") ? "unknown" : "yes";
}

interface ReadDestination {
  readonly name: string;
  readonly trouble?: string;
  readonly place?: Place;
  readonly points?: readonly PlannedPoint[];
  readonly check?: CheckFact;
}

function factsOf(
  { name, trouble, place, points, check }: ReadDestination,
  plan: string,
): DestinationFacts {
  if (place === undefined || points === undefined) {
    return { destination: name, read: undefined, ...(trouble === undefined ? {} : { trouble }) };
  }
  const own = points.filter((point) => point.plan === plan);
  return { destination: name, read: { place, points: own, check } };
}

/** One that cannot be read is a fact too: what it holds is unknown. */
async function readDestination(
  context: OperationContext,
  destination: Named<RepositoryDestination>,
  check: boolean,
): Promise<ReadDestination> {
  const { name } = destination;
  try {
    const repository = await openDestination(context, destination);
    const store = await openStore(context, destination);
    const records = hasRoomForRecords(destination);
    const points = await goodPoints(context, repository, store, records);
    const place = placeOf(destination, context.hostname);
    const found = await checkOf(context, repository, { check, records });
    return { name, place, points, ...(found === undefined ? {} : { check: found }) };
  } catch (thrown) {
    throwIfAborted(context.signal);
    if (!(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
    return { name, trouble: thrown.message };
  }
}

/** Of a check that is made now, or of the last one that is remembered. */
async function checkOf(
  { clock, signal }: OperationContext,
  repository: Repository,
  { check, records }: { readonly check: boolean; readonly records: boolean },
): Promise<CheckFact | undefined> {
  if (!check) return records ? lastCheckOf(repository, { signal }) : undefined;
  const at = clock.now();
  const { findings, unreadPacks } = await repository.check({ readData: false, signal });
  const errors = findings.filter(({ severity }) => severity === "error").length;
  return { at, errors, unreadPacks };
}

type PlannedPoint = PointFact & { readonly plan: string };

const PARALLEL = 8;

async function goodPoints(
  { signal }: OperationContext,
  repository: Repository,
  store: ObjectStore,
  records: boolean,
): Promise<readonly PlannedPoint[]> {
  const snapshots = await repository.snapshots({ signal });
  const proofs = records ? await proofsOf(repository, { signal }) : undefined;
  const good = snapshots.flatMap((snapshot) => {
    const { plan, outcome } = describeSnapshot(snapshot);
    return plan === undefined || outcome !== "complete" ? [] : [{ plan, snapshot }];
  });
  const newest = new Map(good.map(({ plan, snapshot }) => [plan, snapshot.id]));
  const reader =
    store.lock === undefined ? undefined : await acquireLockReader(repository, { signal });
  const points: PlannedPoint[] = [];
  for (let at = 0; at < good.length; at += PARALLEL) {
    const group = good.slice(at, at + PARALLEL).map(async ({ plan, snapshot }) => ({
      plan,
      time: snapshot.time.toISOString(),
      tree: snapshot.tree,
      state: proofs === undefined ? undefined : (proofs.get(snapshot.id)?.state ?? "stored"),
      lockedUntil:
        newest.get(plan) === snapshot.id
          ? await wholeLockOf(reader, snapshot, signal)
          : await ownLockOf(store, snapshot.id, signal),
    }));
    points.push(...(await Promise.all(group)));
  }
  return points;
}

/** Of all that a plan's newest point needs: one request an object. A store that does not answer leaves it unknown. */
async function wholeLockOf(
  reader: LockReader | undefined,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<Date | "none" | undefined> {
  if (reader === undefined) return "none";
  try {
    return (await reader.lockedUntil(snapshot, { signal }))?.until ?? "none";
  } catch (thrown) {
    throwIfAborted(signal);
    if (!(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
    return undefined;
  }
}

/**
 * `none` where the store holds nothing against removal, or not even the snapshot's own file. A lock on that file alone says
 * nothing of the packs that it needs: then it is unknown.
 */
async function ownLockOf(
  store: ObjectStore,
  snapshot: string,
  signal: AbortSignal,
): Promise<"none" | undefined> {
  if (store.lock === undefined) return "none";
  const retention = await store.lock.retentionOf(`snapshots/${snapshot}`, { signal });
  return retention === undefined ? "none" : undefined;
}

/** Where the repository that was just read lies, as far as reaching it proves. */
export function placeOf({ url, endpoint, region }: Destination, hostname: string): Place {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1]?.toLowerCase();
  // A folder may be a mount of another machine: nothing that was read tells.
  if (scheme === undefined || scheme === "file") {
    return { kind: "folder", provider: `machine ${hostname}`, region: undefined };
  }
  if (scheme === "gs") return { kind: "gs", provider: hostOf(endpoint) ?? "google", region };
  if (scheme === "rest") {
    return { kind: "rest", provider: hostOf(url.slice("rest:".length)), region: undefined };
  }
  // A signature for another region than the bucket's is refused, so the region of AWS is proven by reading.
  if (endpoint === undefined) return { kind: "s3", provider: "aws", region };
  return { kind: "s3", provider: hostOf(endpoint), region: undefined };
}

function hostOf(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined;
  return new URL(url).hostname;
}
