import { describe, expect, test } from "vitest";
import { asOf, createMemoryStore, objectStoreError, withRetry } from "../../objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../objectstore/index.ts";
import { createRepository } from "../open.ts";
import { createInlineSealer } from "../sealer.ts";
import {
  CHEAP_COST,
  contentOf,
  createFakeClock,
  flipByte,
  keysOf,
  PASSWORD,
  reopen,
  rows,
  saveFiles,
  seededRandom,
} from "../testing/fixtures.ts";
import type { FakeClock, Fixture } from "../testing/fixtures.ts";
import type { Repository } from "../types.ts";
import { executeRecoverVersions } from "./execute.ts";
import { planRecoverVersions } from "./plan.ts";
import type { RecoverVersionsPlan } from "./plan.ts";

const HOUR_MS = 3_600_000;
const TABLE_ROWS = rows(400);

interface Attacked extends Fixture {
  /** Right before the intruder came. */
  readonly before: Date;
}

async function createVersioned(): Promise<Fixture> {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, versioned: true });
  const random = seededRandom("versioned");
  const context = { store, clock, random, createSealer: createInlineSealer, packBytes: 20_000 };
  const options = { password: PASSWORD, hostname: "db-1", username: "backup", cost: CHEAP_COST };
  return { store, clock, random, repository: await createRepository(context, options) };
}

/** An intruder with the writer's credentials: may put and remove, may not delete versions. */
async function attack(store: MemoryStore, clock: FakeClock): Promise<Date> {
  clock.advance(HOUR_MS);
  const before = clock.now();
  clock.advance(HOUR_MS);
  const keys = await keysOf(store, "");
  const [first, second] = keys.filter((key) => key.startsWith("data/"));
  for (const key of keys) {
    if (key === "config" || key === first) {
      const { sizeBytes = 0 } = (await store.stat(key)) ?? {};
      await store.put(key, [Buffer.alloc(sizeBytes, 7)]);
    } else if (key === second) await store.put(key, [Buffer.from("short")]);
    else await store.remove(key);
  }
  await store.put(`keys/${"ab".repeat(32)}`, [Buffer.from("a key of the intruder")]);
  await store.put("PAY-US.txt", [Buffer.from("one bitcoin")]);
  return before;
}

async function createAttacked(): Promise<Attacked> {
  const fixture = await createVersioned();
  const { store, clock, repository } = fixture;
  await saveFiles(repository, { "db/table": TABLE_ROWS, note: "hello" });
  clock.advance(HOUR_MS);
  await saveFiles(repository, { "db/table": TABLE_ROWS, note: "hello again" });
  return { ...fixture, before: await attack(store, clock) };
}

/** `planted`: what the intruder added is still there, and found. */
async function expectWhole(repository: Repository, planted = false): Promise<void> {
  const { findings } = await repository.check({ readData: true });
  const errors = findings.filter(({ severity }) => severity === "error");
  expect(errors.map(({ code }) => code)).toEqual(planted ? ["key_damaged"] : []);
  const snapshots = await repository.snapshots();
  expect(snapshots).toHaveLength(2);
  const reader = await repository.acquireReader();
  for (const snapshot of snapshots) {
    const table = await reader.find(snapshot, ["db", "table"]);
    expect(Buffer.compare(await contentOf(reader, table), TABLE_ROWS)).toBe(0);
  }
}

function plan(
  { store }: { readonly store: ObjectStore },
  moment: Date,
  removeAdded = false,
): Promise<RecoverVersionsPlan> {
  return planRecoverVersions(store, { moment, removeAdded });
}

describe("the repository as it was", () => {
  test("opens, checks clean and restores after everything was removed or overwritten", async () => {
    const fixture = await createAttacked();
    await expect(reopen(fixture, fixture.store)).rejects.toThrow("key");
    const past = await reopen(fixture, asOf(fixture.store, fixture.before));
    await expectWhole(past);
  });

  test("shows the snapshots of its moment", async () => {
    const fixture = await createVersioned();
    const { store, clock, repository } = fixture;
    const empty = clock.now();
    clock.advance(1);
    const first = await saveFiles(repository, { a: "a" });
    const one = clock.now();
    clock.advance(1);
    await saveFiles(repository, { a: "b" });
    const idsAt = async (moment: Date): Promise<string[]> => {
      const past = await reopen(fixture, asOf(store, moment));
      return (await past.snapshots()).map(({ id }) => id);
    };
    expect(await idsAt(empty)).toEqual([]);
    expect(await idsAt(one)).toEqual([first.id]);
    expect(await idsAt(clock.now())).toHaveLength(2);
  });

  test("is written to by nobody", async () => {
    const fixture = await createAttacked();
    const past = await reopen(fixture, asOf(fixture.store, fixture.before));
    await expect(saveFiles(past, { a: "a" })).rejects.toMatchObject({ code: "objectstore.denied" });
  });
});

describe("recovering versions", () => {
  test("puts back what was removed or overwritten, and nothing twice", async () => {
    const fixture = await createAttacked();
    const { store, before } = fixture;
    const planned = await plan(fixture, before);
    const wanted = await keysOf(asOf(store, before), "");
    expect(planned.putBack.map(({ key }) => key).toSorted()).toEqual(wanted);
    expect(planned.putBack.filter(({ reason }) => reason === "changed")).toHaveLength(3);
    expect(planned.added.map(({ key }) => key)).toEqual(["PAY-US.txt", `keys/${"ab".repeat(32)}`]);
    const result = await executeRecoverVersions(store, planned);
    expect(result).toMatchObject({ outcome: "complete", putBack: wanted.length, removed: 0 });
    expect(result.putBackBytes).toBe(planned.putBackBytes);
    await expectWhole(await reopen(fixture, store), true);
    expect(await store.stat("PAY-US.txt")).toBeDefined();
    expect((await plan(fixture, before)).putBack).toEqual([]);
  });

  test("removes what was added only when asked, and is carried out once", async () => {
    const fixture = await createAttacked();
    const { store, before } = fixture;
    const planned = await plan(fixture, before, true);
    expect(await executeRecoverVersions(store, planned)).toMatchObject({ removed: 2 });
    expect(await keysOf(store, "")).toEqual(await keysOf(asOf(store, before), ""));
    await expect(executeRecoverVersions(store, planned)).rejects.toMatchObject({
      code: "kernel.bug",
    });
  });

  test("leaves locks alone, and says that there are some", async () => {
    const fixture = await createAttacked();
    await fixture.store.put(`locks/${"cd".repeat(32)}`, [Buffer.from("lock")]);
    const planned = await plan(fixture, fixture.before, true);
    expect(planned.locks).toBe(1);
    const named = [...planned.putBack, ...planned.added].map(({ key }) => key);
    expect(named.filter((key) => key.startsWith("locks/"))).toEqual([]);
  });

  test("an untouched repository needs nothing; what came later is shown as added", async () => {
    const { store, clock, repository } = await createVersioned();
    await saveFiles(repository, { a: "a" });
    const moment = clock.now();
    expect(await plan({ store }, moment)).toMatchObject({ putBack: [], added: [], locks: 0 });
    clock.advance(1);
    await saveFiles(repository, { a: "b" });
    const { putBack, added } = await plan({ store }, moment);
    expect(putBack).toEqual([]);
    const classes = added.map((object) => object.class);
    expect(classes[0]).toBe("snapshots");
    expect(classes.at(-1)).toBe("packs");
  });

  test("interrupted at any object leaves no snapshot without its data, and goes on", async () => {
    const fixture = await createAttacked();
    const total = (await plan(fixture, fixture.before)).putBack.length;
    for (let cut = 0; cut < total; cut += 1) {
      const store = fixture.store.fork();
      let puts = 0;
      const failing: ObjectStore = {
        ...store,
        put: async (key, body, options) => {
          if (puts === cut) throw objectStoreError("unavailable", { message: "cut" });
          puts += 1;
          await store.put(key, body, options);
        },
      };
      const cutPlan = await plan({ store: failing }, fixture.before);
      await expect(executeRecoverVersions(failing, cutPlan)).rejects.toThrow("cut");
      const snapshots = await keysOf(store, "snapshots/");
      const rest = await plan({ store }, fixture.before);
      expect(rest.putBack).toHaveLength(total - cut);
      const missing = rest.putBack.filter((item) => item.class !== "snapshots");
      expect(snapshots.length === 0 || missing.length === 0).toBe(true);
      await executeRecoverVersions(store, rest);
      await expectWhole(await reopen(fixture, store), true);
    }
  });

  test("takes any whole version of a key, and names what has none", async () => {
    const fixture = await createVersioned();
    const { store, clock, repository } = fixture;
    await saveFiles(repository, { "db/table": TABLE_ROWS, note: "hello" });
    await saveFiles(repository, { "db/table": TABLE_ROWS, note: "hello again" });
    // Spoiled before the moment: the newest version of then is garbage, a whole one lies below it.
    const [spoiled = "", lost = ""] = await keysOf(store, "data/");
    const bytes = Buffer.from(await store.get(spoiled));
    await store.put(spoiled, [flipByte(3)(Buffer.from(bytes))]);
    const [only] = (await Array.fromAsync(store.versions?.list("data/") ?? [])).filter(
      ({ key }) => key === lost,
    );
    await store.deleteVersion(lost, only?.version ?? "");
    await store.put(lost, [Buffer.from("garbage")]);
    const before = await attack(store, clock);
    const result = await executeRecoverVersions(store, await plan(fixture, before));
    expect(result.outcome).toBe("incomplete");
    expect(result.issues).toEqual([
      { key: lost, message: `${lost} of which no whole version is left` },
    ]);
    expect(Buffer.compare(await store.get(spoiled), bytes)).toBe(0);
  });

  test("reads back what it put", async () => {
    const fixture = await createAttacked();
    const lying: ObjectStore = {
      ...fixture.store,
      put: (key, body, options) =>
        fixture.store.put(key, [flipByte(0)(Buffer.concat(body))], options),
    };
    const planned = await plan({ store: lying }, fixture.before);
    await expect(executeRecoverVersions(lying, planned)).rejects.toMatchObject({
      code: "repository.put_back_differs",
    });
  });

  test("refuses a moment at which there was no repository, and a store without versions", async () => {
    const fixture = await createAttacked();
    const early = new Date("2020-01-01T00:00:00Z");
    await expect(plan(fixture, early)).rejects.toMatchObject({ code: "repository.not_found" });
    const plain = createMemoryStore({ clock: fixture.clock });
    await expect(plan({ store: plain }, early)).rejects.toMatchObject({
      code: "objectstore.no_versions",
    });
  });

  test("refuses a store whose versioning is suspended", async () => {
    const fixture = await createAttacked();
    const { versions } = fixture.store;
    if (versions === undefined) throw new Error("no versions");
    const suspended: ObjectStore = { ...fixture.store, versions: { ...versions, suspended: true } };
    const { clock, random } = fixture;
    const waits = { deadlineMs: 1, firstDelayMs: 1, maxDelayMs: 1 };
    const store = withRetry(suspended, { clock, random, ...waits });
    await expect(plan({ store }, fixture.before)).rejects.toMatchObject({
      code: "repository.versions_suspended",
    });
    // Looking at what was is harmless.
    expect(await keysOf(asOf(store, fixture.before), "keys/")).toHaveLength(1);
  });
});
