import { expect, test } from "vitest";
import { outcomeOf, scopeOf, tagsOf } from "./snapshot-tags.ts";

test.for([
  [["plan=nightly"], "complete"],
  [["plan=nightly", "outcome=incomplete"], "incomplete"],
  // What was cut out by a repair, ours or restic's, is gone: such a point never counts as whole.
  [["plan=nightly", "repaired"], "incomplete"],
  [["repaired"], "foreign"],
] as const)("a snapshot tagged %j is %s", ([tags, outcome]) => {
  expect(outcomeOf({ tags })).toBe(outcome);
});

test("a point of some tables is told from a whole one, and nothing is claimed of another tool's", () => {
  const point = { plan: "critical", source: "db", incomplete: true };
  expect(scopeOf({ tags: tagsOf({ ...point, ofTables: true }) })).toBe("tables");
  expect(outcomeOf({ tags: tagsOf({ ...point, ofTables: true }) })).toBe("incomplete");
  expect(scopeOf({ tags: tagsOf(point) })).toBe("everything");
  expect(scopeOf({ tags: ["scope=tables"] })).toBeUndefined();
});
