import { expect, test } from "vitest";
import type { ObjectStore } from "../../objectstore/index.ts";
import { objectStoreError } from "../../objectstore/index.ts";
import { createFixture, keysOf, reopen, rows, saveFiles } from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { measureRepository } from "./measure.ts";

async function withTwoRuns(): Promise<Fixture & { readonly ids: readonly string[] }> {
  const fixture = await createFixture();
  const first = await saveFiles(fixture.repository, { a: rows(400, "a") });
  fixture.clock.advance(60_000);
  const second = await saveFiles(fixture.repository, { a: rows(400, "a"), b: rows(40, "b") });
  return { ...fixture, ids: [first.id, second.id] };
}

test("a repository is measured by what its store lists", async () => {
  const { repository, store, ids, clock } = await withTwoRuns();
  const [gone = ""] = await keysOf(store, "data/");
  clock.advance(60_000);
  await store.put(`data/ab/${"ab".repeat(32)}`, [Buffer.from("left behind")]);
  const measured = await measureRepository(repository);
  const files = await Array.fromAsync(store.list(""));
  const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const parts = [
    measured.dataPacks,
    measured.treePacks,
    measured.unlistedPacks,
    measured.indexes,
    measured.others,
  ];
  expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(total);
  expect(parts.reduce((sum, { objects }) => sum + objects, 0)).toBe(files.length);
  expect([measured.dataPacks.objects, measured.treePacks.objects]).toEqual([2, 2]);
  expect(measured.unlistedPacks).toEqual({ objects: 1, bytes: 11 });
  expect(measured.snapshots.count).toBe(2);
  expect(measured.growth?.map(({ snapshot, packs }) => [snapshot, packs.objects])).toEqual([
    [ids[0], 2],
    [ids[1], 2],
  ]);
  const [first, second] = measured.growth ?? [];
  expect(second?.packs.bytes).toBeLessThan(first?.packs.bytes ?? 0);

  await store.remove(gone);
  expect((await measureRepository(repository)).missingPacks).toBe(1);
});

test("where a store tells no times there is no growth, and where it has no records none are counted", async () => {
  const fixture = await withTwoRuns();
  const store: ObjectStore = {
    ...fixture.store,
    async *list(prefix, options) {
      if (prefix === "sparekeep/") throw objectStoreError("no_place", { message: "none" });
      for await (const stat of fixture.store.list(prefix, options)) {
        yield { ...stat, seenOnly: true as const };
      }
    },
  };
  const measured = await measureRepository(await reopen(fixture, store));
  expect(measured).not.toHaveProperty("growth");
  expect(measured.others.objects).toBe(4);
});
