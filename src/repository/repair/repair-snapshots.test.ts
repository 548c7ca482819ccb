import { describe, expect, test } from "vitest";
import { coreOf } from "../core.ts";
import { addHold, releaseHold } from "../hold/holds.ts";
import { flipByte, keysOf, overwrite, rows, WRITER } from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { backUp, createSmall, forget, prune } from "../testing/small-packs.ts";
import { loadIndex } from "../index/load-index.ts";
import { objectStoreError } from "../../objectstore/index.ts";
import { openSmall } from "../testing/small-packs.ts";
import { executeRepairSnapshots, planRepairSnapshots } from "./repair-snapshots.ts";

const TERMS = { by: "ann", reason: "case 4" };
const EXECUTE = { owner: WRITER };

/** A snapshot whose root tree is nowhere, and one beside it. */
async function withBeyondRepair(): Promise<
  Fixture & { readonly beyond: string; readonly pack: string; readonly bytes: Uint8Array }
> {
  const fixture = await createSmall();
  const { repository, store } = fixture;
  const beyond = await backUp(fixture, { a: rows(50, "a") });
  const { tree } = await repository.resolveSnapshot(beyond);
  const index = await loadIndex(coreOf(repository));
  const position = index.position(Buffer.from(tree, "hex"), "tree");
  const id = index.packIds[index.packNumberAt(position)] ?? "";
  const pack = `data/${id.slice(0, 2)}/${id}`;
  const bytes = await store.get(pack);
  await store.remove(pack);
  return { ...fixture, beyond, pack, bytes };
}

describe("what a repair of snapshots takes for gone", () => {
  test("is not what lies in packs that a prune marked: a reader finds it there", async () => {
    const fixture = await createSmall();
    const { repository, store } = fixture;
    const id = await backUp(fixture, { a: rows(200, "a"), b: rows(200, "b") });
    await backUp(fixture, { c: rows(50, "c") });
    const file = await store.get(`snapshots/${id}`);
    await forget(store, id);
    const { report } = await prune(repository);
    expect(report.marked.packs).toBeGreaterThan(0);
    // As by a writer without a lock, or put back from an older version.
    await store.put(`snapshots/${id}`, [file]);
    const plan = await planRepairSnapshots(repository, { forget: true });
    expect(plan).toMatchObject({ needed: false, repairs: [], beyondRepair: [], removed: [] });
  });
});

describe("what a repair of snapshots removes", () => {
  test("is removed where nothing is left of it, also after a release of what held it", async () => {
    const { repository, beyond } = await withBeyondRepair();
    const hold = await addHold(repository, { snapshots: [beyond], ...TERMS }, WRITER);
    await releaseHold(repository, { hold: hold.id, ...TERMS });
    const plan = await planRepairSnapshots(repository, { forget: true });
    expect(plan.removed).toEqual([beyond]);
    const result = await executeRepairSnapshots(plan, EXECUTE);
    expect(result).toEqual({ written: {}, removed: 1, remaining: {} });
    expect(await repository.snapshots()).toEqual([]);
  });

  test("is not what came back between plan and execution", async () => {
    const { repository, store, beyond, pack, bytes } = await withBeyondRepair();
    const plan = await planRepairSnapshots(repository, { forget: true });
    expect(plan.removed).toEqual([beyond]);
    await store.put(pack, [bytes]);
    await expect(executeRepairSnapshots(plan, EXECUTE)).rejects.toMatchObject({
      code: "repository.repair_plan_stale",
    });
    expect((await repository.snapshots()).map(({ id }) => id)).toEqual([beyond]);
  });

  test("is not a file that can be read again", async () => {
    const fixture = await createSmall();
    const { repository, store } = fixture;
    const id = await backUp(fixture, { a: "a" });
    const key = `snapshots/${id}`;
    await overwrite(store, key, flipByte(20));
    const plan = await planRepairSnapshots(repository, { forget: true });
    expect(plan).toMatchObject({ unreadable: [id], removed: [id] });
    await overwrite(store, key, flipByte(20));
    await expect(executeRepairSnapshots(plan, EXECUTE)).rejects.toMatchObject({
      code: "repository.repair_plan_stale",
    });
    expect(await keysOf(store, "snapshots/")).toEqual([key]);
  });

  test("is not a damaged one whose repaired one went meanwhile", async () => {
    const fixture = await createSmall();
    const { repository, store } = fixture;
    const id = await backUp(fixture, { a: rows(50, "a"), b: rows(50, "b") });
    const [node] = await Array.fromAsync(
      (await repository.acquireReader()).entries(await repository.resolveSnapshot(id)),
    );
    const index = await loadIndex(coreOf(repository));
    const blob = node?.content[0] ?? "";
    const pack =
      index.packIds[index.packNumberAt(index.position(Buffer.from(blob, "hex"), "data"))];
    await store.remove(`data/${(pack ?? "").slice(0, 2)}/${pack ?? ""}`);
    const first = await executeRepairSnapshots(await planRepairSnapshots(repository), EXECUTE);
    const plan = await planRepairSnapshots(repository, { forget: true });
    expect(plan).toMatchObject({ repairedBefore: [id], removed: [id] });
    await forget(store, ...Object.values(first.written));
    await expect(executeRepairSnapshots(plan, EXECUTE)).rejects.toMatchObject({
      code: "repository.repair_plan_stale",
    });
    expect((await repository.snapshots()).map((snapshot) => snapshot.id)).toEqual([id]);
  });

  test.for(["id", "time"] as const)("is not what is held by its %s", async (by) => {
    const { repository, beyond } = await withBeyondRepair();
    const plan = await planRepairSnapshots(repository, { forget: true });
    // Between plan and execution, which looks under its lock.
    const points = by === "id" ? { snapshots: [beyond] } : { snapshots: [], range: {} };
    await addHold(repository, { ...points, ...TERMS }, WRITER);
    const result = await executeRepairSnapshots(plan, EXECUTE);
    expect(result).toEqual({ written: {}, removed: 0, remaining: { [beyond]: "held" } });
    expect((await repository.snapshots()).map(({ id }) => id)).toEqual([beyond]);
  });

  test("is not a file that cannot be read while a hold may cover its time", async () => {
    const fixture = await createSmall();
    const { repository, store } = fixture;
    const id = await backUp(fixture, { a: "a" });
    await overwrite(store, `snapshots/${id}`, flipByte(20));
    await addHold(repository, { snapshots: [], range: { plan: "nightly" }, ...TERMS }, WRITER);
    const plan = await planRepairSnapshots(repository, { forget: true });
    expect(plan).toMatchObject({ removed: [], kept: [{ snapshot: id, why: "held" }] });
    const result = await executeRepairSnapshots(plan, EXECUTE);
    expect(result).toEqual({ written: {}, removed: 0, remaining: {} });
    expect(await keysOf(store, "snapshots/")).toEqual([`snapshots/${id}`]);
  });

  test("and the store does not let go is named", async () => {
    const fixture = await withBeyondRepair();
    const denying = await openSmall(fixture, {
      ...fixture.store,
      remove: async (key, options) => {
        if (key.startsWith("snapshots/")) throw objectStoreError("denied", { message: "no" });
        await fixture.store.remove(key, options);
      },
    });
    const plan = await planRepairSnapshots(denying, { forget: true });
    const result = await executeRepairSnapshots(plan, EXECUTE);
    expect(result).toEqual({ written: {}, removed: 0, remaining: { [fixture.beyond]: "denied" } });
  });
});
