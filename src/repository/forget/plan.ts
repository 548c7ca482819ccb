import type { Clock } from "../../kernel/index.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { holds as isHeldBy, isInForce } from "../hold/hold.ts";
import type { Hold } from "../hold/hold.ts";
import { listHolds } from "../hold/holds.ts";
import { acquireLock } from "../lock/lock.ts";
import type { LockClocks } from "../lock/lock.ts";
import type { LockOwner } from "../lock/conflicts.ts";
import { proofOf } from "../proof/proof.ts";
import type { Proof } from "../proof/proof.ts";
import { proofsOf } from "../proof/proofs.ts";
import { outcomeOf, planOf } from "../snapshot-tags.ts";
import { loadSnapshots } from "../snapshots.ts";
import type { Repository, Snapshot } from "../types.ts";
import type { ForgetDecision } from "./decision.ts";
import type { ForgetFacts, ForgetScope, PlanFact, PointFact, WindowFact } from "./facts.ts";
import type { KeepRules } from "./keep.ts";
import { decideForget } from "./protect.ts";

/** What only the caller knows; the rest is read from the repository. */
export interface ForgetQuestion {
  /** Every plan that writes into this repository. */
  readonly plans: readonly PlanFact[];
  /** Every promised window; an empty list says that nothing is promised. */
  readonly windows: readonly WindowFact[] | undefined;
  readonly timezone: string;
  readonly scope?: ForgetScope;
  /** False where the store has no room for records: then there are no holds, and every point is as good as `stored`. */
  readonly records: boolean;
  /** For what `plans` does not name: where there is no policy, rules on the command line stand for it. */
  readonly rest?: RestRules;
}

export interface RestRules {
  /** Of every plan that a snapshot names. */
  readonly keep: KeepRules;
  /** Also of other tools' snapshots: each host with its folders is a plan of its own. */
  readonly foreign: boolean;
}

/** Plain and printable; carried out once, by `executeForget`. */
export interface ForgetPlan extends ForgetDecision {
  readonly repository: string;
  readonly plannedAt: string;
  readonly question: ForgetQuestion;
}

/**
 * Reads what there is and decides; nothing is removed. Under a shared lock, whose file also tells the store's time. A
 * snapshot or a record that cannot be read throws and is named: nothing is forgotten beside it.
 */
export async function planForget(
  repository: Repository,
  question: ForgetQuestion,
  owner: LockOwner,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<ForgetPlan> {
  const core = coreOf(repository);
  const waits = signal === undefined ? {} : { signal };
  await using lock = await acquireLock(core, { exclusive: false, owner, ...waits });
  const decision = await decideNow(repository, question, await lock.clocks(signal), signal);
  const plannedAt = core.clock.now().toISOString();
  return { repository: repository.id, plannedAt, question, ...decision };
}

/** As things are now. The caller holds a lock. */
export async function decideNow(
  repository: Repository,
  question: ForgetQuestion,
  clocks: LockClocks,
  signal: AbortSignal | undefined,
): Promise<ForgetDecision> {
  const core = coreOf(repository);
  const waits = signal === undefined ? {} : { signal };
  const snapshots = await loadSnapshots(core, signal);
  const proofs = question.records ? await proofsOf(repository, waits) : new Map<string, Proof>();
  const holds = question.records ? await listHolds(repository, waits) : [];
  const now = core.clock.now();
  const storeNow = storeTime(core.clock, clocks);
  const earlier = new Date(Math.min(now.getTime(), storeNow.getTime()));
  const standing = holds.filter((hold) => isInForce(hold, earlier));
  const facts: ForgetFacts = {
    now,
    storeNow,
    points: snapshots.map((snapshot) => pointOf(snapshot, question, proofs, standing)),
    plans: [...question.plans, ...restPlans(snapshots, question)],
    windows: question.windows,
    timezone: question.timezone,
  };
  const decision = decideForget(facts, question.scope);
  const lockedUntil = await locksOf(core, decision, signal);
  if (lockedUntil.size === 0) return decision;
  const points = facts.points.map((point) => ({ ...point, ...lockedUntil.get(point.id) }));
  return decideForget({ ...facts, points }, question.scope);
}

/** The store's clock now: what it was when the lock was written, and what has passed since by ours. */
function storeTime(clock: Clock, { ours, stores }: LockClocks): Date {
  return new Date(stores.getTime() + (clock.now().getTime() - ours.getTime()));
}

function pointOf(
  snapshot: Snapshot,
  question: ForgetQuestion,
  proofs: ReadonlyMap<string, Proof>,
  standing: readonly Hold[],
): PointFact {
  const { id, time, tags } = snapshot;
  const held = standing.filter((hold) => isHeldBy(hold, { ...snapshot, plan: planOf(snapshot) }));
  return {
    id,
    time,
    tags,
    plan: groupOf(snapshot, question),
    outcome: outcomeOf(snapshot) === "incomplete" ? "incomplete" : "complete",
    state: proofOf(proofs, snapshot)?.state ?? "stored",
    holds: held.map(({ id: hold, by, reason }) => ({ id: hold, by, reason })),
  };
}

function restPlans(snapshots: readonly Snapshot[], question: ForgetQuestion): readonly PlanFact[] {
  const { rest } = question;
  if (rest === undefined) return [];
  const known = new Set(question.plans.map(({ name }) => name));
  const names = new Set(snapshots.map((snapshot) => groupOf(snapshot, question)));
  return [...names].flatMap((name) =>
    name === undefined || known.has(name)
      ? []
      : [{ name, keep: rest.keep, schedule: { kind: "not scheduled" } as const }],
  );
}

function groupOf(snapshot: Snapshot, { rest }: ForgetQuestion): string | undefined {
  return planOf(snapshot) ?? (rest?.foreign === true ? foreignName(snapshot) : undefined);
}

/** No name of a plan begins like this. */
function foreignName({ hostname, paths }: Snapshot): string {
  return `(${[hostname, ...[...paths].sort()].join(" ")})`;
}

/** Object Locks of what may go, where the store has them: the others stay anyway. */
async function locksOf(
  { store }: RepositoryCore,
  { forget }: ForgetDecision,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, { readonly lockedUntil: Date }>> {
  const found = new Map<string, { readonly lockedUntil: Date }>();
  if (store.lock === undefined) return found;
  const waits = signal === undefined ? {} : { signal };
  for (const { id } of forget) {
    const retention = await store.lock.retentionOf(objectKey.snapshot(id), waits);
    if (retention !== undefined) found.set(id, { lockedUntil: retention.until });
  }
  return found;
}
