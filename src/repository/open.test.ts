import { describe, expect, test } from "vitest";
import { exitCodeOf, fromHex, Secret, toAppError, toHex } from "../kernel/index.ts";
import { createMemoryStore, objectStoreError } from "../objectstore/index.ts";
import type { ObjectStore } from "../objectstore/index.ts";
import { parseConfig } from "./config.ts";
import { createKeyFile, openKeyFile, parseKeyFile } from "./crypto/key-file.ts";
import { sealBytes } from "./crypto/sealed.ts";
import { createRepository, openRepository } from "./open.ts";
import {
  CHEAP_COST,
  createFakeClock,
  createFixture,
  flipByte,
  keysOf,
  overwrite,
  PASSWORD,
  reopen,
  seededRandom,
} from "./testing/fixtures.ts";
import type { Fixture } from "./testing/fixtures.ts";
import * as fc from "fast-check";
import { createHash } from "node:crypto";
import { AppError } from "../kernel/index.ts";

async function failure(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (thrown) {
    return toAppError(thrown);
  }
  throw new Error("nothing was thrown");
}

/** A second key of the repository for another password, as `restic key add` makes it. */
async function addKey({ store, random, repository }: Fixture, password: string): Promise<string> {
  const file = parseKeyFile(await store.get(`keys/${repository.keyId}`), repository.keyId);
  const master = file === undefined ? undefined : await openKeyFile(file, PASSWORD);
  if (master === undefined) throw new Error("no key");
  const [created, secret] = [new Date(0), new Secret(password)];
  const added = {
    master,
    password: secret,
    cost: CHEAP_COST,
    created,
    username: "u",
    hostname: "h",
  };
  const bytes = await createKeyFile(added, random);
  const id = createHash("sha256").update(bytes).digest("hex");
  await store.put(`keys/${id}`, [bytes]);
  return id;
}

describe("what comes next", () => {
  test.for(["write", "check", "check data"] as const)(
    "said as %s is got ready, and the repository works as ever",
    async (next) => {
      const { store, clock, random, repository } = await createFixture();
      const context = { store, clock, random };
      const opened = await openRepository(context, { password: PASSWORD, next });
      expect(opened.id).toBe(repository.id);
      const writer = await opened.acquireWriter({ hostname: "h", username: "u", pid: 1 });
      await writer[Symbol.asyncDispose]();
      expect((await opened.check({ readData: true })).findings).toEqual([]);
      const wrong = openRepository(context, { password: new Secret("no"), next });
      expect((await failure(wrong)).code).toBe("repository.wrong_password");
    },
  );
});

describe("creating", () => {
  test("writes a key, a config and the record of the key, and opens with the password alone", async () => {
    const fixture = await createFixture();
    const keys = await keysOf(fixture.store, "");
    expect(keys.slice(0, 2)).toEqual(["config", `keys/${fixture.repository.keyId}`]);
    expect(keys.slice(2)).toEqual([expect.stringMatching(/^sparekeep\/keys\/[0-9a-f]{64}$/)]);
    const again = await reopen(fixture, fixture.store);
    expect(again.id).toBe(fixture.repository.id);
    expect(again.keyId).toBe(fixture.repository.keyId);
    expect(toHex(again.deriveKey("rows"))).toBe(toHex(fixture.repository.deriveKey("rows")));
  });

  test("where a repository already is changes nothing", async () => {
    const { store, clock, random } = await createFixture();
    const before = await keysOf(store, "");
    const options = { password: PASSWORD, hostname: "h", username: "u", cost: CHEAP_COST };
    const error = await failure(createRepository({ store, clock, random }, options));
    expect(error.code).toBe("repository.already_exists");
    expect(await keysOf(store, "")).toEqual(before);
  });

  test("against another who was quicker takes its own key away again", async () => {
    const { store, clock, random } = await createFixture();
    const before = await keysOf(store, "");
    const racing: ObjectStore = {
      ...store,
      stat: () => Promise.resolve(undefined),
      list: () => createMemoryStore({ clock }).list(""),
    };
    const options = { password: PASSWORD, hostname: "h", username: "u", cost: CHEAP_COST };
    const error = await failure(createRepository({ store: racing, clock, random }, options));
    expect(error.code).toBe("repository.already_exists");
    expect(await keysOf(store, "")).toEqual(before);
  });

  test("that fails at the config leaves no key, and works the next time", async () => {
    const clock = createFakeClock();
    const store = createMemoryStore({ clock });
    const full: ObjectStore = {
      ...store,
      put: async (key, body, options) => {
        if (key === "config") throw objectStoreError("full", { message: "disk that is full" });
        await store.put(key, body, options);
      },
    };
    const options = { password: PASSWORD, hostname: "h", username: "u", cost: CHEAP_COST };
    const random = seededRandom("again");
    const error = await failure(createRepository({ store: full, clock, random }, options));
    expect(error.code).toBe("objectstore.full");
    expect(await keysOf(store, "")).toEqual([]);
    const { id } = await createRepository({ store, clock, random }, options);
    const opened = await openRepository({ store, clock, random }, { password: PASSWORD });
    expect(opened.id).toBe(id);
  });

  test("beside a key without a config touches nothing: the key may be all that is left", async () => {
    const fixture = await createFixture();
    const { store, clock, random } = fixture;
    await store.remove("config");
    const before = await keysOf(store, "");
    const options = { password: PASSWORD, hostname: "h", username: "u", cost: CHEAP_COST };
    const error = await failure(createRepository({ store, clock, random }, options));
    expect(error).toMatchObject({
      code: "repository.already_exists",
      subject: { key: fixture.repository.keyId },
    });
    expect(await keysOf(store, "")).toEqual(before);
  });
});

describe("opening", () => {
  test("with a wrong password is exit code 12", async () => {
    const { store, clock, random } = await createFixture();
    const options = { password: new Secret("wrong") };
    const error = await failure(openRepository({ store, clock, random }, options));
    expect(error.code).toBe("repository.wrong_password");
    expect(exitCodeOf(error)).toBe(12);
    expect(JSON.stringify(error)).not.toContain('wrong"');
  });

  test("what is no repository is exit code 10", async () => {
    const clock = createFakeClock();
    const store = createMemoryStore({ clock });
    const context = { store, clock, random: seededRandom("x") };
    const error = await failure(openRepository(context, { password: PASSWORD }));
    expect(error.code).toBe("repository.not_found");
    expect(exitCodeOf(error)).toBe(10);
  });

  test("tries every key", async () => {
    const fixture = await createFixture();
    const { store, clock, random } = fixture;
    const ids = [await addKey(fixture, "two"), await addKey(fixture, "three")];
    for (const [i, password] of ["two", "three"].entries()) {
      const options = { password: new Secret(password) };
      const opened = await openRepository({ store, clock, random }, options);
      expect(opened.id).toBe(fixture.repository.id);
      expect(opened.keyId).toBe(ids[i]);
    }
  });

  test("passes over a damaged key where another opens", async () => {
    const fixture = await createFixture();
    const added = await addKey(fixture, "two");
    await overwrite(fixture.store, `keys/${added}`, flipByte(10));
    expect((await reopen(fixture, fixture.store)).id).toBe(fixture.repository.id);
  });

  test("says that the only key is damaged, not that the password is wrong", async () => {
    const fixture = await createFixture();
    await overwrite(fixture.store, `keys/${fixture.repository.keyId}`, flipByte(10));
    const error = await failure(reopen(fixture, fixture.store));
    expect(error.code).toBe("repository.key_damaged");
    expect(exitCodeOf(error)).toBe(20);
  });

  test("without any key says so", async () => {
    const fixture = await createFixture();
    await fixture.store.remove(`keys/${fixture.repository.keyId}`);
    expect((await failure(reopen(fixture, fixture.store))).code).toBe("repository.key_damaged");
  });

  test("with a damaged config says so", async () => {
    const fixture = await createFixture();
    await overwrite(fixture.store, "config", flipByte(40));
    expect((await failure(reopen(fixture, fixture.store))).code).toBe("repository.config_damaged");
  });

  test("reads the config again once before it calls it damaged", async () => {
    const fixture = await createFixture();
    let reads = 0;
    const store: ObjectStore = {
      ...fixture.store,
      get: async (key) => {
        const bytes = Buffer.from(await fixture.store.get(key));
        if (key === "config") reads += 1;
        return key === "config" && reads === 1 ? flipByte(40)(bytes) : bytes;
      },
    };
    expect((await reopen(fixture, store)).id).toBe(fixture.repository.id);
    expect(reads).toBe(2);
  });

  test("a store that is away is not taken for a missing repository", async () => {
    const fixture = await createFixture();
    const store: ObjectStore = {
      ...fixture.store,
      get: () => Promise.reject(objectStoreError("unavailable", { message: "store that is away" })),
    };
    expect((await failure(reopen(fixture, store))).code).toBe("objectstore.unavailable");
  });
});

describe("configs", () => {
  test.for([1, 3, 99])("of version %i are incompatible", (version) => {
    const json = { version, id: "ab".repeat(32), chunker_polynomial: "25b468838dcb75" };
    expect(() => parseConfig(Buffer.from(JSON.stringify(json)), "here")).toThrow(
      expect.objectContaining({ code: "repository.incompatible", kind: "incompatible" }),
    );
  });

  test("of version 1 are refused when opened", async () => {
    const fixture = await createFixture();
    const key = parseKeyFile(await fixture.store.get(`keys/${fixture.repository.keyId}`), "");
    const master = key === undefined ? undefined : await openKeyFile(key, PASSWORD);
    if (master === undefined) throw new Error("no key");
    const json = JSON.stringify({ version: 1, id: "ab".repeat(32), chunker_polynomial: "2d" });
    const config = sealBytes(Buffer.from(json), master.keys, fromHex("00".repeat(16)));
    await overwrite(fixture.store, "config", () => config);
    expect((await failure(reopen(fixture, fixture.store))).code).toBe("repository.incompatible");
  });

  test("of garbage are damaged or incompatible, never another exception", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        expect(() => parseConfig(Buffer.from(text), "here")).toThrow(AppError);
      }),
    );
  });
});

test("a key that opens is not buried under later ones", async () => {
  const fixture = await createFixture();
  const { store, clock } = fixture;
  // Whoever adds them chooses salts until the names come first.
  const planted: string[] = [];
  for (let number = 0; planted.length < 20; number += 1) {
    const salt = Buffer.from(`${number}`).toString("base64");
    const file = { kdf: "scrypt", ...CHEAP_COST, salt, data: Buffer.alloc(48).toString("base64") };
    const bytes = Buffer.from(JSON.stringify(file));
    const id = createHash("sha256").update(bytes).digest("hex");
    if (id > fixture.repository.keyId) continue;
    planted.push(id);
    clock.advance(1000);
    await store.put(`keys/${id}`, [bytes]);
  }
  expect((await reopen(fixture, store)).keyId).toBe(fixture.repository.keyId);
});

test("files deeper than a repository has them are somebody else's, and stop nothing", async () => {
  const fixture = await createFixture();
  const { store, repository } = fixture;
  const id = "ab".repeat(32);
  const folders = ["keys", "locks", "snapshots", "index", "sparekeep/keys"];
  for (const folder of folders) await store.put(`${folder}/deeper/${id}`, [Buffer.from("x")]);
  const again = await reopen(fixture, store);
  expect(again.id).toBe(repository.id);
  expect(await again.snapshots()).toEqual([]);
  await using _writer = await again.acquireWriter({ hostname: "h", username: "u", pid: 1 });
  expect((await again.check({ readData: false })).findings).toEqual([]);
});
