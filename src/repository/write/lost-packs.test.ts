import { describe, expect, test, vi } from "vitest";
import { silentLog } from "../../kernel/index.ts";
import type { Bytes, Log } from "../../kernel/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { formatIndex } from "../index/index-file.ts";
import { openRepository } from "../open.ts";
import { createInlineSealer } from "../sealer.ts";
import {
  contentOf,
  createFixture,
  keysOf,
  overwrite,
  PASSWORD,
  rows,
  saveFiles,
} from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { addIndex, coreOf, poison, readIndexes } from "../testing/poison.ts";
import type { Repository } from "../types.ts";

const FILES = { "tables/a": rows(5_000), "tables/b": rows(3_000, "b") };

interface Warned {
  readonly repository: Repository;
  readonly warnings: readonly unknown[][];
}

async function warned(fixture: Fixture, store: ObjectStore = fixture.store): Promise<Warned> {
  const { clock, random } = fixture;
  const warn = vi.fn<(...said: unknown[]) => void>();
  const log: Log = { ...silentLog, warn };
  const context = { store, clock, random, log, createSealer: createInlineSealer };
  return {
    repository: await openRepository(context, { password: PASSWORD }),
    warnings: warn.mock.calls,
  };
}

/** The newest snapshot holds all of FILES, and a check finds nothing wrong besides these. */
async function expectWhole(fixture: Fixture, findings: readonly string[]): Promise<void> {
  const { repository } = fixture;
  const reader = await repository.acquireReader();
  const snapshot = (await repository.snapshots()).at(-1);
  if (snapshot === undefined) throw new Error("no snapshot");
  for (const [path, content] of Object.entries(FILES)) {
    const read = await contentOf(reader, await reader.find(snapshot, path.split("/")));
    expect(Buffer.compare(read, content)).toBe(0);
  }
  const found = (await repository.check({ readData: false })).findings;
  const faults = found.filter(({ severity }) => severity === "error");
  expect([...new Set(faults.map(({ code }) => code))].sort()).toEqual(findings);
}

async function packsOf(type: "data" | "tree", fixture: Fixture): Promise<readonly string[]> {
  const packs = await readIndexes(await coreOf(fixture));
  return packs.filter(({ entries }) => entries[0]?.type === type).map(({ id }) => id);
}

const keyOf = (pack: string): string => `data/${pack.slice(0, 2)}/${pack}`;

/** The same files again, and what was warned of. */
async function backUpAgain(fixture: Fixture): Promise<readonly unknown[][]> {
  const { repository, warnings } = await warned(fixture);
  fixture.clock.advance(60_000);
  await saveFiles(repository, FILES);
  return warnings;
}

describe("a backup over packs that are not there", () => {
  test("as the index says counts them as stored, without a word", async () => {
    const fixture = await createFixture();
    await saveFiles(fixture.repository, FILES);
    const before = await keysOf(fixture.store, "data/");
    expect(await backUpAgain(fixture)).toEqual([]);
    expect(await keysOf(fixture.store, "data/")).toEqual(before);
    await expectWhole(fixture, []);
  });

  test.for([
    ["data", "lost", "missing", ["pack_missing"]],
    ["tree", "lost", "missing", ["pack_missing"]],
    ["data", "cut", "wrongSize", ["pack_size_differs"]],
    ["tree", "cut", "wrongSize", ["pack_size_differs"]],
    ["data", "grown", "wrongSize", ["pack_size_differs"]],
  ] as const)(
    "(%s, %s) stores their blobs again and says so",
    async ([type, damage, count, left]) => {
      const fixture = await createFixture();
      await saveFiles(fixture.repository, FILES);
      const [pack = ""] = await packsOf(type, fixture);
      const change = (bytes: Buffer): Bytes =>
        damage === "cut" ? bytes.subarray(0, -1) : Buffer.concat([bytes, Buffer.of(0)]);
      if (damage === "lost") await fixture.store.remove(keyOf(pack));
      else await overwrite(fixture.store, keyOf(pack), change);
      const warnings = await backUpAgain(fixture);
      expect(warnings).toEqual([
        [{ missing: 0, wrongSize: 0, [count]: 1, packs: [pack] }, expect.any(String)],
      ]);
      expect(await packsOf(type, fixture)).toHaveLength(2);
      await expectWhole(fixture, [...left]);
      // What was stored again is believed from now on: only the warning stays.
      const settled = await keysOf(fixture.store, "data/");
      expect(await backUpAgain(fixture)).toHaveLength(1);
      expect(await keysOf(fixture.store, "data/")).toEqual(settled);
    },
  );

  test("all of them makes a whole snapshot, and a bounded warning", async () => {
    const fixture = await createFixture();
    await saveFiles(fixture.repository, FILES);
    const core = await coreOf(fixture);
    const entries = (await readIndexes(core)).flatMap((pack) => pack.entries.slice(0, 1));
    const bogus = Array.from({ length: 40 }, (_, n) => ({
      id: n.toString(16).padStart(64, "0"),
      entries,
    }));
    await addIndex(core, formatIndex(bogus), "after");
    for (const key of await keysOf(fixture.store, "data/")) await fixture.store.remove(key);
    const warnings = await backUpAgain(fixture);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.[0]).toMatchObject({ missing: 42, wrongSize: 0 });
    expect(JSON.stringify(warnings).length).toBeLessThan(1500);
    await expectWhole(fixture, ["pack_missing"]);
  });

  test.for(["before", "after"] as const)(
    "that an index read %s the true ones made up believes the true ones",
    async (order) => {
      const fixture = await createFixture();
      const snapshot = await saveFiles(fixture.repository, FILES);
      await poison(fixture, snapshot, order);
      const before = await keysOf(fixture.store, "data/");
      expect(await backUpAgain(fixture)).toHaveLength(1);
      expect(await keysOf(fixture.store, "data/")).toEqual(before);
      await expectWhole(fixture, ["pack_missing"]);
    },
  );

  test("asks the store once for its packs, after the indexes", async () => {
    const fixture = await createFixture();
    await saveFiles(fixture.repository, FILES);
    const asked: string[] = [];
    const { store } = fixture;
    const listing: ObjectStore = {
      ...store,
      get: (key, options) => (asked.push(key.replace(/\/.*/, "/")), store.get(key, options)),
      list: (prefix, options) => (asked.push(`list ${prefix}`), store.list(prefix, options)),
    };
    const { repository } = await warned(fixture, listing);
    asked.length = 0;
    await saveFiles(repository, FILES);
    const packs = asked.filter((call) => call === "list data/");
    expect(packs).toHaveLength(1);
    expect(asked.lastIndexOf("index/")).toBeGreaterThan(0);
    expect(asked.lastIndexOf("index/")).toBeLessThan(asked.indexOf("list data/"));
  });
});
