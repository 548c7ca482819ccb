import { describe, expect, test } from "vitest";
import { coreOf } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { formatIndex } from "../index/index-file.ts";
import type { MarkedPack } from "../index/index-file.ts";
import { loadIndex, loadIndexFile } from "../index/load-index.ts";
import { listIds } from "../list.ts";
import { contentOf, flipByte, overwrite, rows, WRITER } from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { readIndexes } from "../testing/poison.ts";
import { backUp, createSmall, faultsOf, forget, openSmall, prune } from "../testing/small-packs.ts";
import { saveUnpacked } from "../unpacked.ts";
import { executeRepairIndex, planRepairIndex } from "./repair-index.ts";
import { executeRepairPacks, planRepairPacks } from "./repair-packs.ts";

const EXECUTE = { owner: WRITER };
const keyOf = (pack: string): string => `data/${pack.slice(0, 2)}/${pack}`;

async function packOf({ repository }: Fixture, id: string, path: string): Promise<string> {
  const reader = await repository.acquireReader();
  const entry = await reader.find(await repository.resolveSnapshot(id), [path]);
  const index = await loadIndex(coreOf(repository));
  const position = index.position(Buffer.from(entry.content[0] ?? "", "hex"), "data");
  return index.packIds[index.packNumberAt(position)] ?? "";
}

async function textOf({ repository }: Fixture, id: string, path: string): Promise<string> {
  const reader = await repository.acquireReader();
  const entry = await reader.find(await repository.resolveSnapshot(id), [path]);
  return (await contentOf(reader, entry)).toString();
}

async function marksIn(core: RepositoryCore): Promise<readonly MarkedPack[]> {
  const marks: MarkedPack[] = [];
  for (const id of await listIds(core.store, "index/")) {
    marks.push(...(await loadIndexFile(core, id)).marked);
  }
  return marks.sort((a, b) => (a.id < b.id ? -1 : 1));
}

describe("a repair of packs loses no blob", () => {
  test("that only a pack which was not asked for seems to hold as well", async () => {
    const fixture = await createSmall();
    const { repository, store } = fixture;
    const id = await backUp(fixture, { a: "the text", b: rows(100, "b") });
    const pack = await packOf(fixture, id, "a");
    // The same entries once more, in a pack of the same size that is full of garbage.
    const core = coreOf(repository);
    const index = await loadIndex(core);
    const number = index.knownPackNumber(pack) ?? -1;
    const entries = Array.from({ length: index.size }, (_, at) => at)
      .filter((at) => index.packNumberAt(at) === number)
      .map((at) => index.at(at));
    const garbage = "0a".repeat(32);
    const bytes = await store.get(keyOf(pack));
    await store.put(keyOf(garbage), [Buffer.alloc(bytes.byteLength, 7)]);
    await saveUnpacked(core, "index", formatIndex([{ id: garbage, entries }]));
    await overwrite(store, keyOf(pack), flipByte(-6));
    const plan = await planRepairPacks(repository, { packs: [pack] });
    expect(plan.packs).toMatchObject([{ pack, salvaged: entries.length, lost: [] }]);
    await executeRepairPacks(plan, EXECUTE);
    expect(await textOf(fixture, id, "a")).toBe("the text");
  });

  test("that did not come whole the first time it was read", async () => {
    const fixture = await createSmall();
    const id = await backUp(fixture, { a: "the text", b: rows(100, "b") });
    const pack = await packOf(fixture, id, "a");
    let reads = 0;
    const flaky = await openSmall(fixture, {
      ...fixture.store,
      get: async (key, options) => {
        const bytes = Buffer.from(await fixture.store.get(key, options));
        if (key !== keyOf(pack)) return bytes;
        reads += 1;
        return reads === 1 ? flipByte(3)(bytes) : bytes;
      },
    });
    const plan = await planRepairPacks(flaky);
    expect(reads).toBe(2);
    expect(plan).toMatchObject({ needed: false, packs: [] });
  });
});

describe("a repair takes no marks away", () => {
  test.for(["index", "packs"] as const)("of %s", async (what) => {
    const fixture = await createSmall();
    const { repository, store } = fixture;
    const id = await backUp(fixture, { a: rows(200, "a") });
    const other = await backUp(fixture, { c: rows(50, "c"), d: rows(200, "d") });
    const file = await store.get(`snapshots/${id}`);
    await forget(store, id);
    expect((await prune(repository)).report.marked.packs).toBeGreaterThan(0);
    await store.put(`snapshots/${id}`, [file]);
    const core = coreOf(repository);
    const marks = await marksIn(core);
    const text = rows(200, "a").toString();
    expect(await textOf(fixture, id, "a")).toBe(text);
    const pack = await packOf(fixture, other, "c");
    if (what === "packs") {
      await overwrite(store, keyOf(pack), flipByte(3));
      await executeRepairPacks(await planRepairPacks(repository, { packs: [pack] }), EXECUTE);
    } else {
      await store.remove(keyOf(pack));
      await executeRepairIndex(await planRepairIndex(repository), EXECUTE);
    }
    expect((await readIndexes(core)).some(({ id: listed }) => listed === pack)).toBe(false);
    expect(await marksIn(core)).toEqual(marks);
    expect(await textOf(fixture, id, "a")).toBe(text);
    const faults = await faultsOf(repository);
    expect(faults.filter((fault) => fault.includes(id.slice(0, 8)))).toEqual([]);
  });
});
