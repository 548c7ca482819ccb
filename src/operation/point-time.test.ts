import { expect, test } from "vitest";
import { pointTime } from "./point-time.ts";

const STARTED = new Date("2026-11-27T02:00:00.000Z");

function timeOf(takenAt: string): string {
  return pointTime(STARTED, { snapshot: { pgSnapshot: "1:1:", takenAt } }).toISOString();
}

test("a point is as old as its run, and as what a standby showed where that is older", () => {
  expect(timeOf("2026-11-27T02:00:01.500Z")).toBe(STARTED.toISOString());
  expect(timeOf("2026-11-26T23:00:00.000Z")).toBe("2026-11-26T23:00:00.000Z");
});
