/*
 * effects
 *   reads         lists of all objects, indexes and snapshots of each destination; Object Locks of each newest point
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 3 a destination could not be read; 2 a storage class that cannot be read at once; 10; 12; 130
 */
import { AppError, throwIfAborted } from "../kernel/index.ts";
import { findStorageClass } from "../objectstore/index.ts";
import { destinationNamed, repositoryNames } from "../policy/index.ts";
import type { Destination, Named, Policy, RepositoryDestination } from "../policy/index.ts";
import { lockedUntil, measureRepository } from "../repository/index.ts";
import type {
  MeasuredRepository,
  Repository,
  Snapshot,
  StoredObjects,
} from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { openDestination, openStore } from "./open.ts";
import { keptDays } from "./prune.ts";

export interface EstimateOptions {
  readonly policy: Policy;
  /** All when left out. */
  readonly destination?: string;
}

export interface DestinationEstimate {
  readonly destination: string;
  readonly location: string;
  readonly measured: MeasuredRepository;
  /** All but packs of data: it stays in the store's standard class. */
  readonly hot: StoredObjects;
  /** Packs of data: in the storage class that the policy names, if any. */
  readonly bulk: StoredObjects;
  readonly storageClass?: ClassTerms;
  readonly plans: readonly PlanKeep[];
  /** Of the newest point with all that it needs; `none`, or `unknown` where the store did not tell. */
  readonly lock: "none" | "unknown" | { readonly mode: string; readonly until: string };
  /** From what the last run left; absent where the store tells no times, or there is no run. */
  readonly nextRun?: RunEstimate;
}

export interface ClassTerms {
  readonly name: string;
  /** Absent: the store's own class, whose terms nobody told us. */
  readonly minimumDays?: number;
}

export interface PlanKeep {
  readonly plan: string;
  /** How long its rules keep points that have no kept tag: those that go first, and those that stay longest. Absent: for ever. */
  readonly keptDays?: { readonly shortest: number; readonly longest: number };
  /** Days that are paid and not used: the class's minimum beyond the longest keep, and beyond the shortest. */
  readonly unusedDays?: { readonly least: number; readonly most: number };
}

/** Requests of one backup like the last, about. Retries, and locks of what is known already, come on top. */
export interface RunEstimate {
  readonly packs: StoredObjects;
  readonly writes: number;
  readonly reads: number;
  readonly lists: number;
  /** With `lock:`: one to lock and one to read it back, for every object that the point needs, at most. */
  readonly lockRequests?: number;
}

export interface EstimateResult {
  readonly outcome: "complete" | "incomplete";
  readonly destinations: readonly DestinationEstimate[];
  readonly failed: readonly {
    readonly destination: string;
    readonly code: string;
    readonly message: string;
  }[];
}

export async function estimate(
  context: OperationContext,
  { policy, destination }: EstimateOptions,
): Promise<EstimateResult> {
  const names =
    destination === undefined
      ? repositoryNames(policy)
      : [destinationNamed(policy, destination).name];
  await recordAccess(context, policy, "estimate", { destinations: names.join(" ") });
  const destinations: DestinationEstimate[] = [];
  const failed: EstimateResult["failed"][number][] = [];
  for (const name of names) {
    try {
      destinations.push(await estimateOne(context, policy, destinationNamed(policy, name)));
    } catch (thrown) {
      throwIfAborted(context.signal);
      const isOne = names.length === 1;
      if (isOne || !(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
      failed.push({ destination: name, code: thrown.code, message: thrown.message });
    }
  }
  return { outcome: failed.length === 0 ? "complete" : "incomplete", destinations, failed };
}

async function estimateOne(
  context: OperationContext,
  policy: Policy,
  destination: Named<RepositoryDestination>,
): Promise<DestinationEstimate> {
  const { signal } = context;
  const repository = await openDestination(context, destination);
  const measured = await measureRepository(repository, { signal });
  const storageClass = classOf(destination);
  const newest = (await repository.snapshots({ signal })).at(-1);
  const nextRun = runOf(measured, destination);
  return {
    destination: destination.name,
    location: repository.location,
    measured,
    hot: sum(measured.treePacks, measured.indexes, measured.others),
    bulk: measured.dataPacks,
    ...(storageClass === undefined ? {} : { storageClass }),
    plans: plansOf(policy, destination.name).map((plan) => keepOf(policy, plan, storageClass)),
    lock: await lockOf(context, destination, repository, newest),
    ...(nextRun === undefined ? {} : { nextRun }),
  };
}

function sum(...parts: readonly StoredObjects[]): StoredObjects {
  return parts.reduce((all, { objects, bytes }) => ({
    objects: all.objects + objects,
    bytes: all.bytes + bytes,
  }));
}

/** Of the two stores that have classes; one that cannot be read at once is refused when the store is opened. */
function classOf({ url, storage_class: name }: Destination): ClassTerms | undefined {
  if (name === undefined) return undefined;
  const known = findStorageClass(/^gs:/i.test(url) ? "google" : "s3", name);
  return known === undefined ? { name } : { name, minimumDays: known.minimumDays };
}

/** That write here, or whose points are copied here. */
function plansOf({ plans, destinations }: Policy, name: string): readonly string[] {
  return Object.entries(plans)
    .filter(([, { to }]) => to === name || destinations[to]?.copies?.includes(name) === true)
    .map(([plan]) => plan);
}

function keepOf(policy: Policy, plan: string, storageClass: ClassTerms | undefined): PlanKeep {
  const keep = policy.plans[plan]?.keep;
  if (keep === undefined) return { plan };
  const kept = keptDays(keep);
  if (kept === undefined) return { plan };
  const minimum = storageClass?.minimumDays;
  if (minimum === undefined || minimum === 0) return { plan, keptDays: kept };
  const beyond = (days: number): number => Math.max(0, minimum - Math.floor(days));
  const unusedDays = { least: beyond(kept.longest), most: beyond(kept.shortest) };
  return { plan, keptDays: kept, unusedDays };
}

async function lockOf(
  context: OperationContext,
  destination: Destination,
  repository: Repository,
  newest: Snapshot | undefined,
): Promise<DestinationEstimate["lock"]> {
  const { signal } = context;
  const { lock } = await openStore(context, destination);
  if (lock === undefined || newest === undefined) return "none";
  try {
    const held = await lockedUntil(repository, newest, { signal });
    return held === undefined ? "none" : { mode: held.mode, until: held.until.toISOString() };
  } catch (thrown) {
    throwIfAborted(signal);
    if (!(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
    return "unknown";
  }
}

/** Of a page of a listing. */
const LISTED_PER_CALL = 1000;

function runOf(measured: MeasuredRepository, { lock }: Destination): RunEstimate | undefined {
  const last = measured.growth?.at(-1);
  if (last === undefined) return undefined;
  const { dataPacks, treePacks, indexes, snapshots } = measured;
  const packs = dataPacks.objects + treePacks.objects;
  const lists = Math.ceil(packs / LISTED_PER_CALL) + Math.ceil(indexes.objects / LISTED_PER_CALL);
  return {
    packs: last.packs,
    // Beside packs and index: the snapshot, the lock, and the record that it is verified.
    writes: last.packs.objects + last.indexes.objects + 3,
    // The config, a key, every index; then what was written is read back: a request a pack at least.
    reads: indexes.objects + last.packs.objects + Math.min(1, snapshots.count) + 2,
    // Keys and locks too, the latter twice.
    lists: lists + 3,
    ...(lock === undefined ? {} : { lockRequests: 2 * (packs + indexes.objects) }),
  };
}
