import { expect, test } from "vitest";
import type { Policy } from "../policy/index.ts";
import { pointLock } from "./point-lock.ts";

const POLICY: Policy = { name: "p", sources: {}, destinations: {}, plans: {}, targets: {} };
const NONE = { years: 0, months: 0, days: 0, hours: 0, minutes: 0, seconds: 0 };
const MONTH = { mode: "compliance", for: { ...NONE, months: 1 } } as const;
/** The last day of January in Auckland, the day before in UTC. */
const STORE_TIME = new Date("2027-01-30T12:00:00Z");

test("the lock of a point ends by the calendar of the policy, from the store's time", () => {
  const zoned = pointLock({ ...POLICY, timezone: "Pacific/Auckland" }, { lock: MONTH });
  expect(zoned?.mode).toBe("compliance");
  expect(zoned?.until(STORE_TIME)).toEqual(new Date("2027-02-27T12:00:00Z"));
  expect(pointLock(POLICY, { lock: MONTH })?.until(STORE_TIME)).toEqual(
    new Date("2027-02-28T12:00:00Z"),
  );
});

test("without a lock in the policy there is none", () => {
  expect(pointLock(POLICY, {})).toBeUndefined();
});
