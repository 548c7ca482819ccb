import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { AppError, Secret, toAppError, systemClock } from "../../src/kernel/index.ts";
import type { RandomBytes } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../src/objectstore/index.ts";
import { listKeys as keysBelow } from "../../src/objectstore/testing/index.ts";
import {
  addKey,
  changePassword,
  createRepository,
  listKeys,
  openRepository,
  planRemoveKey,
} from "../../src/repository/index.ts";
import type { Repository } from "../../src/repository/index.ts";
import { deadPid } from "./crash/backup.ts";
import { recordCuts, reorder } from "./crash/cuts.ts";

/**
 * Creating, adding, changing and removing keys, cut before and after each write: at every moment some key opens, and no
 * key of ours is one that no record names.
 */
const OLD = new Secret("old password");
const NEW = new Secret("new password");
const WHO = { hostname: "db-1", username: "ann", cost: { N: 2, r: 1, p: 1 } };

type Change = (repository: Repository) => Promise<unknown>;

const CHANGES: Readonly<Record<string, Change>> = {
  add: (repository) => addKey(repository, { ...WHO, pid: deadPid(), password: NEW }),
  passwd: (repository) => changePassword(repository, { ...WHO, pid: deadPid(), password: NEW }),
  remove: async (repository) => {
    const { keys } = await listKeys(repository);
    const other = keys.find(({ current }) => !current)?.id ?? "";
    const options = { ...WHO, pid: deadPid(), password: OLD };
    await (await planRemoveKey(repository, other, options)).execute();
  },
};

const nothing: Change = () => Promise.resolve();

/** The 200 ms before the second look at locks are not what is tested. */
const clock = { ...systemClock, sleep: () => Promise.resolve() };

function contextOf(store: ObjectStore, random: RandomBytes = (size) => randomBytes(size)) {
  return { store, clock, random };
}

async function prepared(): Promise<MemoryStore> {
  const store = createMemoryStore({ clock });
  const repository = await createRepository(contextOf(store), { ...WHO, password: OLD });
  await addKey(repository, { ...WHO, pid: 1, password: new Secret("a third one") });
  return store;
}

async function opens(store: ObjectStore, password: Secret): Promise<Repository | undefined> {
  try {
    return await openRepository(contextOf(store), { password });
  } catch (thrown) {
    const { code } = toAppError(thrown);
    // `key_damaged`: there is none any more.
    if (code === "repository.wrong_password" || code === "repository.key_damaged") return undefined;
    throw thrown;
  }
}

/** A key that is gone and is put back from a copy must be an alert, wherever the removal was cut. */
async function revivedKeys(
  repository: Repository,
  left: MemoryStore,
  before: MemoryStore,
): Promise<readonly string[]> {
  const there = new Set(await keysBelow(left, "keys/"));
  const gone = (await keysBelow(before, "keys/")).filter((key) => !there.has(key));
  for (const key of gone) await left.put(key, [await before.get(key)]);
  const { keys } = await listKeys(repository);
  for (const key of gone) await left.remove(key);
  return keys
    .filter(({ id, state }) => state === "known" && gone.includes(`keys/${id}`))
    .map(({ id }) => `key ${id.slice(0, 8)} put back and known`);
}

interface Violations {
  readonly cuts: number;
  readonly found: readonly string[];
}

async function violationsOf(
  change: Change,
  break_: (store: ObjectStore) => ObjectStore = (store) => store,
): Promise<Violations> {
  const before = await prepared();
  const { store, cuts } = recordCuts(before.fork());
  await change(await openRepository(contextOf(break_(store)), { password: OLD }));
  const found: string[] = [];
  for (const cut of cuts) {
    const at = `${cut.moment} ${cut.operation} ${cut.key.split("/").slice(0, -1).join("/")}`;
    const repository = (await opens(cut.left, OLD)) ?? (await opens(cut.left, NEW));
    if (repository === undefined) {
      found.push(`${at}: no password opens`);
      continue;
    }
    const { keys, damagedRecords } = await listKeys(repository);
    if (damagedRecords.length > 0) found.push(`${at}: damaged record`);
    for (const key of keys) if (key.state === "unknown") found.push(`${at}: unknown key`);
    found.push(...(await revivedKeys(repository, cut.left, before)).map((id) => `${at}: ${id}`));
    // What was begun can be begun again: nothing of the crash stands in the way.
    await addKey(repository, { ...WHO, pid: process.pid, password: new Secret("after the crash") });
  }
  return { cuts: cuts.length, found };
}

describe.for(Object.entries(CHANGES))("%s, cut at each of its writes", ([name, change]) => {
  test("leaves a key that opens, and none that no record names", async () => {
    const { cuts, found } = await violationsOf(change);
    expect(found).toEqual([]);
    // Lock, record, key (and for passwd record and removal), lock.
    expect(cuts).toBe(name === "passwd" ? 12 : 8);
  });
});

test.for(["add", "passwd"])("%s is seen to be broken when the key comes first", async (name) => {
  const { found } = await violationsOf(CHANGES[name] ?? nothing, (store) =>
    reorder(store, "sparekeep/keys/", "keys/"),
  );
  expect(found.some((violation) => violation.endsWith("unknown key"))).toBe(true);
});

test("remove is seen to be broken when the record comes after the key", async () => {
  const late = (store: ObjectStore): ObjectStore => {
    let held: (() => Promise<void>)[] = [];
    return {
      ...store,
      put: async (key, body, options) => {
        if (!key.startsWith("sparekeep/")) return await store.put(key, body, options);
        held.push(() => store.put(key, body, options));
      },
      remove: async (key, options) => {
        await store.remove(key, options);
        const writes = held;
        held = [];
        for (const write of writes) await write();
      },
    };
  };
  const { found } = await violationsOf(CHANGES["remove"] ?? nothing, late);
  expect(found.some((violation) => violation.endsWith("put back and known"))).toBe(true);
});

test("passwd is seen to be broken when the old key goes first", async () => {
  const removals: string[] = [];
  const eager = (store: ObjectStore): ObjectStore => ({
    ...store,
    put: async (key, body, options) => {
      if (key.startsWith("keys/") && removals.length === 0) {
        for (const old of await keysBelow(store, "keys/")) {
          removals.push(old);
          await store.remove(old);
        }
      }
      await store.put(key, body, options);
    },
  });
  const { found } = await violationsOf(CHANGES["passwd"] ?? nothing, eager);
  expect(found.some((violation) => violation.endsWith("no password opens"))).toBe(true);
});

test("a creation that is cut opens or can be begun again; its key is known or said not to be", async () => {
  const { store, cuts } = recordCuts(createMemoryStore({ clock }));
  await createRepository(contextOf(store), { ...WHO, password: OLD });
  const states: string[] = [];
  for (const { left } of cuts) {
    const opened = await openRepository(contextOf(left), { password: OLD }).catch(
      (thrown: unknown) => {
        if (thrown instanceof AppError && thrown.code === "repository.not_found") return undefined;
        throw thrown;
      },
    );
    states.push(opened === undefined ? "-" : ((await listKeys(opened)).keys[0]?.state ?? "none"));
  }
  expect(states).toEqual(["-", "-", "-", "unknown", "unknown", "known"]);
});
