import { describe, expect, test } from "vitest";
import { codeOf } from "../../objectstore/testing/index.ts";
import { coreOf } from "../core.ts";
import { acquireLock } from "../lock/lock.ts";
import { saveRecord } from "../record/record.ts";
import { createFixture, keysOf, saveFiles, WRITER } from "../testing/fixtures.ts";
import { holds, isInForce, parseHoldRecord } from "./hold.ts";
import { addHold, listHolds, releaseHold } from "./holds.ts";

const TERMS = { by: "ann", reason: "audit of 2026", snapshots: [] };
const RELEASE = { by: "bob", reason: "audit is over" };

test("a hold and its release stay readable: who, when and why", async () => {
  const { repository, clock } = await createFixture();
  const { id: snapshot } = await saveFiles(repository, { a: "1" });
  const range = { plan: "nightly", from: new Date(0), to: new Date(1) };
  const until = new Date("2030-01-01T00:00:00Z");
  const terms = { ...TERMS, snapshots: [snapshot], range, until };
  const at = clock.now();
  const added = await addHold(repository, terms, WRITER);
  expect(await listHolds(repository)).toEqual([{ id: added.id, at, ...terms }]);
  clock.advance(1000);
  await releaseHold(repository, { hold: added.id.slice(0, 6), ...RELEASE });
  const released = { at: clock.now(), ...RELEASE };
  expect(await listHolds(repository)).toEqual([{ id: added.id, at, ...terms, released }]);
});

test("no release removes anything: credentials that can only add are enough", async () => {
  const { repository, store } = await createFixture();
  const { id } = await addHold(repository, { ...TERMS, range: {} }, WRITER);
  const before = await keysOf(store, "sparekeep/holds/");
  await releaseHold(repository, { hold: id, ...RELEASE });
  expect(await keysOf(store, "sparekeep/")).toEqual(expect.arrayContaining([...before]));
  expect(await keysOf(store, "sparekeep/holds/")).toHaveLength(2);
  expect(await keysOf(store, "locks/")).toEqual([]);
});

test("two equal holds are two, and each is released by itself", async () => {
  const { repository } = await createFixture();
  const one = await addHold(repository, { ...TERMS, range: {} }, WRITER);
  const two = await addHold(repository, { ...TERMS, range: {} }, WRITER);
  await releaseHold(repository, { hold: one.id, ...RELEASE });
  const standing = (await listHolds(repository)).filter((hold) => isInForce(hold, new Date(0)));
  expect(standing.map(({ id }) => id)).toEqual([two.id]);
});

test("what is not there is not held, and not released", async () => {
  const { repository } = await createFixture();
  const gone = "ab".repeat(32);
  expect(await codeOf(() => addHold(repository, { ...TERMS, snapshots: [gone] }, WRITER))).toBe(
    "repository.snapshot_not_found",
  );
  const { id } = await addHold(repository, { ...TERMS, range: {} }, WRITER);
  await addHold(repository, { ...TERMS, range: {} }, WRITER);
  await releaseHold(repository, { hold: id, ...RELEASE });
  for (const hold of [gone, id, ""]) {
    expect(await codeOf(() => releaseHold(repository, { hold, ...RELEASE }))).toBe(
      "repository.hold_not_found",
    );
  }
});

test("a forget at work keeps it out, so that nothing is removed that somebody believes held", async () => {
  const { repository } = await createFixture();
  const { id } = await saveFiles(repository, { a: "1" });
  await using lock = await acquireLock(coreOf(repository), { exclusive: true, owner: WRITER });
  const terms = { ...TERMS, snapshots: [id] };
  expect(await codeOf(() => addHold(repository, terms, WRITER))).toBe("repository.locked");
  await lock.requireHeld();
});

describe("a hold that cannot be read as it was meant stops its reader", () => {
  const whole = {
    v: 1,
    type: "hold",
    at: "2026-01-01T00:00:00Z",
    by: "ann",
    reason: "x",
    snapshots: [],
  };
  test("this one can", () => {
    expect(parseHoldRecord(whole)).toMatchObject({ type: "hold", by: "ann" });
  });

  test.for([
    ["version", { v: 2 }],
    ["type", { type: "keep" }],
    ["snapshot", { snapshots: ["x"] }],
    ["snapshots", { snapshots: undefined }],
    ["end", { until: "soon" }],
    ["range", { range: "all" }],
    ["beginning", { range: { from: 7 } }],
    ["plan", { range: { plan: 7 } }],
    ["released hold", { type: "release", hold: "x" }],
    ["author", { by: undefined }],
  ] as const)("another %s", async ([, change]) => {
    expect(parseHoldRecord({ ...whole, ...change })).toBeUndefined();
    const { repository } = await createFixture();
    await saveRecord(coreOf(repository), "holds", { ...whole, ...change });
    expect(await codeOf(() => listHolds(repository))).toBe("repository.record_damaged");
  });
});

const AT = new Date("2026-02-01T00:00:00Z");
const [BEFORE, AFTER] = [new Date(AT.getTime() - 1), new Date(AT.getTime() + 1)];

test.for([
  [true, { snapshots: ["p"] }],
  [false, { snapshots: ["q"] }],
  [true, { range: {} }],
  [true, { range: { plan: "nightly" } }],
  [false, { range: { plan: "weekly" } }],
  [true, { range: { from: AT, to: AT } }],
  [false, { range: { from: AFTER } }],
  [false, { range: { to: BEFORE } }],
  [true, { range: { plan: "nightly", from: BEFORE, to: AFTER } }],
] as const)("%s: %o holds a point of nightly", ([expected, terms]) => {
  const point = { id: "p", time: AT, plan: "nightly" };
  expect(holds({ snapshots: [], ...terms }, point)).toBe(expected);
});

test.for([
  [true, {}],
  [true, { until: AFTER }],
  [false, { until: AT }],
  [false, { released: { at: AT, ...RELEASE } }],
] as const)("%s: %o is in force", ([expected, terms]) => {
  expect(isInForce({ id: "h", at: BEFORE, ...TERMS, ...terms }, AT)).toBe(expected);
});
