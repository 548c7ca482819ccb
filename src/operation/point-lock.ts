import { addSpan } from "../policy/index.ts";
import type { Destination, Policy } from "../policy/index.ts";
import { PointLocker } from "../repository/index.ts";
import type { PointLock, Repository } from "../repository/index.ts";
import type { OperationContext } from "./context.ts";
import { ownerOf } from "./owner.ts";

/** Object Lock as the policy wants it of each recovery point, by the calendar of its time zone; `undefined` for none. */
export function pointLock(
  { timezone = "UTC" }: Policy,
  { lock }: Pick<Destination, "lock">,
): PointLock | undefined {
  if (lock === undefined) return undefined;
  return { mode: lock.mode, until: (storeTime) => addSpan(storeTime, lock.for, timezone) };
}

/** For points that are brought to a destination; `undefined` where its policy wants no locks. */
export function pointLocker(
  { signal }: OperationContext,
  policy: Policy,
  destination: Pick<Destination, "lock">,
  target: Repository,
): PointLocker | undefined {
  const lock = pointLock(policy, destination);
  return lock === undefined ? undefined : new PointLocker(target, lock, signal);
}

/** As options of a copy or a rewrite. */
export function lockHooks(
  locker: PointLocker | undefined,
): Partial<Pick<PointLocker, "beforeSnapshot" | "afterSnapshot">> {
  if (locker === undefined) return {};
  const { beforeSnapshot, afterSnapshot } = locker;
  return { beforeSnapshot, afterSnapshot };
}

/** Points that were there before, and that nothing holds. Returns the earliest end of all that this run locked. */
export async function lockPresent(
  context: OperationContext,
  locker: PointLocker | undefined,
  target: Repository,
  ids: Iterable<string>,
): Promise<{ readonly lockedUntil?: string }> {
  if (locker === undefined) return {};
  const wanted = new Set(ids);
  const all = await target.snapshots({ signal: context.signal });
  const there = all.filter(({ id }) => wanted.has(id));
  await locker.lockUnlocked(there, ownerOf(context));
  const { lockedUntil } = locker;
  return lockedUntil === undefined ? {} : { lockedUntil: lockedUntil.toISOString() };
}
