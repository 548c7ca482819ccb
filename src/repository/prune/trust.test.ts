import { describe, expect, test } from "vitest";
import { toHex } from "../../kernel/index.ts";
import { objectKey } from "../core.ts";
import { formatIndex } from "../index/index-file.ts";
import { headerEntryBytes, packOverheadBytes } from "../pack/header.ts";
import { contentOf, flipByte, keysOf, overwrite, rows } from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { addIndex, coreOf, poison, readIndexes } from "../testing/poison.ts";
import {
  backUp,
  createSmall,
  faultsOf,
  forget,
  plan,
  prune,
  storedBytes,
} from "../testing/small-packs.ts";

const AT_ONCE = { graceMs: 0, maxUnused: { bytes: 0 } };
const BOGUS = "ba".repeat(32);
const FILES = { table: rows(700, "table"), other: rows(300, "other") };

async function expectWhole({ repository }: Fixture): Promise<void> {
  const reader = await repository.acquireReader();
  for (const snapshot of await repository.snapshots()) {
    for (const [name, content] of Object.entries(FILES)) {
      const read = await contentOf(reader, await reader.find(snapshot, [name]));
      expect(Buffer.from(read).equals(content)).toBe(true);
    }
  }
}

async function withOne(): Promise<Fixture & { readonly id: string }> {
  const fixture = await createSmall();
  return { ...fixture, id: await backUp(fixture, FILES) };
}

describe("a poisoned index", () => {
  test.for(["before", "after"] as const)(
    "that places every blob in a pack that is not there, read %s the true one, costs nothing",
    async (order) => {
      const fixture = await withOne();
      await poison(fixture, (await fixture.repository.snapshots())[0]!, order);
      const packs = await keysOf(fixture.store, "data/");
      const { plan: planned, report } = await prune(fixture.repository, AT_ONCE);
      expect(planned.missing).toEqual([BOGUS]);
      expect(report.removed.packs).toBe(0);
      expect(await keysOf(fixture.store, "data/")).toEqual(packs);
      // And it is cured: the index says only what is true.
      expect(await faultsOf(fixture.repository)).toEqual([]);
      await expectWhole(fixture);
    },
  );

  test("that places them in a pack of another size costs nothing", async () => {
    const fixture = await withOne();
    await fixture.store.put(objectKey.pack(BOGUS), [Buffer.alloc(5000)]);
    await poison(fixture, (await fixture.repository.snapshots())[0]!, "before");
    const { plan: planned } = await prune(fixture.repository, AT_ONCE);
    expect(planned.remove.ids).toEqual([BOGUS]);
    expect(await faultsOf(fixture.repository)).toEqual([]);
    await expectWhole(fixture);
  });

  test("that places them in a pack of just the right size, full of garbage, removes no true copy", async () => {
    const fixture = await withOne();
    const core = await coreOf(fixture);
    const entries = (await readIndexes(core)).flatMap((pack) => pack.entries);
    const bytes = entries.reduce(
      (sum, { lengthBytes, plainBytes }) =>
        sum + lengthBytes + headerEntryBytes(plainBytes !== undefined),
      packOverheadBytes(0),
    );
    await fixture.store.put(objectKey.pack(BOGUS), [Buffer.alloc(bytes)]);
    await addIndex(core, formatIndex([{ id: BOGUS, entries }]), "before");
    const packs = await keysOf(fixture.store, "data/");
    const { plan: planned, report } = await prune(fixture.repository, AT_ONCE);
    // It looks the better place: one pack, and all of it needed.
    expect(planned.remove.packs).toBe(packs.length - 1);
    expect(report.outcome).toBe("incomplete");
    expect(report.damaged).toHaveLength(entries.length);
    expect(new Set(report.damaged.map(({ pack }) => pack))).toEqual(new Set([BOGUS]));
    expect(await keysOf(fixture.store, "data/")).toEqual(packs);
    await expectWhole(fixture);
  });
});

describe("a damaged pack", () => {
  test("of the wrong size and needed is left alone, and named", async () => {
    const fixture = await withOne();
    const [key = ""] = await keysOf(fixture.store, "data/");
    await overwrite(fixture.store, key, (bytes) => bytes.subarray(0, bytes.byteLength - 9));
    await backUp(fixture, { more: rows(200, "more") });
    const size = await storedBytes(fixture.store);
    const { plan: planned } = await prune(fixture.repository, AT_ONCE);
    expect(planned.suspect).toEqual([key.slice(-64)]);
    expect(await storedBytes(fixture.store)).toBe(size);
  });

  test("with a damaged blob is not rewritten; what is whole in it is saved, and the blob is named", async () => {
    const fixture = await createSmall();
    const many = { one: rows(30, "one"), two: rows(30, "two"), three: rows(30, "three") };
    const gone = await backUp(fixture, { ...many, gone: rows(30, "gone") });
    await backUp(fixture, many);
    await forget(fixture.store, gone);
    const before = await plan(fixture.repository, AT_ONCE);
    const reader = await fixture.repository.acquireReader();
    const snapshot = await fixture.repository.resolveSnapshot("latest");
    const { content } = await reader.find(snapshot, ["one"]);
    const needed = new Set<string>(content);
    const packs = await readIndexes(await coreOf(fixture));
    const [worn, entry] = packs
      .filter(({ id }) => before.repack.ids.includes(id))
      .flatMap(({ id, entries }) => entries.map((found) => [id, found] as const))
      .find(([, { id }]) => needed.has(toHex(id))) ?? ["", undefined];
    if (entry === undefined) throw new Error("no pack to damage");
    await overwrite(fixture.store, objectKey.pack(worn), flipByte(entry.offset + 20));
    const { report } = await prune(fixture.repository, AT_ONCE);
    const named = report.damaged.map(({ pack }) => pack);
    expect(report.outcome).toBe("incomplete");
    expect(named).toEqual([worn]);
    expect(report.copied.blobs).toBeGreaterThan(0);
    expect(await fixture.store.stat(objectKey.pack(worn))).toBeDefined();
    // The same again: nothing more is copied, and it is still named and still there.
    const again = await prune(fixture.repository, AT_ONCE);
    expect(again.report.copied.blobs).toBe(0);
    expect(again.report.damaged).toEqual(report.damaged);
  });
});

test("of two copies one whole one stays", async () => {
  const fixture = await createSmall();
  // Two writers at once store the same.
  {
    await using a = await fixture.repository.acquireWriter({
      hostname: "a",
      username: "a",
      pid: process.pid,
    });
    await backUp(fixture, FILES);
    for (const [name, content] of Object.entries(FILES)) {
      const stream = async function* () {
        yield content;
      };
      await a.saveFile([name], stream(), { kind: "table", modifiedAt: new Date(0) });
    }
    await a.commit({ time: fixture.clock.now(), paths: [], tags: [] });
  }
  const before = await storedBytes(fixture.store);
  const { plan: planned } = await prune(fixture.repository, AT_ONCE);
  expect(planned.unused.bytes).toBeGreaterThan(before * 0.4);
  expect(planned.repack.packs).toBeLessThan(planned.remove.packs + planned.repack.packs);
  expect(await storedBytes(fixture.store)).toBeLessThan(before * 0.6);
  expect(await faultsOf(fixture.repository)).toEqual([]);
  await expectWhole(fixture);
});
