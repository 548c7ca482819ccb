import { describe, expect, test } from "vitest";
import type { ObjectStore, ObjectVersion, ObjectVersions } from "../object-store.ts";
import { codeOf, listKeys } from "./contract.ts";
import type { StoreUnderTest } from "./suite.ts";

/** One promise of {@link ObjectVersions}, written against the interface alone. */
export interface VersionsCase {
  readonly name: string;
  readonly run: (store: ObjectStore, versions: ObjectVersions) => Promise<void>;
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

async function put(store: ObjectStore, key: string, text: string): Promise<void> {
  await store.put(key, [Buffer.from(text)]);
}

async function versionsOf(
  versions: ObjectVersions,
  key: string,
  prefix = "",
): Promise<ObjectVersion[]> {
  const found: ObjectVersion[] = [];
  for await (const version of versions.list(prefix)) {
    if (version.key === key) found.push(version);
  }
  return found;
}

export const VERSIONS_CASES: readonly VersionsCase[] = [
  {
    name: "keeps what was replaced, the newest first",
    run: async (store, versions) => {
      for (const text of ["one", "second", "the third"]) await put(store, "data/a", text);
      const found = await versionsOf(versions, "data/a");
      expect(found.map(({ newest, removed, sizeBytes }) => [newest, removed, sizeBytes])).toEqual([
        [true, false, 9],
        [false, false, 6],
        [false, false, 3],
      ]);
      const texts: string[] = [];
      for (const { version } of found) texts.push(textOf(await versions.get("data/a", version)));
      expect(texts).toEqual(["the third", "second", "one"]);
      expect(new Set(found.map(({ version }) => version)).size).toBe(3);
    },
  },
  {
    name: "keeps what was removed, behind a mark that says so",
    run: async (store, versions) => {
      await put(store, "data/a", "kept");
      await store.remove("data/a");
      expect(await store.stat("data/a")).toBeUndefined();
      expect(await listKeys(store, "")).toEqual([]);
      const found = await versionsOf(versions, "data/a");
      expect(found.map(({ newest, removed }) => [newest, removed])).toEqual([
        [true, true],
        [false, false],
      ]);
      expect(textOf(await versions.get("data/a", found[1]?.version ?? ""))).toBe("kept");
    },
  },
  {
    name: "shows an object that was put again after its removal as the newest",
    run: async (store, versions) => {
      await put(store, "a", "first");
      await store.remove("a");
      await put(store, "a", "again");
      expect(textOf(await store.get("a"))).toBe("again");
      const found = await versionsOf(versions, "a");
      expect(found.map(({ newest, removed }) => [newest, removed])).toEqual([
        [true, false],
        [false, true],
        [false, false],
      ]);
    },
  },
  {
    name: "lists below a prefix alone, every key's versions together",
    run: async (store, versions) => {
      for (const key of ["data/a", "data/b", "index/a", "data/a", "data/b", "data/a"]) {
        await put(store, key, key);
      }
      const keys: string[] = [];
      for await (const { key } of versions.list("data/")) keys.push(key);
      expect(keys.filter((key) => key === "data/a")).toHaveLength(3);
      expect(keys.filter((key) => key === "data/b")).toHaveLength(2);
      expect(keys).toHaveLength(5);
      const changes = keys.filter((key, index) => key !== keys[index - 1]);
      expect(changes).toHaveLength(2);
    },
  },
  {
    name: "dates a version as stat dated it when it was the newest",
    run: async (store, versions) => {
      await put(store, "a", "x");
      const before = await store.stat("a");
      await put(store, "a", "y");
      const found = await versionsOf(versions, "a");
      expect(found[1]?.modifiedAt).toEqual(before?.modifiedAt);
    },
  },
  {
    name: "reads exactly the range of a version",
    run: async (store, versions) => {
      await put(store, "a", "0123456789");
      await put(store, "a", "short");
      const [, older] = await versionsOf(versions, "a");
      const version = older?.version ?? "";
      const read = (offset: number, length: number): Promise<Uint8Array> =>
        versions.getRange("a", version, { offset, length });
      expect(textOf(await read(2, 8))).toBe("23456789");
      expect(textOf(await read(10, 0))).toBe("");
      expect(await codeOf(() => read(5, 6))).toBe("objectstore.truncated");
    },
  },
  {
    name: "refuses bad keys and prefixes, and does nothing once the signal is aborted",
    run: async (store, versions) => {
      await put(store, "a", "x");
      const [newest] = await versionsOf(versions, "a");
      const version = newest?.version ?? "";
      const wait = { signal: AbortSignal.abort() };
      const list = async (prefix: string, options?: typeof wait): Promise<void> => {
        for await (const found of versions.list(prefix, options)) expect(found.key).toBe("a");
      };
      expect(await codeOf(() => versions.get("../x", version))).toBe("objectstore.invalid_key");
      expect(await codeOf(() => list("data"))).toBe("objectstore.invalid_key");
      expect(await codeOf(() => versions.get("a", version, wait))).toBe("kernel.cancelled");
      expect(await codeOf(() => list("", wait))).toBe("kernel.cancelled");
    },
  },
];

/** What every store with versions must pass. Empty at the start of every case. */
export function describeObjectVersions(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the contract of versions`, () => {
    test.for(VERSIONS_CASES)("$name", async ({ run }) => {
      expect.hasAssertions();
      await using opened = await open();
      const { versions } = opened.store;
      if (versions === undefined) throw new Error(`${name} has no versions`);
      await run(opened.store, versions);
    });
  });
}
