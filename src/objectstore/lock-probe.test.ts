import { expect, test } from "vitest";
import { createMemoryStore, objectStoreError, probeObjectLock } from "./index.ts";
import type { DeleteVersion, LockProbe, MemoryStore } from "./index.ts";
import { listKeys } from "./testing/index.ts";

const clock = { now: () => new Date("2026-01-01T00:00:00Z") };
const random = (size: number): Uint8Array => new Uint8Array(size);

function storeWith(mayBypassGovernance: boolean): MemoryStore {
  return createMemoryStore({ clock, objectLock: true, mayBypassGovernance });
}

const denies: DeleteVersion = () =>
  Promise.reject(objectStoreError("denied", { message: "no right" }));

async function probed(store: MemoryStore, deleteVersion?: DeleteVersion): Promise<LockProbe> {
  const found = await probeObjectLock(store, {
    random,
    deleteVersion: deleteVersion ?? ((key, version, how) => store.deleteVersion(key, version, how)),
  });
  expect(await listKeys(store, "")).toEqual([]);
  return found;
}

test("a store that holds, and credentials that may delete versions alone", async () => {
  expect(await probed(storeWith(false))).toEqual({
    enforced: true,
    bypassed: false,
    deletesVersions: true,
    locksByDefault: false,
  });
});

test("credentials that may pass over governance mode", async () => {
  expect(await probed(storeWith(true))).toMatchObject({ enforced: true, bypassed: true });
});

test("credentials that may delete no version", async () => {
  expect(await probed(storeWith(true), denies)).toEqual({
    enforced: true,
    bypassed: false,
    deletesVersions: false,
    locksByDefault: false,
  });
});

test("a store that takes a lock and does not hold it", async () => {
  const store = storeWith(false);
  const lying: MemoryStore = {
    ...store,
    lock: { retentionOf: () => Promise.resolve(undefined), extend: async () => {} },
  };
  expect(await probed(lying)).toMatchObject({ enforced: false, bypassed: false });
});

test("a bucket that locks whatever is put", async () => {
  const store = storeWith(false);
  const locking: MemoryStore = {
    ...store,
    put: async (key, body, options) => {
      await store.put(key, body, options);
      await store.lock?.extend(key, {
        mode: "governance",
        until: new Date("2026-02-01T00:00:00Z"),
      });
    },
  };
  expect(await probed(locking)).toMatchObject({ locksByDefault: true, deletesVersions: false });
});

test("another failure than a refusal is no answer", async () => {
  const away: DeleteVersion = () =>
    Promise.reject(objectStoreError("unavailable", { message: "away" }));
  await expect(probed(storeWith(false), away)).rejects.toMatchObject({
    code: "objectstore.unavailable",
  });
});

test("a store that does not show its versions", async () => {
  const { versions: _versions, ...store } = storeWith(false);
  const options = { random, deleteVersion: denies };
  await expect(probeObjectLock(store, options)).rejects.toMatchObject({
    code: "objectstore.no_versions",
  });
});
