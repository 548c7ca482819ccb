/*
 * effects
 *   reads         every snapshot, index and tree, and the list of packs; packs that are rewritten
 *   writes        two audit records; new packs and new index files
 *   locks         a shared restic lock while it plans and copies; an exclusive one, at most 5 minutes at a time, while old index files and packs are removed
 *   leaves behind packs marked for removal in the index, until a prune after the grace period; where it is stopped, packs that the next prune finds
 *   exit codes    0; 2 not confirmed; 3 damaged blobs kept their packs, or the store refused a removal; 10 no repository; 11 locked by others; 12 wrong password; 20 damage that a prune must not build on
 */
import { destinationNamed } from "../policy/index.ts";
import type { CalendarSpan, KeepRules, Policy } from "../policy/index.ts";
import { executePrune, planOf, planPrune, releasePlan } from "../repository/index.ts";
import type {
  PlanPruneOptions,
  PruneProgress,
  PrunePlan,
  PruneReport,
  Repository,
  Snapshot,
} from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext, Progress } from "./context.ts";
import { openDestination } from "./open.ts";
import { usedConnection } from "./used-connection.ts";
import type { UsedConnection } from "./used-connection.ts";

export interface PruneRepositoryOptions extends Pick<
  PlanPruneOptions,
  "maxUnused" | "repackSmallerThanBytes" | "maxRepackBytes" | "graceMs"
> {
  readonly policy: Policy;
  readonly destination?: string;
  /** How long to wait for others' locks before something is removed. */
  readonly lockWaitMs?: number;
  /** It will be executed at once: the lock of planning is kept for it. */
  readonly atOnce?: boolean;
  readonly onProgress?: OnProgress;
}

/** Holds a lock where it was planned to be executed at once; whoever does not execute it disposes of it. */
export interface PlannedPrune extends AsyncDisposable {
  readonly destination: string;
  readonly location: string;
  readonly plan: PrunePlan;
  /** Once. */
  execute(): Promise<PruneResult>;
}

export interface PruneResult extends PruneReport, UsedConnection {
  readonly durationMs: number;
}

/** What a prune of this destination would do, and the way to do it. */
export async function planRepositoryPrune(
  context: OperationContext,
  options: PruneRepositoryOptions,
): Promise<PlannedPrune> {
  const destination = destinationNamed(options.policy, options.destination);
  const record = (step: string): Promise<void> =>
    recordAccess(context, options.policy, "prune", { step, destination: destination.name });
  await record("plan");
  const repository = await openDestination(context, destination);
  const common = commonOptions(context, options.onProgress);
  const { maxUnused, repackSmallerThanBytes, maxRepackBytes, graceMs } = options;
  const plan = await planPrune(repository, {
    ...common,
    ...(maxUnused === undefined ? {} : { maxUnused }),
    ...(repackSmallerThanBytes === undefined ? {} : { repackSmallerThanBytes }),
    ...(maxRepackBytes === undefined ? {} : { maxRepackBytes }),
    ...(graceMs === undefined ? {} : { graceMs }),
    keepLock: options.atOnce === true,
    lifetimeDays: (snapshot) => lifetimeDays(options.policy, snapshot),
  });
  return {
    destination: destination.name,
    location: repository.location,
    plan,
    execute: async () => {
      await record("execute");
      return await execute(context, repository, plan, { ...common, ...waits(options) });
    },
    [Symbol.asyncDispose]: () => releasePlan(plan),
  };
}

async function execute(
  context: OperationContext,
  repository: Repository,
  plan: PrunePlan,
  options: Parameters<typeof executePrune>[2],
): Promise<PruneResult> {
  const startedMs = context.clock.monotonicMs();
  const report = await executePrune(repository, plan, options);
  const durationMs = context.clock.monotonicMs() - startedMs;
  return { ...report, durationMs, ...usedConnection(repository) };
}

function waits({ lockWaitMs }: PruneRepositoryOptions): { readonly lockWaitMs?: number } {
  return lockWaitMs === undefined ? {} : { lockWaitMs };
}

function commonOptions(context: OperationContext, onProgress: OnProgress | undefined) {
  const { hostname, actor: username, pid, signal } = context;
  const owner = { hostname, username, pid };
  if (onProgress === undefined) return { owner, signal };
  return {
    owner,
    signal,
    onProgress: (progress: PruneProgress) => onProgress(shown(progress)),
  };
}

function shown({ step, done, total }: PruneProgress): Progress {
  if (step === "repack" || step === "verify") return { step, doneBytes: done, totalBytes: total };
  return { step, doneBytes: 0, totalBytes: 0, objects: { done, total } };
}

/** How long the snapshot's plan keeps its longest-kept ones. Without a rule nothing is ever forgotten. */
export function lifetimeDays(policy: Policy, snapshot: Pick<Snapshot, "tags">): number {
  const name = planOf(snapshot);
  const keep = name === undefined ? undefined : policy.plans[name]?.keep;
  if (keep === undefined) return Infinity;
  if (keep.tags?.some((tag) => snapshot.tags.includes(tag)) === true) return Infinity;
  return Math.max(...rulesInDays(keep));
}

/** How long rules keep a point: the shortest of them that keeps any, and the longest; `undefined` where none ends. */
export function keptDays(
  keep: KeepRules,
): { readonly shortest: number; readonly longest: number } | undefined {
  const days = rulesInDays(keep).filter((rule) => rule > 0);
  return days.length === 0
    ? undefined
    : { shortest: Math.min(...days), longest: Math.max(...days) };
}

/** Of `last` nothing is known but that a plan seldom runs more than once a day. */
function rulesInDays(keep: KeepRules): readonly number[] {
  return [
    keep.last ?? 0,
    (keep.hourly ?? 0) / 24,
    keep.daily ?? 0,
    (keep.weekly ?? 0) * 7,
    (keep.monthly ?? 0) * 31,
    (keep.yearly ?? 0) * 366,
    keep.within === undefined ? 0 : spanInDays(keep.within),
  ];
}

function spanInDays({ years, months, days, hours, minutes, seconds }: CalendarSpan): number {
  return years * 366 + months * 31 + days + hours / 24 + minutes / 1440 + seconds / 86_400;
}
