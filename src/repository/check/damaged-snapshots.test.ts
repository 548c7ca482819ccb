import { describe, expect, test } from "vitest";
import type { Bytes } from "../../kernel/index.ts";
import { coreOf, objectKey } from "../core.ts";
import { loadIndex } from "../index/load-index.ts";
import {
  createFixture,
  flipByte,
  overwrite,
  reopen,
  rows,
  saveFiles,
} from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { damagedSnapshots } from "./damaged-snapshots.ts";

/** Three snapshots: what the first two share, what each has alone, and one beside them. */
async function three() {
  const fixture = await createFixture();
  const { repository } = fixture;
  const shared = { "folder/shared": rows(40, "shared") };
  const first = await saveFiles(repository, { ...shared, a: rows(40, "first") });
  const second = await saveFiles(repository, { ...shared, b: rows(40, "second") });
  const third = await saveFiles(repository, { c: rows(40, "third") });
  return { fixture, first, second, third };
}

/** The pack and place of the first blob of a file. */
async function placeOf({ repository }: Fixture, snapshot: { id: string }, path: string) {
  const reader = await repository.acquireReader();
  const full = await repository.resolveSnapshot(snapshot.id);
  const entry = await reader.find(full, path.split("/"));
  const index = await loadIndex(coreOf(repository));
  return index.at(index.position(Buffer.from(entry.content[0] ?? "", "hex"), "data"));
}

async function damagedOf(fixture: Fixture, readData = true): Promise<readonly string[]> {
  const repository = await reopen(fixture, fixture.store);
  const { findings } = await repository.check({ readData });
  return damagedSnapshots(repository, await repository.snapshots(), findings);
}

describe("the snapshots that damage takes", () => {
  test("are none of a whole repository", async () => {
    const { fixture } = await three();
    expect(await damagedOf(fixture)).toEqual([]);
  });

  test.for([
    ["first", "a", ["first"]],
    ["second", "folder/shared", ["first", "second"]],
    ["third", "c", ["third"]],
  ] as const)(
    "a blob of the %s, %s: those that hold it, and no others",
    async ([of, path, expected]) => {
      const { fixture, ...points } = await three();
      const { pack, offset } = await placeOf(fixture, points[of], path);
      await overwrite(fixture.store, objectKey.pack(pack), flipByte(offset + 20));
      expect(new Set(await damagedOf(fixture))).toEqual(
        new Set(expected.map((name) => points[name].id)),
      );
    },
  );

  test("a pack that is gone takes all that needs it", async () => {
    const { fixture, first, second, third } = await three();
    const { pack } = await placeOf(fixture, first, "folder/shared");
    await fixture.store.remove(objectKey.pack(pack));
    const damaged = await damagedOf(fixture);
    expect(damaged).toEqual(expect.arrayContaining([first.id, second.id]));
    expect(damaged).not.toContain(third.id);
  });

  test.for([true, false])(
    "a pack that was cut takes all that needs what is gone of it, also when no data is read (%s)",
    async (readData) => {
      const { fixture, third, ...others } = await three();
      const { pack } = await placeOf(fixture, third, "c");
      await overwrite(fixture.store, objectKey.pack(pack), (bytes) => bytes.subarray(0, 100));
      expect(await damagedOf(fixture, readData)).toEqual([third.id]);
      const shared = await placeOf(fixture, others.first, "folder/shared");
      await overwrite(fixture.store, objectKey.pack(shared.pack), (bytes) => bytes.subarray(0, 9));
      expect(await damagedOf(fixture, readData)).toHaveLength(3);
    },
  );

  test("a pack that only grew takes none", async () => {
    const { fixture, third } = await three();
    const { pack } = await placeOf(fixture, third, "c");
    const longer = (bytes: Bytes): Bytes => Buffer.concat([bytes, Buffer.alloc(7)]);
    await overwrite(fixture.store, objectKey.pack(pack), longer);
    const repository = await reopen(fixture, fixture.store);
    const { findings } = await repository.check({ readData: false });
    expect(findings.map(({ code }) => code)).toContain("pack_size_differs");
    expect(await damagedOf(fixture, false)).toEqual([]);
  });

  test.for([
    ["blob_damaged", 3],
    ["index_differs", 3],
    ["name_unusable", 0],
    ["pack_damaged", 0],
    ["pack_missing", 0],
    ["tree_missing", 0],
  ] as const)("more %s than a check lists: %i of three", async ([code, expected]) => {
    const { fixture, first, second, third } = await three();
    const repository = await reopen(fixture, fixture.store);
    const further = { severity: "error", code: "further_findings", message: "" } as const;
    const findings = [{ ...further, subject: { code, count: "7" } }];
    const damaged = await damagedSnapshots(repository, [first, second, third], findings);
    expect(damaged).toHaveLength(expected);
  });

  test("a blob that is whole at another place takes none", async () => {
    const { fixture, first } = await three();
    const place = await placeOf(fixture, first, "a");
    await fixture.store.remove(objectKey.pack(place.pack));
    // The pack held all of the first snapshot's data: a backup that finds it gone stores that again.
    const again = { "folder/shared": rows(40, "shared"), a: rows(40, "first"), d: "d" };
    await saveFiles(await reopen(fixture, fixture.store), again);
    expect(await damagedOf(fixture)).toEqual([]);
  });

  test("a damaged index leaves nobody who knows, so all count", async () => {
    const { fixture, first, second, third } = await three();
    const repository = await reopen(fixture, fixture.store);
    const finding = { severity: "error", code: "index_damaged", message: "", subject: {} } as const;
    const damaged = await damagedSnapshots(repository, [first, second, third], [finding]);
    expect(damaged).toEqual([first.id, second.id, third.id]);
  });
});
