import { describe, expect, test } from "vitest";
import type { ObjectStore } from "../../objectstore/index.ts";
import { createMemoryStore, objectStoreError } from "../../objectstore/index.ts";
import { codeOf } from "../../objectstore/testing/index.ts";
import { coreOf } from "../core.ts";
import { addHold } from "../hold/holds.ts";
import { acquireLock } from "../lock/lock.ts";
import { acceptSuspect, saveProof } from "../proof/proofs.ts";
import {
  createFakeClock,
  createFixture,
  flipByte,
  keysOf,
  overwrite,
  reopen,
  streamOf,
  TABLE,
  WRITER,
} from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { createRepository } from "../open.ts";
import { createInlineSealer } from "../sealer.ts";
import { loadSnapshotFields } from "../snapshots.ts";
import type { Repository } from "../types.ts";
import { saveUnpacked } from "../unpacked.ts";
import { executeForget } from "./execute.ts";
import { planForget } from "./plan.ts";
import type { ForgetQuestion } from "./plan.ts";
import { CHEAP_COST, PASSWORD, seededRandom } from "../testing/fixtures.ts";

const QUESTION: ForgetQuestion = {
  plans: [{ name: "nightly", keep: { last: 2 }, schedule: { kind: "not scheduled" } }],
  windows: [],
  timezone: "UTC",
  records: true,
};

async function save(repository: Repository, day: number, tags = ["plan=nightly"]): Promise<string> {
  await using writer = await repository.acquireWriter(WRITER);
  await writer.saveFile(["file"], streamOf(`day ${day}`), TABLE);
  const time = new Date(Date.UTC(2026, 1, day, 2));
  return (await writer.commit({ time, paths: ["/db"], tags })).id;
}

async function fiveDays(): Promise<Fixture & { readonly ids: readonly string[] }> {
  const fixture = await createFixture();
  const ids: string[] = [];
  for (let day = 1; day <= 5; day += 1) ids.push(await save(fixture.repository, day));
  return { ...fixture, ids };
}

const idsOf = (list: readonly { readonly id: string }[]): readonly string[] =>
  list.map(({ id }) => id);

async function snapshotsIn(repository: Repository): Promise<readonly string[]> {
  return idsOf(await repository.snapshots());
}

async function findingsOf(repository: Repository): Promise<readonly string[]> {
  const { findings } = await repository.check({ readData: true });
  return findings.filter(({ severity }) => severity !== "information").map(({ code }) => code);
}

/** As `restic tag` does: the same once more under another id, and the old one goes. */
async function retag({ repository, store }: Fixture, id: string): Promise<string> {
  const { fields } = await loadSnapshotFields(coreOf(repository), id);
  const tagged = { ...fields, tags: ["plan=nightly", "new"], original: id };
  const json = Buffer.from(JSON.stringify(tagged));
  const saved = await saveUnpacked(coreOf(repository), "snapshot", json);
  await store.remove(`snapshots/${id}`);
  return saved.id;
}

describe("a snapshot that another tool tagged", () => {
  test("is held by what held it before", async () => {
    const fixture = await fiveDays();
    const { repository, ids } = fixture;
    const held = { snapshots: [ids[0] ?? ""], by: "ann", reason: "case 4" };
    await addHold(repository, held, WRITER);
    const tagged = await retag(fixture, ids[0] ?? "");
    const plan = await planForget(repository, QUESTION, WRITER);
    expect(idsOf(plan.forget)).toEqual([ids[2], ids[1]]);
    expect(plan.keep.find(({ id }) => id === tagged)?.reasons).toEqual(["held by ann: case 4"]);
  });

  test("is suspect as it was, until somebody accepts it", async () => {
    const fixture = await fiveDays();
    const { repository, ids } = fixture;
    const snapshot = ids[4] ?? "";
    await saveProof(repository, { snapshot, state: "suspect", by: "guard" });
    const tagged = await retag(fixture, snapshot);
    const stopped = await planForget(repository, QUESTION, WRITER);
    expect(stopped.forget).toEqual([]);
    expect(stopped.plans[0]?.stoppedBecause).toEqual([
      `its newest point ${tagged.slice(0, 8)} is suspect`,
    ]);
    await acceptSuspect(repository, { snapshot, by: "ann", reason: "looked" });
    const plan = await planForget(repository, QUESTION, WRITER);
    expect(idsOf(plan.forget)).toEqual([ids[2], ids[1], ids[0]]);
  });
});

test("a plan is carried out once: its snapshots go, the others stay whole, no lock is left", async () => {
  const { repository, store, ids } = await fiveDays();
  const plan = await planForget(repository, QUESTION, WRITER);
  expect(idsOf(plan.forget)).toEqual([ids[2], ids[1], ids[0]]);
  expect(await snapshotsIn(repository)).toEqual(ids);
  expect(await executeForget(repository, plan, WRITER)).toEqual({
    outcome: "complete",
    removed: [ids[0], ids[1], ids[2]],
    notRemoved: [],
  });
  expect(await snapshotsIn(repository)).toEqual([ids[3], ids[4]]);
  expect(await findingsOf(repository)).toEqual([]);
  expect(await keysOf(store, "locks/")).toEqual([]);
  expect(await codeOf(() => executeForget(repository, plan, WRITER))).toBe("repository.plan_used");
  const again = await planForget(repository, QUESTION, WRITER);
  expect(again.forget).toEqual([]);
  expect(await executeForget(repository, again, WRITER)).toMatchObject({ removed: [] });
});

test("a plan of another repository is refused", async () => {
  const plan = await planForget((await fiveDays()).repository, QUESTION, WRITER);
  const other = await createFixture("other");
  expect(await codeOf(() => executeForget(other.repository, plan, WRITER))).toBe(
    "repository.plan_used",
  );
});

test("a snapshot that cannot be read stops the plan and is named", async () => {
  const { repository, store, ids } = await fiveDays();
  await overwrite(store, `snapshots/${ids[2] ?? ""}`, flipByte(-1));
  await expect(planForget(repository, QUESTION, WRITER)).rejects.toThrow(
    expect.objectContaining({ code: "repository.snapshot_damaged", subject: { snapshot: ids[2] } }),
  );
  expect(await keysOf(store, "locks/")).toEqual([]);
});

test("a hold that cannot be read stops the plan", async () => {
  const { repository, store, ids } = await fiveDays();
  await addHold(repository, { by: "ann", reason: "x", snapshots: [ids[0] ?? ""] }, WRITER);
  const [hold = ""] = await keysOf(store, "sparekeep/holds/");
  await overwrite(store, hold, flipByte(-1));
  expect(await codeOf(() => planForget(repository, QUESTION, WRITER))).toBe(
    "repository.record_damaged",
  );
});

test("a hold ends by the clock that is behind, ours or the store's", async () => {
  for (const aheadMs of [30 * 60_000, -30 * 60_000]) {
    const clock = createFakeClock("2026-03-04T05:06:07.000Z");
    const storeClock = createFakeClock("2026-03-04T05:06:07.000Z");
    const store = createMemoryStore({ clock: storeClock });
    const context = {
      store,
      clock,
      random: seededRandom("holds"),
      createSealer: createInlineSealer,
    };
    const options = { password: PASSWORD, hostname: "db-1", username: "backup", cost: CHEAP_COST };
    const repository = await createRepository(context, options);
    const ids: string[] = [];
    for (let day = 1; day <= 3; day += 1) ids.push(await save(repository, day));
    const until = new Date(clock.now().getTime() + 15 * 60_000);
    await addHold(repository, { snapshots: [ids[0] ?? ""], by: "ann", reason: "r", until }, WRITER);
    (aheadMs > 0 ? clock : storeClock).advance(Math.abs(aheadMs));
    expect((await planForget(repository, QUESTION, WRITER)).forget).toEqual([]);
    (aheadMs > 0 ? storeClock : clock).advance(Math.abs(aheadMs));
    expect(idsOf((await planForget(repository, QUESTION, WRITER)).forget)).toEqual([ids[0]]);
  }
});

describe("the store's clock", () => {
  const withStoreAt = async (storeTime: string) => {
    const clock = createFakeClock("2026-03-04T05:06:07.000Z");
    const store = createMemoryStore({ clock: createFakeClock(storeTime) });
    const context = {
      store,
      clock,
      random: seededRandom("clock"),
      createSealer: createInlineSealer,
    };
    const options = { password: PASSWORD, hostname: "db-1", username: "backup", cost: CHEAP_COST };
    const repository = await createRepository(context, options);
    for (let day = 1; day <= 5; day += 1) await save(repository, day);
    return await planForget(repository, QUESTION, WRITER);
  };

  test("an hour and a minute from ours stops everything", async () => {
    const plan = await withStoreAt("2026-03-04T06:07:07.000Z");
    expect(plan.stoppedBecause).toEqual(["our clock is 61 minutes behind the store's"]);
    expect(plan.forget).toEqual([]);
  });

  test("59 minutes from ours does not", async () => {
    expect((await withStoreAt("2026-03-04T04:07:07.000Z")).forget).toHaveLength(3);
  });
});

describe("records decide", () => {
  test("a hold keeps what it names, and whatever lies in its range", async () => {
    const { repository, ids } = await fiveDays();
    const range = {
      plan: "nightly",
      from: new Date("2026-02-02T00:00:00Z"),
      to: new Date("2026-02-03T00:00:00Z"),
    };
    await addHold(
      repository,
      { by: "ann", reason: "audit", snapshots: [ids[0] ?? ""], range },
      WRITER,
    );
    const plan = await planForget(repository, QUESTION, WRITER);
    expect(idsOf(plan.forget)).toEqual([ids[2]]);
    expect(plan.keep.at(-1)?.reasons).toEqual(["held by ann: audit"]);
  });

  test("a newest point that is suspect stops its plan until somebody accepts it", async () => {
    const { repository, ids } = await fiveDays();
    const snapshot = ids[4] ?? "";
    await saveProof(repository, { snapshot, state: "suspect", by: "guard" });
    const plan = await planForget(repository, QUESTION, WRITER);
    expect(plan.plans[0]?.stoppedBecause).toEqual([
      `its newest point ${snapshot.slice(0, 8)} is suspect`,
    ]);
    expect(plan.forget).toEqual([]);
    await acceptSuspect(repository, { snapshot, by: "ann", reason: "seen" });
    expect((await planForget(repository, QUESTION, WRITER)).forget).toHaveLength(3);
  });

  test("where a store has no room for them, nothing is asked there", async () => {
    const fixture = await fiveDays();
    const store: ObjectStore = {
      ...fixture.store,
      list: (prefix, options) => {
        if (prefix.startsWith("sparekeep/"))
          throw objectStoreError("denied", { message: "no such folder" });
        return fixture.store.list(prefix, options);
      },
    };
    const repository = await reopen(fixture, store);
    expect(
      (await planForget(repository, { ...QUESTION, records: false }, WRITER)).forget,
    ).toHaveLength(3);
    expect(await codeOf(() => planForget(repository, QUESTION, WRITER))).toBe("objectstore.denied");
  });
});

describe("rules without a policy", () => {
  const mixed = async () => {
    const fixture = await fiveDays();
    const theirs = [await save(fixture.repository, 6, []), await save(fixture.repository, 7, [])];
    return { ...fixture, theirs };
  };
  const question = (foreign: boolean): ForgetQuestion => ({
    ...QUESTION,
    plans: [],
    rest: { keep: { last: 1 }, foreign },
  });

  test("go for every plan that a snapshot names, and leave other tools' alone", async () => {
    const { repository, ids } = await mixed();
    const plan = await planForget(repository, question(false), WRITER);
    expect(idsOf(plan.forget)).toEqual(ids.slice(0, 4).reverse());
    expect(plan.keep.map(({ reasons }) => reasons)).toContainEqual(["of no plan"]);
  });

  test("unless they are asked for", async () => {
    const { repository, theirs } = await mixed();
    const plan = await planForget(repository, question(true), WRITER);
    expect(idsOf(plan.forget)).toContain(theirs[0]);
    expect(idsOf(plan.forget)).not.toContain(theirs[1]);
    expect(plan.plans.map(({ plan: name }) => name)).toEqual(["(db-1 /db)", "nightly"]);
  });
});

describe("the second look", () => {
  test("removes nothing where a hold came in between", async () => {
    const { repository, ids } = await fiveDays();
    const plan = await planForget(repository, QUESTION, WRITER);
    await addHold(repository, { by: "ann", reason: "audit", snapshots: [ids[1] ?? ""] }, WRITER);
    await expect(executeForget(repository, plan, WRITER)).rejects.toThrow(
      expect.objectContaining({
        code: "repository.forget_outdated",
        message: expect.stringContaining("held by ann: audit"),
      }),
    );
    expect(await snapshotsIn(repository)).toEqual(ids);
  });

  test("nor where a newer point is incomplete", async () => {
    const { repository } = await fiveDays();
    const plan = await planForget(repository, QUESTION, WRITER);
    await save(repository, 6, ["plan=nightly", "outcome=incomplete"]);
    expect(await codeOf(() => executeForget(repository, plan, WRITER))).toBe(
      "repository.forget_outdated",
    );
    expect(await snapshotsIn(repository)).toHaveLength(6);
  });

  test("goes on where a good point came, or another forgot some of it", async () => {
    const { repository, store, ids } = await fiveDays();
    const plan = await planForget(repository, QUESTION, WRITER);
    await save(repository, 6);
    await store.remove(`snapshots/${ids[0] ?? ""}`);
    expect(await executeForget(repository, plan, WRITER)).toMatchObject({ outcome: "complete" });
    expect(await snapshotsIn(repository)).toHaveLength(3);
  });

  test("waits for nobody: a writer at work is told", async () => {
    const { repository, ids } = await fiveDays();
    const plan = await planForget(repository, QUESTION, WRITER);
    await using _lock = await acquireLock(coreOf(repository), { exclusive: false, owner: WRITER });
    expect(await codeOf(() => executeForget(repository, plan, WRITER))).toBe("repository.locked");
    expect(await snapshotsIn(repository)).toEqual(ids);
  });
});

describe("interrupted", () => {
  const failing = (
    store: ObjectStore,
    after: number,
    code: "unavailable" | "denied",
  ): ObjectStore => {
    let removals = 0;
    return {
      ...store,
      remove: async (key, options) => {
        if (key.startsWith("snapshots/") && (removals += 1) > after) {
          throw objectStoreError(code, { message: `removal ${removals}` });
        }
        await store.remove(key, options);
      },
    };
  };

  test.for([[0], [1], [2]] as const)(
    "after %d removals, the repository is whole and the rest goes next time",
    async ([after]) => {
      const fixture = await fiveDays();
      const repository = await reopen(fixture, failing(fixture.store, after, "unavailable"));
      const plan = await planForget(repository, QUESTION, WRITER);
      const result = await executeForget(repository, plan, WRITER).catch(() => undefined);
      expect(result?.removed.length ?? 0).toBe(after);
      expect(result?.notRemoved.length ?? 3).toBe(3 - after);
      expect(result?.outcome ?? "incomplete").toBe("incomplete");
      expect(await findingsOf(fixture.repository)).toEqual([]);
      const rest = await planForget(fixture.repository, QUESTION, WRITER);
      expect(rest.forget).toHaveLength(3 - after);
      await executeForget(fixture.repository, rest, WRITER);
      expect(await snapshotsIn(fixture.repository)).toEqual(fixture.ids.slice(3));
    },
  );

  test("what may not be removed is named, each by itself", async () => {
    const fixture = await fiveDays();
    const repository = await reopen(fixture, failing(fixture.store, 0, "denied"));
    const plan = await planForget(repository, QUESTION, WRITER);
    expect(await executeForget(repository, plan, WRITER)).toEqual({
      outcome: "incomplete",
      removed: [],
      notRemoved: [1, 2, 3].map((n) => ({ id: fixture.ids[n - 1], reason: `removal ${n}` })),
    });
  });

  test("by Ctrl-C, it says what is gone and what is not", async () => {
    const fixture = await fiveDays();
    const stop = new AbortController();
    const store: ObjectStore = {
      ...fixture.store,
      remove: async (key, options) => {
        await fixture.store.remove(key, options);
        if (key.startsWith("snapshots/")) stop.abort();
      },
    };
    const repository = await reopen(fixture, store);
    const plan = await planForget(repository, QUESTION, WRITER);
    expect(await executeForget(repository, plan, WRITER, { signal: stop.signal })).toEqual({
      outcome: "incomplete",
      removed: [fixture.ids[0]],
      notRemoved: [1, 2].map((n) => ({ id: fixture.ids[n], reason: "cancelled" })),
    });
    expect(await keysOf(fixture.store, "locks/")).toEqual([]);
  });

  test("a lock that is lost ends it", async () => {
    const fixture = await fiveDays();
    const inner = fixture.store;
    const store: ObjectStore = {
      ...inner,
      remove: async (key, options) => {
        await inner.remove(key, options);
        if (!key.startsWith("snapshots/")) return;
        for (const lock of await keysOf(inner, "locks/")) await inner.remove(lock);
      },
    };
    const repository = await reopen(fixture, store);
    const plan = await planForget(repository, QUESTION, WRITER);
    const result = await executeForget(repository, plan, WRITER);
    expect(result.removed).toEqual([fixture.ids[0]]);
    expect(result.notRemoved.map(({ reason }) => reason)).toEqual(
      Array.from({ length: 2 }, () => "lock that was removed by someone else"),
    );
  });
});

test("what an Object Lock holds is asked of the store, and kept", async () => {
  const fixture = await fiveDays();
  const until = new Date("2026-04-01T00:00:00Z");
  const store: ObjectStore = {
    ...fixture.store,
    lock: {
      retentionOf: (key) =>
        Promise.resolve(
          key.endsWith(fixture.ids[1] ?? "") ? { mode: "compliance", until } : undefined,
        ),
      extend: () => Promise.reject(new Error("nobody extends here")),
    },
  };
  const repository = await reopen(fixture, store);
  const plan = await planForget(repository, QUESTION, WRITER);
  expect(idsOf(plan.forget)).toEqual([fixture.ids[2], fixture.ids[0]]);
  expect(plan.locked).toEqual([
    { id: fixture.ids[1], plan: "nightly", lockedUntil: until.toISOString() },
  ]);
});
