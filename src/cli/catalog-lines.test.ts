import { expect, test } from "vitest";
import { catalogLines } from "./catalog-lines.ts";

const NONE = { ours: 0, platform: 0, equivalent: 0, withheld: 0 };

test("a comparison says whose the differences are, and names those that are no issues", () => {
  expect(catalogLines({ compared: true, counts: NONE, differences: [] })).toEqual([
    "  definitions compared: as they were",
  ]);
  const many = Array.from({ length: 25 }, (_, at) => ({
    class: "platform" as const,
    object: `role r${at}`,
    message: "is there, and was not",
  }));
  const lines = catalogLines({
    compared: true,
    counts: { ours: 1, platform: 25, equivalent: 0, withheld: 1 },
    differences: [
      { class: "ours", object: "index i", message: "is missing" },
      { class: "withheld", object: "trigger t", message: "is missing" },
      ...many,
    ],
  });
  expect(lines[0]).toBe(
    "  definitions compared: 1 other than they were; 1 left out on purpose; 25 the target's own",
  );
  expect(lines[1]).toBe("    left out on purpose: trigger t is missing");
  expect(lines.at(-1)).toBe("    and 6 more");
  expect(lines.join("\n")).not.toContain("index i");
});

test("a comparison that did not happen says why", () => {
  const reason = "the point holds no catalog facts";
  expect(catalogLines({ compared: false, reason, counts: NONE, differences: [] })).toEqual([
    "  definitions not compared: the point holds no catalog facts",
  ]);
});
