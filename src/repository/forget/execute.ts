import { throwIfAborted, toAppError } from "../../kernel/index.ts";
import type { AppError } from "../../kernel/index.ts";
import { coreOf, objectKey } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { acquireLock } from "../lock/lock.ts";
import type { LockOwner } from "../lock/conflicts.ts";
import type { Repository } from "../types.ts";
import { decideNow } from "./plan.ts";
import type { ForgetPlan } from "./plan.ts";
import type { ForgetDecision } from "./decision.ts";

export interface ForgetResult {
  readonly outcome: "complete" | "incomplete";
  /** Snapshot files that are gone now. */
  readonly removed: readonly string[];
  /** Those of the plan that are still there, each with what stood in the way. */
  readonly notRemoved: readonly { readonly id: string; readonly reason: string }[];
}

const USED = new WeakSet<ForgetPlan>();

/**
 * Carries the plan out, once. Under the exclusive lock it looks again: where one snapshot of the plan may not be forgotten
 * any more, nothing is removed. Then one file after the other, oldest first. Each removal leaves a whole repository, so
 * that a crash or an abort in between loses nothing but the rest of the work; data is reclaimed by prune alone.
 */
export async function executeForget(
  repository: Repository,
  plan: ForgetPlan,
  owner: LockOwner,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<ForgetResult> {
  takeOnce(repository, plan);
  if (plan.forget.length === 0) return { outcome: "complete", removed: [], notRemoved: [] };
  const core = coreOf(repository);
  const waits = signal === undefined ? {} : { signal };
  await using lock = await acquireLock(core, { exclusive: true, owner, ...waits });
  const both = signal === undefined ? lock.signal : AbortSignal.any([signal, lock.signal]);
  const again = await decideNow(repository, plan.question, await lock.clocks(signal), both);
  requireSame(plan, again);
  const removed: string[] = [];
  const notRemoved: ForgetResult["notRemoved"][number][] = [];
  let stopped: AppError | undefined;
  for (const { id } of [...plan.forget].reverse()) {
    try {
      if (stopped !== undefined) throw stopped;
      throwIfAborted(both);
      await lock.requireHeld(both);
      await core.store.remove(objectKey.snapshot(id), { signal: both });
      removed.push(id);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.kind === "bug") throw error;
      // One that is denied says nothing about the next; a store that is away, or a lost lock, ends it.
      if (error.code !== "objectstore.denied") stopped = error;
      notRemoved.push({ id, reason: error.message });
    }
  }
  if (removed.length === 0 && stopped !== undefined) throw stopped;
  return { outcome: notRemoved.length === 0 ? "complete" : "incomplete", removed, notRemoved };
}

function takeOnce(repository: Repository, plan: ForgetPlan): void {
  if (USED.has(plan) || plan.repository !== repository.id) {
    throw repositoryError("plan_used", {
      message: USED.has(plan)
        ? "plan to forget that was executed already"
        : "plan to forget of another repository",
      subject: { repository: plan.repository },
    });
  }
  USED.add(plan);
}

/** Everything of the plan may still go. Points that came since, and those that others removed, change nothing about that. */
function requireSame(plan: ForgetPlan, again: ForgetDecision): void {
  const kept = new Map(again.keep.map(({ id, reasons }) => [id, reasons]));
  for (const { id } of plan.forget) {
    const reasons = kept.get(id);
    if (reasons === undefined) continue;
    throw repositoryError("forget_outdated", {
      message: `snapshot ${id.slice(0, 8)} of the plan is to be kept now: ${reasons.join(", ")}`,
      subject: { snapshot: id, stopped: again.stoppedBecause.join("; ") },
    });
  }
}
