import { expect, test } from "vitest";
import { foldGaps, parseGap } from "./gap.ts";
import type { Gap } from "./gap.ts";

const FIELDS = {
  recovery: "0123456789abcdef",
  state: "begun",
  at: "2026-11-20T12:00:00.000Z",
  by: "ann",
  source: "database",
  project: "abcdefghijklmnopqrst",
  from: "2026-11-20T11:00:00.000Z",
  until: "2026-11-20T11:59:00.000Z",
  slots: ["etl"],
};

test("a record is read as a whole or not at all", () => {
  expect(parseGap(FIELDS)).toMatchObject({ state: "begun", slots: ["etl"] });
  const read = Object.keys(FIELDS)
    .filter((name) => name !== "slots")
    .filter((key) => parseGap({ ...FIELDS, [key]: undefined }) !== undefined);
  expect(read).toEqual([]);
  expect(parseGap({ ...FIELDS, state: "other" })).toBeUndefined();
  expect(parseGap({ ...FIELDS, slots: [1] })).toBeUndefined();
});

test("an end stands, whichever record comes first", () => {
  const begun = parseGap(FIELDS);
  if (begun === undefined) throw new Error("no gap");
  const ended: Gap = { ...begun, state: "ended" };
  const found = (value: Gap) => ({ id: value.state, storedAt: new Date(0), value });
  expect(foldGaps([found(begun), found(ended)])).toEqual([ended]);
  expect(foldGaps([found(ended), found(begun)])).toEqual([ended]);
  expect(foldGaps([found(begun)])).toEqual([begun]);
});
