import { describe, expect, test } from "vitest";
import type { ObjectStore } from "../object-store.ts";
import { codeOf } from "./contract.ts";
import type { StoreUnderTest } from "./suite.ts";

/** A store with Object Lock and versions, empty at the start of every case. */
export interface LockedStoreUnderTest extends StoreUnderTest {
  /** The store's clock, to tell what still holds. */
  readonly now: () => Date;
  /** For good; `objectstore.denied` while a lock holds. */
  readonly deleteVersion: (key: string, version: string) => Promise<void>;
}

const BODY = [Buffer.from("held")];
const HOUR_MS = 3_600_000;

function lockOf({ store }: StoreUnderTest): NonNullable<ObjectStore["lock"]> {
  if (store.lock === undefined) throw new Error("store without a lock");
  return store.lock;
}

async function newestVersion({ store }: StoreUnderTest, key: string): Promise<string> {
  for await (const found of store.versions?.list("") ?? []) {
    if (found.key === key && found.newest) return found.version;
  }
  throw new Error(`no version of ${key}`);
}

interface Case {
  readonly name: string;
  readonly run: (opened: LockedStoreUnderTest) => Promise<void>;
}

const CASES: readonly Case[] = [
  {
    name: "says that an object carries no lock, or is not there",
    run: async (opened) => {
      await opened.store.put("a", BODY);
      expect(await lockOf(opened).retentionOf("a")).toBeUndefined();
      expect(await codeOf(() => lockOf(opened).retentionOf("b"))).toBe("objectstore.not_found");
      const until = new Date(opened.now().getTime() + HOUR_MS);
      const extend = (): Promise<void> => lockOf(opened).extend("b", { mode: "governance", until });
      expect(await codeOf(extend)).toBe("objectstore.not_found");
    },
  },
  {
    name: "holds for at least as long as asked, and is never shortened",
    run: async (opened) => {
      await opened.store.put("a", BODY);
      const until = new Date(opened.now().getTime() + 2 * HOUR_MS);
      await lockOf(opened).extend("a", { mode: "governance", until });
      const held = await lockOf(opened).retentionOf("a");
      expect(held?.mode).toBe("governance");
      expect(held?.until.getTime()).toBeGreaterThanOrEqual(until.getTime());
      const sooner = new Date(until.getTime() - HOUR_MS);
      await lockOf(opened).extend("a", { mode: "governance", until: sooner });
      const after = (await lockOf(opened).retentionOf("a"))?.until.getTime();
      expect(after).toBe(held?.until.getTime());
      const later = new Date(until.getTime() + HOUR_MS);
      await lockOf(opened).extend("a", { mode: "governance", until: later });
      const longest = await lockOf(opened).retentionOf("a");
      expect(longest?.until.getTime()).toBeGreaterThanOrEqual(later.getTime());
    },
  },
  {
    name: "denies deletion of the locked version, and lets go of one that carries none",
    run: async (opened) => {
      await opened.store.put("a", BODY);
      await opened.store.put("b", BODY);
      const until = new Date(opened.now().getTime() + HOUR_MS);
      await lockOf(opened).extend("a", { mode: "governance", until });
      const version = await newestVersion(opened, "a");
      expect(await codeOf(() => opened.deleteVersion("a", version))).toBe("objectstore.denied");
      await opened.deleteVersion("b", await newestVersion(opened, "b"));
      expect(await opened.store.stat("b")).toBeUndefined();
      expect(Buffer.from(await opened.store.get("a")).toString()).toBe("held");
    },
  },
  {
    name: "keeps the lock on the version that has it, not on what is put over it",
    run: async (opened) => {
      await opened.store.put("a", BODY);
      const until = new Date(opened.now().getTime() + HOUR_MS);
      await lockOf(opened).extend("a", { mode: "governance", until });
      const locked = await newestVersion(opened, "a");
      await opened.store.put("a", [Buffer.from("garbage")]);
      expect(await lockOf(opened).retentionOf("a")).toBeUndefined();
      expect(await codeOf(() => opened.deleteVersion("a", locked))).toBe("objectstore.denied");
    },
  },
];

/** What every store with Object Lock must pass. */
export function describeObjectLock(name: string, open: () => Promise<LockedStoreUnderTest>): void {
  describe(`${name} holds objects against removal`, () => {
    test.for(CASES)("$name", async ({ run }) => {
      expect.hasAssertions();
      await using opened = await open();
      await run(opened);
    });
  });
}
