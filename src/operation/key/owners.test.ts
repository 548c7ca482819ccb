import { randomBytes } from "node:crypto";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { describe, expect, test } from "vitest";
import { Secret, systemClock } from "../../kernel/index.ts";
import { createMemoryStore, objectStoreError } from "../../objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../objectstore/index.ts";
import { codeOf } from "../../objectstore/testing/index.ts";
import { createRepository } from "../../repository/index.ts";
import type { Repository } from "../../repository/index.ts";
import { listWrapped, unwrapAll, wrapForOwners, wrappedCopies } from "./owners.ts";

const PASSWORD = new Secret("the password");
const { signal } = new AbortController();
const waits = { signal };
const clock = { ...systemClock, sleep: () => Promise.resolve() };

interface Place {
  readonly store: MemoryStore;
  /** What a crash would leave, before and after each write. */
  readonly cuts: MemoryStore[];
  readonly repository: Repository;
  readonly ann: Secret;
  readonly owners: readonly string[];
}

async function place(): Promise<Place> {
  const inner = createMemoryStore({ clock });
  const cuts: MemoryStore[] = [];
  const around = async (work: () => Promise<void>): Promise<void> => {
    cuts.push(inner.fork());
    await work();
    cuts.push(inner.fork());
  };
  const store: MemoryStore = {
    ...inner,
    put: (key, body, options) => around(() => inner.put(key, body, options)),
    remove: (key, options) => around(() => inner.remove(key, options)),
  };
  const repository = await createRepository(
    { store, clock, random: (size) => randomBytes(size) },
    { password: PASSWORD, hostname: "h", username: "u", cost: { N: 2, r: 1, p: 1 } },
  );
  const ann = await generateX25519Identity();
  return {
    store,
    cuts,
    repository,
    ann: new Secret(ann),
    owners: [await identityToRecipient(ann)],
  };
}

function wrap({ repository, store, owners }: Place, other: ObjectStore = store) {
  const input = { repository, owners, password: PASSWORD, key: repository.keyId, by: "u@h" };
  return wrapForOwners({ ...input, store: other }, waits);
}

async function withBen(at: Place): Promise<Place> {
  const ben = await identityToRecipient(await generateX25519Identity());
  return { ...at, owners: [...at.owners, ben] };
}

describe("copies for owners", () => {
  test("are there at every moment of a change of owners", async () => {
    const first = await place();
    await wrap(first);
    first.cuts.length = 0;
    await wrap(await withBen(first));
    // The record, the new copy, the removal of the old one.
    expect(first.cuts).toHaveLength(6);
    for (const left of first.cuts) {
      const found = await unwrapAll(left, [first.ann], waits);
      expect(found.map(({ password }) => password.reveal())).toContain("the password");
    }
    expect(await listWrapped(first.store, waits)).toHaveLength(1);
  });

  test("that the store refuses to remove are named, and go the next time", async () => {
    const first = await place();
    const old = (await wrap(first)).file;
    const refusing: ObjectStore = {
      ...first.store,
      remove: (key) => Promise.reject(objectStoreError("denied", { message: `no: ${key}` })),
    };
    const second = await withBen(first);
    expect(await wrap(second, refusing)).toMatchObject({
      outcome: "incomplete",
      created: true,
      remaining: [old],
      removed: [],
    });
    expect(await wrap(second)).toMatchObject({
      outcome: "complete",
      created: false,
      removed: [old],
      formerOwners: [],
    });
  });

  test("that nobody wrapped through us are never current", async () => {
    const at = await place();
    const { file } = await wrap(at);
    const state = async () => {
      const { repository, store, owners } = at;
      return (await wrappedCopies(repository, store, owners, waits)).state;
    };
    expect(await state()).toBe("current");
    const copy = await at.store.get(`sparekeep/owners/${file}.age`);
    await at.store.remove(`sparekeep/owners/${file}.age`);
    await at.store.put(`sparekeep/owners/${"ab".repeat(32)}.age`, [copy]);
    expect(await state()).toBe("outdated");
    // Nor is it opened under a name that is not its own.
    expect(await codeOf(() => unwrapAll(at.store, [at.ann], waits))).toBe("operation.wrap_damaged");
  });
});
