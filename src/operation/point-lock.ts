import { addSpan } from "../policy/index.ts";
import type { Destination, Policy } from "../policy/index.ts";
import type { PointLock } from "../repository/index.ts";

/** Object Lock as the policy wants it of each recovery point, by the calendar of its time zone; `undefined` for none. */
export function pointLock(
  { timezone = "UTC" }: Policy,
  { lock }: Pick<Destination, "lock">,
): PointLock | undefined {
  if (lock === undefined) return undefined;
  return { mode: lock.mode, until: (storeTime) => addSpan(storeTime, lock.for, timezone) };
}
