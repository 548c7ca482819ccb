import { describe, expect, test } from "vitest";
import { AppError, Secret } from "../../kernel/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { codeOf } from "../../objectstore/testing/index.ts";
import { coreOf, objectKey } from "../core.ts";
import { createKeyFile } from "../crypto/key-file.ts";
import { createRepository, openRepository } from "../open.ts";
import {
  CHEAP_COST,
  createFixture,
  flipByte,
  keysOf,
  overwrite,
  PASSWORD,
  reopen,
  WRITER,
} from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { addKey } from "./add.ts";
import { planAdoptKeys } from "./adopt.ts";
import { listKeys, unknownKeys } from "./list.ts";
import { changePassword } from "./passwd.ts";
import { planRemoveKey } from "./remove.ts";
import { loadWraps, recordWrap } from "./wraps.ts";
import { createHash } from "node:crypto";
import { createInlineSealer } from "../sealer.ts";
import { createMemoryStore, objectStoreError } from "../../objectstore/index.ts";

const OTHER = new Secret("another one");
const NEW_KEY = { ...WRITER, password: OTHER, cost: CHEAP_COST };
const REMOVE = { ...WRITER, password: PASSWORD };

async function opened(fixture: Fixture, password: Secret, store: ObjectStore = fixture.store) {
  const { clock, random } = fixture;
  return await openRepository(
    { store, clock, random, createSealer: createInlineSealer },
    { password },
  );
}

/** What another program, or somebody with the bucket and a password, does. */
async function addByOthers({ repository, store, random }: Fixture): Promise<string> {
  const { master } = coreOf(repository);
  const file = await createKeyFile(
    {
      master,
      password: new Secret("theirs"),
      cost: CHEAP_COST,
      created: new Date("2026-02-01T00:00:00Z"),
      username: "mallory",
      hostname: "elsewhere",
    },
    random,
  );
  const id = createHash("sha256").update(file).digest("hex");
  await store.put(objectKey.key(id), [file]);
  return id;
}

function refusingRemovalOf(prefix: string, store: ObjectStore): ObjectStore {
  return {
    ...store,
    remove: async (key, options) => {
      if (key.startsWith(prefix)) {
        throw objectStoreError("denied", { message: `removal of ${key}` });
      }
      await store.remove(key, options);
    },
  };
}

describe("a key that is added", () => {
  test("opens the same repository, and is known by who added it", async () => {
    const fixture = await createFixture();
    const id = await addKey(fixture.repository, {
      ...NEW_KEY,
      owner: { username: "ann", hostname: "laptop" },
    });
    const other = await opened(fixture, OTHER);
    expect(other).toMatchObject({ id: fixture.repository.id, keyId: id });
    expect(other.deriveKey("x")).toEqual(fixture.repository.deriveKey("x"));
    const { keys, damagedRecords } = await listKeys(other);
    expect(damagedRecords).toEqual([]);
    expect(keys).toHaveLength(2);
    expect(keys.find(({ current }) => current)).toMatchObject({
      id,
      state: "known",
      username: "ann",
      hostname: "laptop",
      created: fixture.clock.now(),
      record: { action: "added", by: "backup@db-1", at: fixture.clock.now() },
    });
    expect(keys.find(({ current }) => !current)).toMatchObject({
      state: "known",
      record: { action: "created" },
    });
    expect(await keysOf(fixture.store, "locks/")).toEqual([]);
  });

  test("is proven from what the store holds, not from memory", async () => {
    const fixture = await createFixture();
    const spoiling: ObjectStore = {
      ...fixture.store,
      put: (key, body, options) =>
        fixture.store.put(key, key.startsWith("keys/") ? [Buffer.from("{}")] : body, options),
    };
    const repository = await reopen(fixture, spoiling);
    expect(await codeOf(() => addKey(repository, NEW_KEY))).toBe("repository.key_damaged");
  });

  test("that was spoiled while it was sealed is found before anybody relies on it", async () => {
    const { repository } = await createFixture();
    const spoiled = new (class extends Secret {
      #asked = 0;
      override reveal(): string {
        this.#asked += 1;
        return this.#asked === 1 ? "another 0ne" : super.reveal();
      }
    })("another one");
    const changed = () => changePassword(repository, { ...NEW_KEY, password: spoiled });
    expect(await codeOf(changed)).toBe("repository.key_unproven");
    expect((await listKeys(repository)).keys.some(({ current }) => current)).toBe(true);
  });
});

describe("a key that nobody added through us", () => {
  test("is an alert, in the list and in a check, until a person adopts it", async () => {
    const fixture = await createFixture();
    const { repository } = fixture;
    const id = await addByOthers(fixture);
    expect(await unknownKeys(repository)).toMatchObject([
      { id, state: "unknown", username: "mallory", hostname: "elsewhere" },
    ]);
    const check = () => repository.check({ readData: false });
    expect((await check()).findings).toMatchObject([
      { severity: "warning", code: "key_unknown", subject: { key: id } },
    ]);
    const plan = await planAdoptKeys(repository, { by: "Ann Meier" });
    expect(plan.keys).toMatchObject([{ id }]);
    // A plan alone changes nothing.
    expect(await unknownKeys(repository)).toHaveLength(1);
    await plan.execute();
    await expect(plan.execute()).rejects.toMatchObject({ code: "kernel.bug" });
    expect(await unknownKeys(repository)).toEqual([]);
    expect((await check()).findings).toEqual([]);
    expect((await listKeys(repository)).keys.find((key) => key.id === id)).toMatchObject({
      record: { action: "adopted", by: "Ann Meier" },
    });
  });

  test("stays one whatever is put in the place of its record", async () => {
    const fixture = await createFixture();
    const id = await addByOthers(fixture);
    await fixture.store.put(`sparekeep/keys/${id}`, [Buffer.from("garbage")]);
    const { keys, damagedRecords } = await listKeys(fixture.repository);
    expect(keys.find((key) => key.id === id)?.state).toBe("unknown");
    expect(damagedRecords).toEqual([id]);
  });

  test("is the first one too, where its record is gone", async () => {
    const fixture = await createFixture();
    const [record = ""] = await keysOf(fixture.store, "sparekeep/keys/");
    await overwrite(fixture.store, record, flipByte(-1));
    expect(await unknownKeys(fixture.repository)).toHaveLength(1);
  });

  test("is no news to a check where nobody ever vouched for one", async () => {
    const fixture = await createFixture();
    for (const key of await keysOf(fixture.store, "sparekeep/keys/")) {
      await fixture.store.remove(key);
    }
    expect((await fixture.repository.check({ readData: false })).findings).toEqual([]);
    expect(await listKeys(fixture.repository)).toMatchObject({
      recorded: false,
      keys: [{ state: "unknown" }],
    });
  });

  test("is told as damaged where it opens for nobody", async () => {
    const fixture = await createFixture();
    const id = "ab".repeat(32);
    await fixture.store.put(objectKey.key(id), [Buffer.from("no key")]);
    const { keys } = await listKeys(fixture.repository);
    const key = keys.find((entry) => entry.id === id);
    expect(key).toMatchObject({ state: "unknown" });
    expect(key?.damage).toMatch(/not what its name says/);
    expect(key).not.toHaveProperty("created");
  });
});

describe("removing a key", () => {
  test("takes a plan; its password opens nothing afterwards", async () => {
    const fixture = await createFixture();
    const id = await addKey(fixture.repository, NEW_KEY);
    const plan = await planRemoveKey(fixture.repository, id.slice(0, 12), REMOVE);
    expect(plan).toMatchObject({ key: { id }, keysLeft: 1, opensWith: fixture.repository.keyId });
    expect((await opened(fixture, OTHER)).keyId).toBe(id);
    expect(await plan.execute()).toEqual({ outcome: "complete" });
    await expect(plan.execute()).rejects.toMatchObject({ code: "kernel.bug" });
    expect(await codeOf(() => opened(fixture, OTHER))).toBe("repository.wrong_password");
    expect((await listKeys(fixture.repository)).keys).toHaveLength(1);
  });

  test("never takes the last one, nor the one in use", async () => {
    const fixture = await createFixture();
    const { keyId } = fixture.repository;
    const remove = () => planRemoveKey(fixture.repository, keyId, REMOVE);
    expect(await codeOf(remove)).toBe("repository.key_in_use");
    await addKey(fixture.repository, NEW_KEY);
    expect(await codeOf(remove)).toBe("repository.key_in_use");
    // With a password that is seen to open another one it may go.
    const plan = await planRemoveKey(fixture.repository, keyId, { ...REMOVE, password: OTHER });
    expect(await plan.execute()).toEqual({ outcome: "complete" });
    expect(await codeOf(() => opened(fixture, PASSWORD))).toBe("repository.wrong_password");
    expect((await opened(fixture, OTHER)).id).toBe(fixture.repository.id);
  });

  test("never leaves a key file alone that opens, and holds another repository's master key", async () => {
    const fixture = await createFixture();
    const { keyId } = fixture.repository;
    // As a folder of keys does that was copied here: the same password, and nothing of ours behind it.
    const foreign = await createFixture("another");
    const key = objectKey.key(foreign.repository.keyId);
    await fixture.store.put(key, [await foreign.store.get(key)]);
    const remove = () => planRemoveKey(fixture.repository, keyId, REMOVE);
    expect(await codeOf(remove)).toBe("repository.key_in_use");
  });

  test("looks again before it acts: two that remove each other's key leave one", async () => {
    const fixture = await createFixture();
    const id = await addKey(fixture.repository, NEW_KEY);
    const other = await opened(fixture, OTHER);
    const mine = await planRemoveKey(fixture.repository, id, REMOVE);
    const theirs = await planRemoveKey(other, fixture.repository.keyId, {
      ...REMOVE,
      password: OTHER,
    });
    expect(await mine.execute()).toEqual({ outcome: "complete" });
    expect(await codeOf(() => theirs.execute())).toBe("repository.key_in_use");
    expect((await opened(fixture, PASSWORD)).id).toBe(other.id);
  });

  test.for(["", "zz", "0123456789"])("knows no key %j", async (reference) => {
    const fixture = await createFixture();
    const code = await codeOf(() => planRemoveKey(fixture.repository, reference, REMOVE));
    expect(code).toBe("repository.key_not_found");
  });

  test("that the store refuses is incomplete, and the key an alert", async () => {
    const fixture = await createFixture();
    const id = await addKey(fixture.repository, NEW_KEY);
    const repository = await reopen(fixture, refusingRemovalOf("keys/", fixture.store));
    const plan = await planRemoveKey(repository, id, REMOVE);
    expect(await plan.execute()).toMatchObject({
      outcome: "incomplete",
      reason: { code: "objectstore.denied" },
    });
    expect(await unknownKeys(repository)).toMatchObject([{ id, state: "removed" }]);
    expect((await repository.check({ readData: false })).findings).toMatchObject([
      { code: "key_unknown", message: expect.stringMatching(/removed by backup@db-1 at .* there/) },
    ]);
  });

  test("holds for good: a copy that is put back is an alert", async () => {
    const fixture = await createFixture();
    const id = await addKey(fixture.repository, NEW_KEY);
    const copy = await fixture.store.get(objectKey.key(id));
    await (await planRemoveKey(fixture.repository, id, REMOVE)).execute();
    await fixture.store.put(objectKey.key(id), [copy]);
    expect(await unknownKeys(fixture.repository)).toMatchObject([{ id, state: "removed" }]);
  });

  test.for(["added", "adopted"] as const)(
    "holds where the record that it was %s is put again later",
    async (action) => {
      const fixture = await createFixture();
      const { repository, store, clock } = fixture;
      const before = await keysOf(store, "sparekeep/keys/");
      let id: string;
      if (action === "added") id = await addKey(repository, NEW_KEY);
      else {
        id = await addByOthers(fixture);
        await (await planAdoptKeys(repository, { by: "Ann Meier" })).execute();
      }
      const records = (await keysOf(store, "sparekeep/keys/")).filter((r) => !before.includes(r));
      const copies = new Map<string, Uint8Array>();
      for (const key of [...records, objectKey.key(id)]) copies.set(key, await store.get(key));
      clock.advance(60_000);
      await (await planRemoveKey(repository, id, REMOVE)).execute();
      clock.advance(60_000);
      for (const [key, bytes] of copies) await store.put(key, [bytes]);
      expect(await unknownKeys(repository)).toMatchObject([{ id, state: "removed" }]);
    },
  );

  test("is undone by a person alone, who vouches for the key that is back", async () => {
    const fixture = await createFixture();
    const { repository, store, clock } = fixture;
    const id = await addKey(repository, NEW_KEY);
    const copy = await store.get(objectKey.key(id));
    await (await planRemoveKey(repository, id, REMOVE)).execute();
    await store.put(objectKey.key(id), [copy]);
    clock.advance(60_000);
    const adoption = await planAdoptKeys(repository, { by: "Ann Meier", references: [id] });
    await adoption.execute();
    expect(await unknownKeys(repository)).toEqual([]);
  });

  test("is told to be doubtful where its record was overwritten", async () => {
    const fixture = await createFixture();
    const { repository, store } = fixture;
    const id = await addKey(repository, NEW_KEY);
    const copy = await store.get(objectKey.key(id));
    const before = await keysOf(store, "sparekeep/keys/");
    await (await planRemoveKey(repository, id, REMOVE)).execute();
    const [removal = ""] = (await keysOf(store, "sparekeep/keys/")).filter(
      (record) => !before.includes(record),
    );
    await store.put(objectKey.key(id), [copy]);
    await store.put(removal, [Buffer.from("garbage")]);
    expect((await repository.check({ readData: false })).findings).toMatchObject([
      { code: "key_unknown", message: expect.stringContaining("cannot be read") },
    ]);
  });

  test("waits for nobody: a writer at work refuses it", async () => {
    const fixture = await createFixture();
    const id = await addKey(fixture.repository, NEW_KEY);
    const plan = await planRemoveKey(fixture.repository, id, REMOVE);
    await using _writer = await fixture.repository.acquireWriter(WRITER);
    expect(await codeOf(() => plan.execute())).toBe("repository.locked");
  });
});

describe("changing the password", () => {
  test("leaves one key, of the new password", async () => {
    const fixture = await createFixture();
    const old = fixture.repository.keyId;
    const seen: string[] = [];
    const changed = await changePassword(fixture.repository, {
      ...NEW_KEY,
      beforeRemoval: async (added) => {
        // Both open at this moment.
        seen.push(
          added,
          (await opened(fixture, OTHER)).keyId,
          (await reopen(fixture, fixture.store)).keyId,
        );
      },
    });
    expect(changed).toMatchObject({ outcome: "complete", removed: old });
    expect(seen).toEqual([changed.added, changed.added, old]);
    expect(await keysOf(fixture.store, "keys/")).toEqual([`keys/${changed.added}`]);
    expect(await codeOf(() => opened(fixture, PASSWORD))).toBe("repository.wrong_password");
  });

  test.for(["denied", "unavailable"] as const)(
    "on a store whose removal is %s is incomplete, and says which key remains",
    async (code) => {
      const fixture = await createFixture();
      const store: ObjectStore = {
        ...fixture.store,
        remove: async (key, options) => {
          if (key.startsWith("keys/")) throw objectStoreError(code, { message: "no" });
          await fixture.store.remove(key, options);
        },
      };
      const repository = await reopen(fixture, store);
      const changed = await changePassword(repository, NEW_KEY);
      expect(changed).toMatchObject({
        outcome: "incomplete",
        remains: fixture.repository.keyId,
        reason: { code: `objectstore.${code}` },
      });
      expect((await opened(fixture, OTHER)).keyId).toBe(changed.added);
      expect((await opened(fixture, PASSWORD)).keyId).toBe(fixture.repository.keyId);
    },
  );

  test("removes nothing where what must come before it fails", async () => {
    const fixture = await createFixture();
    const changed = await changePassword(fixture.repository, {
      ...NEW_KEY,
      beforeRemoval: () => Promise.reject(objectStoreError("full", { message: "no space left" })),
    });
    expect(changed).toMatchObject({ outcome: "incomplete", reason: { code: "objectstore.full" } });
    expect(await unknownKeys(fixture.repository)).toEqual([]);
    expect(await keysOf(fixture.store, "keys/")).toHaveLength(2);
  });
});

test("a store without a place for records keeps keys, and says that nobody vouches for them", async () => {
  const fixture = await createFixture();
  const inner = createMemoryStore({ clock: fixture.clock });
  const store: ObjectStore = {
    ...inner,
    put: async (key, body, options) => {
      if (key.startsWith("sparekeep/")) {
        throw new AppError("objectstore.no_place", "config", { message: `no place for ${key}` });
      }
      await inner.put(key, body, options);
    },
  };
  const { clock, random } = fixture;
  const context = { store, clock, random, createSealer: createInlineSealer };
  const options = { password: PASSWORD, hostname: "h", username: "u", cost: CHEAP_COST };
  const repository = await createRepository(context, options);
  const id = await addKey(repository, NEW_KEY);
  expect(await listKeys(repository)).toMatchObject({
    recorded: false,
    keys: [{ state: "unknown" }, { state: "unknown" }],
  });
  // A person who vouches for them must not be told that it was written down.
  const adoption = await planAdoptKeys(repository, { by: "Ann Meier" });
  expect(await codeOf(() => adoption.execute())).toBe("objectstore.no_place");
  const plan = await planRemoveKey(repository, id, REMOVE);
  expect(await plan.execute()).toEqual({ outcome: "complete" });
});

test("who can open a wrapped copy is kept in a record", async () => {
  const { repository } = await createFixture();
  const file = "cd".repeat(32);
  await recordWrap(repository, { file, key: repository.keyId, owners: ["age1x"], by: "a@b" });
  expect((await loadWraps(repository)).get(file)).toMatchObject({ owners: ["age1x"], by: "a@b" });
  expect(await unknownKeys(repository)).toEqual([]);
});
