import { AppError, throwIfAborted } from "../../kernel/index.ts";
import { requireStillThere } from "../config.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { listFiles } from "../list.ts";
import type { LockOwner } from "../lock/conflicts.ts";
import { parseLock } from "../lock/lock-file.ts";
import { acquireLock } from "../lock/lock.ts";
import type { Lock } from "../lock/lock.ts";
import { loadUnpacked, unpackedPrefix } from "../unpacked.ts";

export interface ExecuteRepairOptions {
  readonly owner: LockOwner;
  readonly signal?: AbortSignal;
}

/**
 * Runs `work` as the only one on the repository. Locks that cannot be read stop everybody; those that the plan named, and
 * that somebody agreed to, go first.
 */
export async function withLock<Result>(
  core: RepositoryCore,
  { owner, signal }: ExecuteRepairOptions,
  { exclusive, unreadableLocks }: { exclusive: boolean; unreadableLocks: readonly string[] },
  work: (lock: Lock, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const waits = signal === undefined ? {} : { signal };
  await requireStillThere(core, signal);
  for (const id of unreadableLocks) await core.store.remove(objectKey.lock(id), waits);
  await using lock = await acquireLock(core, { exclusive, owner, ...waits });
  const outer = signal === undefined ? [] : [signal];
  const both = AbortSignal.any([lock.signal, ...outer]);
  throwIfAborted(both);
  return await work(lock, both);
}

export async function findUnreadableLocks(
  core: RepositoryCore,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { id, sizeBytes } of await listFiles(core.store, unpackedPrefix.lock, signal)) {
    if (sizeBytes > 0 && (await isUnreadable(core, id, signal))) found.push(id);
  }
  return found;
}

async function isUnreadable(
  core: RepositoryCore,
  id: string,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    return parseLock(await loadUnpacked(core, "lock", id, signal)) === undefined;
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "objectstore.not_found") return false;
    if (thrown instanceof AppError && thrown.kind === "corrupt") return true;
    throw thrown;
  }
}

/** Hands out what a plan carries besides what it shows, once: a plan is executed once (I7). */
export class PlanSecrets<Plan extends object, Carried> {
  readonly #carried = new WeakMap<Plan, Carried>();

  keep(plan: Plan, carried: Carried): Plan {
    this.#carried.set(plan, carried);
    return plan;
  }

  take(plan: Plan): Carried {
    const carried = this.#carried.get(plan);
    if (carried === undefined) throw stale("repair plan that was executed before");
    this.#carried.delete(plan);
    return carried;
  }
}

export function stale(message: string): AppError {
  return repositoryError("repair_plan_stale", { message });
}
