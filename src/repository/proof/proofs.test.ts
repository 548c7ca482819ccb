import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../objectstore/testing/index.ts";
import type { FoundRecord } from "../record/record.ts";
import { createFixture } from "../testing/fixtures.ts";
import { foldProofs, formatProofRecord, parseProofRecord, proofOf } from "./proof.ts";
import type { ProofRecord, SavedState } from "./proof.ts";
import { acceptSuspect, proofsOf, saveProof } from "./proofs.ts";

const SNAPSHOT = "ab".repeat(32);
const BY = "sparekeep";

test("a point without a record has none, and one with says what it stands on", async () => {
  const { repository, clock } = await createFixture();
  expect((await proofsOf(repository)).get(SNAPSHOT)).toBeUndefined();
  const details = { files: 3, how: "read back" };
  await saveProof(repository, { snapshot: SNAPSHOT, state: "verified", by: BY, details });
  expect((await proofsOf(repository)).get(SNAPSHOT)).toEqual({
    snapshot: SNAPSHOT,
    state: "verified",
    at: clock.now(),
    by: BY,
    details,
    open: [],
  });
});

test("a doubt stays, whatever is proven after it, until a named person accepts it", async () => {
  const { repository, clock } = await createFixture();
  const stateNow = async () => (await proofsOf(repository)).get(SNAPSHOT)?.state;
  const save = (state: SavedState) => saveProof(repository, { snapshot: SNAPSHOT, state, by: BY });
  await save("verified");
  clock.advance(1000);
  await save("suspect");
  clock.advance(1000);
  await save("reviewed");
  expect(await stateNow()).toBe("suspect");
  const accepted = await acceptSuspect(repository, {
    snapshot: SNAPSHOT,
    by: "ann",
    reason: "seen",
  });
  expect(accepted).toMatchObject({ state: "reviewed", open: [] });
  expect(await stateNow()).toBe("reviewed");
  clock.advance(1000);
  await save("suspect");
  expect(await stateNow()).toBe("suspect");
});

test("what nobody doubts cannot be accepted", async () => {
  const { repository } = await createFixture();
  const accept = () => acceptSuspect(repository, { snapshot: SNAPSHOT, by: "ann", reason: "seen" });
  expect(await codeOf(accept)).toBe("repository.not_suspect");
  await saveProof(repository, { snapshot: SNAPSHOT, state: "suspect", by: BY });
  expect(await accept()).toMatchObject({
    state: "stored",
    by: "ann",
    details: { accepted: "seen" },
  });
  expect(await codeOf(accept)).toBe("repository.not_suspect");
});

test("a doubt that the snapshot's own tag states holds, whatever is proven, until somebody accepts it", async () => {
  const { repository } = await createFixture();
  const tagged = { id: SNAPSHOT, tags: ["plan=p", "guard=suspect"] };
  const stateNow = async () => proofOf(await proofsOf(repository), tagged)?.state;
  expect(await stateNow()).toBe("suspect");
  await saveProof(repository, { snapshot: SNAPSHOT, state: "verified", by: BY });
  expect(await stateNow()).toBe("suspect");
  const acceptance = { snapshot: SNAPSHOT, by: "ann", reason: "seen" };
  expect(await codeOf(() => acceptSuspect(repository, acceptance))).toBe("repository.not_suspect");
  await acceptSuspect(repository, { ...acceptance, tagged: true });
  expect(await stateNow()).toBe("verified");
  const rewritten = { ...tagged, id: "e".repeat(64), original: SNAPSHOT };
  expect(proofOf(await proofsOf(repository), rewritten)?.state).toBeUndefined();
});

describe("the state", () => {
  const RANKED = ["verified", "restored-partly", "restored", "reviewed"] as const;
  const proof = (state: SavedState, index: number): FoundRecord<ProofRecord> => ({
    id: String(index).padStart(64, "0"),
    storedAt: new Date(index),
    value: { type: "proof", snapshot: SNAPSHOT, state, at: new Date(index), by: BY, details: {} },
  });

  test("is the most that was ever proven, in whatever order", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...RANKED), { minLength: 1 }), (states) => {
        const most = RANKED[Math.max(...states.map((state) => RANKED.indexOf(state)))];
        expect(foldProofs(states.map(proof)).get(SNAPSHOT)?.state).toBe(most);
      }),
    );
  });

  test("does not depend on the order of a doubt and its acceptance: a store's clock may be coarse", () => {
    const doubt = proof("suspect", 1);
    const accept: FoundRecord<ProofRecord> = {
      id: "f".repeat(64),
      storedAt: new Date(1),
      value: {
        type: "accept",
        snapshot: SNAPSHOT,
        accepts: [doubt.id],
        at: new Date(1),
        by: "ann",
        reason: "seen",
      },
    };
    for (const records of [
      [doubt, accept],
      [accept, doubt],
    ]) {
      expect(foldProofs(records).get(SNAPSHOT)).toMatchObject({ state: "stored", open: [] });
    }
  });
});

describe("a record", () => {
  const at = new Date("2026-01-01T00:00:00Z");
  const whole = formatProofRecord(
    { type: "proof", snapshot: SNAPSHOT, state: "restored", at, by: BY, details: { rows: 1 } },
    "00",
  );
  test("comes back", () => {
    expect(parseProofRecord({ ...whole })).toMatchObject({ state: "restored", at });
  });

  test.for([
    ["version", { v: 2 }],
    ["type", { type: "guess" }],
    ["state", { state: "stored" }],
    ["snapshot", { snapshot: "latest" }],
    ["time", { at: "yesterday" }],
    ["detail", { details: { rows: [] } }],
    ["details", { details: undefined }],
    ["acceptance", { type: "accept", accepts: ["x"], reason: "seen" }],
    ["reason", { type: "accept", accepts: [] }],
  ] as const)("of another %s is none", ([, change]) => {
    expect(parseProofRecord({ ...whole, ...change })).toBeUndefined();
  });
});
