import { expect, test } from "vitest";
import { codeOf } from "../../objectstore/testing/index.ts";
import { flipByte, keysOf, overwrite, testCore } from "../testing/fixtures.ts";
import { stringOf } from "../json.ts";
import { loadRecords, removeRecord, saveRecord } from "./record.ts";

const noteOf = (fields: Readonly<Record<string, unknown>>): string | undefined =>
  stringOf(fields["note"]);

test("a record comes back, oldest first by the store's clock, and goes when it is removed", async () => {
  const core = testCore();
  const first = await saveRecord(core, "holds", { note: "first" });
  core.clock.advance(1000);
  await saveRecord(core, "holds", { note: "second" });
  await saveRecord(core, "checks", { note: "of another kind" });
  const found = await loadRecords(core, "holds", noteOf);
  expect(found.map(({ value }) => value)).toEqual(["first", "second"]);
  await removeRecord(core, "holds", first);
  expect((await loadRecords(core, "holds", noteOf)).map(({ value }) => value)).toEqual(["second"]);
});

test("nothing of it is readable without the key", async () => {
  const core = testCore();
  const id = await saveRecord(core, "holds", { note: "a name that nobody shall read" });
  const stored = Buffer.from(await core.store.get(`sparekeep/holds/${id}`)).toString("latin1");
  expect(stored).not.toContain("nobody");
});

test.for([
  ["flipped", flipByte(-1)],
  ["cut", (bytes: Buffer) => bytes.subarray(0, 40)],
  ["empty", () => Buffer.alloc(0)],
] as const)("one that is %s is an error and never passed over", async ([, damage]) => {
  const core = testCore();
  await saveRecord(core, "holds", { note: "whole" });
  const [key = ""] = await keysOf(core.store, "sparekeep/");
  await overwrite(core.store, key, damage);
  const code = await codeOf(() => loadRecords(core, "holds", noteOf));
  expect(code).toBe("repository.record_damaged");
});

test("one of an unknown form is an error", async () => {
  const core = testCore();
  await saveRecord(core, "holds", { other: 1 });
  expect(await codeOf(() => loadRecords(core, "holds", noteOf))).toBe("repository.record_damaged");
});
