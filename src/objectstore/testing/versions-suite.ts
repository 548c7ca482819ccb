import { describe, expect, test } from "vitest";
import type { ObjectStore, ObjectVersion, ObjectVersions } from "../object-store.ts";
import { codeOf } from "./contract.ts";
import type { StoreUnderTest } from "./suite.ts";

const bodyOf = (text: string): readonly Uint8Array[] => [Buffer.from(text)];

function versionsOf(store: ObjectStore): ObjectVersions {
  if (store.versions === undefined) throw new Error("store without versions");
  return store.versions;
}

async function listed(store: ObjectStore, prefix: string): Promise<ObjectVersion[]> {
  return await Array.fromAsync(versionsOf(store).list(prefix));
}

async function textOf(store: ObjectStore, { key, version }: ObjectVersion): Promise<string> {
  return Buffer.from(await versionsOf(store).get(key, version)).toString();
}

interface Case {
  readonly name: string;
  readonly run: (store: ObjectStore) => Promise<void>;
}

const CASES: readonly Case[] = [
  {
    name: "keeps what was put over, the newest first, and reads each",
    run: async (store) => {
      await store.put("data/a", bodyOf("one"));
      await store.put("data/a", bodyOf("second"));
      const found = await listed(store, "data/");
      expect(found.map(({ newest, removed, sizeBytes }) => [newest, removed, sizeBytes])).toEqual([
        [true, false, 6],
        [false, false, 3],
      ]);
      expect(await Promise.all(found.map((version) => textOf(store, version)))).toEqual([
        "second",
        "one",
      ]);
      const [, older] = found;
      const range = { offset: 1, length: 2 };
      const part = await versionsOf(store).getRange("data/a", older?.version ?? "", range);
      expect(Buffer.from(part).toString()).toBe("ne");
    },
  },
  {
    name: "leaves a mark where an object was removed, and its bytes below it",
    run: async (store) => {
      await store.put("data/a", bodyOf("one"));
      await store.remove("data/a");
      expect(await store.stat("data/a")).toBeUndefined();
      const [mark, older] = await listed(store, "");
      expect(mark).toMatchObject({ key: "data/a", newest: true, removed: true });
      expect(older).toMatchObject({ key: "data/a", newest: false, removed: false, sizeBytes: 3 });
      if (older !== undefined) expect(await textOf(store, older)).toBe("one");
      const gone = (): Promise<unknown> => versionsOf(store).get("data/a", mark?.version ?? "");
      expect(await codeOf(gone)).toBe("objectstore.not_found");
      await store.put("data/a", bodyOf("two"), { ifAbsent: true });
      expect((await listed(store, "data/")).map(({ removed }) => removed)).toEqual([
        false,
        true,
        false,
      ]);
    },
  },
  {
    name: "lists the versions of one key together, below the prefix alone",
    run: async (store) => {
      for (const key of ["a/1", "b/1", "a/2", "a/1", "b/1", "a/2"]) {
        await store.put(key, bodyOf(key));
      }
      const keys = (await listed(store, "a/")).map(({ key }) => key);
      expect(keys.toSorted()).toEqual(["a/1", "a/1", "a/2", "a/2"]);
      const runs = keys.filter((key, at) => key !== keys[at - 1]);
      expect(runs.toSorted()).toEqual(["a/1", "a/2"]);
      expect(await listed(store, "c/")).toEqual([]);
    },
  },
  {
    name: "does not know a version that never was",
    run: async (store) => {
      await store.put("a", bodyOf("one"));
      const [found] = await listed(store, "");
      const other = (): Promise<unknown> => versionsOf(store).get("b", found?.version ?? "");
      expect(await codeOf(other)).toBe("objectstore.not_found");
    },
  },
];

/** What every store with versions must pass. */
export function describeObjectVersions(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps older versions`, () => {
    test.for(CASES)("$name", async ({ run }) => {
      expect.hasAssertions();
      await using opened = await open();
      await run(opened.store);
    });
  });
}
