import { expect, test } from "vitest";
import { outcomeOf } from "./snapshot-tags.ts";

test.for([
  [["plan=nightly"], "complete"],
  [["plan=nightly", "outcome=incomplete"], "incomplete"],
  // What was cut out by a repair, ours or restic's, is gone: such a point never counts as whole.
  [["plan=nightly", "repaired"], "incomplete"],
  [["repaired"], "foreign"],
] as const)("a snapshot tagged %j is %s", ([tags, outcome]) => {
  expect(outcomeOf({ tags })).toBe(outcome);
});
