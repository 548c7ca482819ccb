import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../objectstore/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { objectStoreError } from "../../objectstore/index.ts";
import { createFakeClock, keysOf, testCore } from "../testing/fixtures.ts";
import { saveUnpacked } from "../unpacked.ts";
import { formatLock, parseLock } from "./lock-file.ts";
import { acquireLock } from "./lock.ts";

const owner = { hostname: "db-1", username: "backup", pid: process.pid };
const other = { hostname: "db-2", username: "backup", pid: 42 };
const MINUTE = 60_000;

type Core = ReturnType<typeof testCore>;

async function plant(core: Core, lock: Partial<Parameters<typeof formatLock>[0]>): Promise<string> {
  const file = formatLock({ time: core.clock.now(), exclusive: false, ...other, ...lock });
  return (await saveUnpacked(core, "lock", file)).id;
}

const shared = { exclusive: false, owner } as const;
const exclusive = { exclusive: true, owner } as const;

describe("a lock", () => {
  test("is a file while it is held and gone afterwards", async () => {
    const core = testCore();
    {
      await using lock = await acquireLock(core, shared);
      expect(await keysOf(core.store, "locks/")).toHaveLength(1);
      await lock.requireHeld();
    }
    expect(await keysOf(core.store, "locks/")).toEqual([]);
  });

  test("shared lets others share", async () => {
    const core = testCore();
    await using one = await acquireLock(core, shared);
    await using two = await acquireLock(core, shared);
    await one.requireHeld();
    await two.requireHeld();
    expect(await keysOf(core.store, "locks/")).toHaveLength(2);
  });

  test.for([
    ["shared", "exclusive"],
    ["exclusive", "shared"],
    ["exclusive", "exclusive"],
  ] as const)("%s is refused beside another that is %s", async ([ours, theirs]) => {
    const core = testCore();
    const planted = await plant(core, { exclusive: theirs === "exclusive" });
    await expect(acquireLock(core, ours === "shared" ? shared : exclusive)).rejects.toThrow(
      expect.objectContaining({
        code: "repository.locked",
        kind: "locked",
        message: expect.stringContaining("process 42 on db-2 since 2026-03-04T05:06:07.000Z"),
      }),
    );
    expect(await keysOf(core.store, "locks/")).toEqual([`locks/${planted}`]);
  });

  test("that appears between the two looks is seen", async () => {
    const core = testCore();
    const clock = {
      ...core.clock,
      sleep: async () => {
        await plant(core, { exclusive: true });
      },
    };
    await expect(acquireLock({ ...core, clock }, shared)).rejects.toThrow(
      expect.objectContaining({ code: "repository.locked" }),
    );
    expect(await keysOf(core.store, "locks/")).toHaveLength(1);
  });
});

describe("a lock that is stale", () => {
  test("by the store's clock is removed, whatever our own clock says", async () => {
    const storeClock = createFakeClock();
    const core = testCore(createMemoryStore({ clock: storeClock }));
    await plant(core, { exclusive: true });
    storeClock.advance(31 * MINUTE);
    await using lock = await acquireLock(core, shared);
    await lock.requireHeld();
    expect(await keysOf(core.store, "locks/")).toHaveLength(1);
  });

  test("at a store that does not tell ages, by its clock against the time in the lock", async () => {
    const storeClock = createFakeClock();
    const inner = createMemoryStore({ clock: storeClock });
    // As rest: is to a process that just started: everything was seen first now.
    const list: ObjectStore["list"] = async function* (prefix, wait) {
      for await (const found of inner.list(prefix, wait)) {
        yield { ...found, modifiedAt: storeClock.now(), seenOnly: true };
      }
    };
    const core = { ...testCore(), store: { ...inner, list } };
    await plant(core, {
      exclusive: true,
      time: new Date(storeClock.now().getTime() - 29 * MINUTE),
    });
    core.clock.advance(24 * 60 * MINUTE);
    await expect(acquireLock(core, shared)).rejects.toThrow(
      expect.objectContaining({ code: "repository.locked" }),
    );
    storeClock.advance(2 * MINUTE);
    await using lock = await acquireLock(core, shared);
    await lock.requireHeld();
    expect(await keysOf(inner, "locks/")).toHaveLength(1);
  });

  test("by our clock alone is not", async () => {
    const core = testCore(createMemoryStore({ clock: createFakeClock() }));
    await plant(core, { exclusive: true });
    core.clock.advance(24 * 60 * MINUTE);
    await expect(acquireLock(core, shared)).rejects.toThrow(
      expect.objectContaining({ code: "repository.locked" }),
    );
  });

  test("is not judged by our clock where our own file is gone: then nothing is held", async () => {
    const inner = createMemoryStore({ clock: createFakeClock() });
    const core = testCore(inner);
    const planted = await plant(core, { exclusive: true });
    core.clock.advance(24 * 60 * MINUTE);
    // Somebody who takes us for stale removes ours as soon as it is there.
    const store: ObjectStore = {
      ...inner,
      put: async (key, body, options) => {
        await inner.put(key, body, options);
        await inner.remove(key);
      },
    };
    await expect(acquireLock({ ...core, store }, shared)).rejects.toThrow(
      expect.objectContaining({ code: "repository.lock_lost" }),
    );
    expect(await keysOf(inner, "locks/")).toEqual([`locks/${planted}`]);
  });

  test("because its process on this host is dead is removed; on another host it is not", async () => {
    const core = testCore();
    // Linux numbers processes up to 4194304.
    await plant(core, { exclusive: true, hostname: owner.hostname, pid: 2_000_000_000 });
    await using lock = await acquireLock(core, shared);
    expect(await keysOf(core.store, "locks/")).toHaveLength(1);
    await lock.requireHeld();
    await plant(core, { exclusive: true, hostname: "elsewhere", pid: 2_000_000_000 });
    await expect(acquireLock(core, shared)).rejects.toThrow(/elsewhere/);
  });

  test("of a process that lives on this host is respected", async () => {
    const core = testCore();
    await plant(core, { exclusive: true, hostname: owner.hostname, pid: process.pid });
    await expect(acquireLock(core, shared)).rejects.toThrow(
      expect.objectContaining({ code: "repository.locked" }),
    );
  });

  test("and may not be removed by these credentials excludes nobody", async () => {
    const inner = createMemoryStore({ clock: createFakeClock() });
    const core = testCore(inner);
    const planted = await plant(core, {
      exclusive: true,
      hostname: owner.hostname,
      pid: 2_000_000_000,
    });
    const denying: ObjectStore = {
      ...inner,
      remove: async (key) => {
        if (key === `locks/${planted}`) throw objectStoreError("denied", { message: "removal" });
        await inner.remove(key);
      },
    };
    await using lock = await acquireLock({ ...core, store: denying }, shared);
    await lock.requireHeld();
    expect(await keysOf(inner, "locks/")).toHaveLength(2);
  });

  test("or empty, as an interrupted upload leaves it, is passed over", async () => {
    const core = testCore();
    await core.store.put(`locks/${"ab".repeat(32)}`, []);
    await using lock = await acquireLock(core, exclusive);
    await lock.requireHeld();
    expect(await keysOf(core.store, "locks/")).toHaveLength(2);
  });
});

test("a lock that cannot be read stops everyone: its owner may be at work", async () => {
  const core = testCore();
  await core.store.put(`locks/${"ab".repeat(32)}`, [Buffer.from("garbage")]);
  await expect(acquireLock(core, shared)).rejects.toThrow(
    expect.objectContaining({ code: "repository.lock_damaged" }),
  );
  expect(await keysOf(core.store, "locks/")).toHaveLength(1);
});

describe("a lock that is held long", () => {
  test("is written anew every five minutes, the new one before the old one goes", async () => {
    const core = testCore();
    const events: string[] = [];
    const inner = core.store;
    const store: ObjectStore = {
      ...inner,
      put: async (key, body, options) => {
        events.push("put");
        await inner.put(key, body, options);
      },
      remove: async (key) => {
        events.push("remove");
        await inner.remove(key);
      },
    };
    const watched = { ...core, store };
    await using lock = await acquireLock(watched, shared);
    const [first] = await keysOf(inner, "locks/");
    core.clock.advance(5 * MINUTE);
    await lock.requireHeld();
    expect(events).toEqual(["put", "put", "remove"]);
    expect(await keysOf(inner, "locks/")).not.toEqual([first]);
    expect(await keysOf(inner, "locks/")).toHaveLength(1);
  });

  test("and cannot be written anew for 25 minutes is given up before others call it stale", async () => {
    const core = testCore();
    let failing = false;
    const inner = core.store;
    const store: ObjectStore = {
      ...inner,
      put: async (key, body, options) => {
        if (failing) throw objectStoreError("unavailable", { message: "store that is away" });
        await inner.put(key, body, options);
      },
    };
    await using lock = await acquireLock({ ...core, store }, shared);
    failing = true;
    core.clock.advance(24 * MINUTE);
    expect(lock.signal.aborted).toBe(false);
    core.clock.advance(2 * MINUTE);
    expect(lock.signal.aborted).toBe(true);
    expect(lock.signal.reason).toHaveProperty("code", "repository.lock_lost");
    await expect(lock.requireHeld()).rejects.toThrow(
      expect.objectContaining({ code: "repository.lock_lost" }),
    );
  });

  test("recovers when the store comes back in time", async () => {
    const core = testCore();
    let failing = true;
    const inner = core.store;
    const store: ObjectStore = {
      ...inner,
      put: async (key, body, options) => {
        if (failing && key.startsWith("locks/") && core.clock.monotonicMs() > startedAtMs) {
          throw objectStoreError("unavailable", { message: "store that is away" });
        }
        await inner.put(key, body, options);
      },
    };
    const startedAtMs = core.clock.monotonicMs();
    await using lock = await acquireLock({ ...core, store }, shared);
    for (let minute = 0; minute < 20; minute += 1) {
      core.clock.advance(MINUTE);
      await lock.requireHeld();
    }
    failing = false;
    for (let minute = 0; minute < 20; minute += 1) {
      core.clock.advance(MINUTE);
      await lock.requireHeld();
    }
    expect(lock.signal.aborted).toBe(false);
  });

  test("ages by the longer of two clocks: one may be set back, the other stand still", async () => {
    for (const stopped of ["now", "monotonicMs"] as const) {
      const core = testCore();
      const [startedAt, startedAtMs] = [core.clock.now(), core.clock.monotonicMs()];
      const clock = {
        ...core.clock,
        ...(stopped === "now" ? { now: () => startedAt } : { monotonicMs: () => startedAtMs }),
      };
      await using lock = await acquireLock({ ...core, clock }, shared);
      const [first] = await keysOf(core.store, "locks/");
      core.clock.advance(5 * MINUTE);
      await lock.requireHeld();
      expect(await keysOf(core.store, "locks/")).not.toEqual([first]);
      const away = { ...core.store, put: () => Promise.reject(new Error("away")) };
      await using other = await acquireLock({ ...core, clock }, shared);
      Object.assign(core.store, away);
      core.clock.advance(26 * MINUTE);
      expect([lock.signal.aborted, other.signal.aborted]).toEqual([true, true]);
    }
  });

  test("is not taken for lost when it is written anew while it is looked for", async () => {
    const core = testCore();
    const inner = core.store;
    let looks = 0;
    const store: ObjectStore = {
      ...inner,
      stat: async (key, options) => {
        looks += 1;
        if (looks === 1) {
          core.clock.advance(5 * MINUTE);
          for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
        }
        return await inner.stat(key, options);
      },
    };
    await using lock = await acquireLock({ ...core, store }, shared);
    await lock.requireHeld();
    // The refresh itself looks once, for the file before.
    expect(looks).toBe(3);
  });

  test("leaves none of its files behind when a removal failed in between", async () => {
    const core = testCore();
    const inner = core.store;
    let failing = true;
    const store: ObjectStore = {
      ...inner,
      remove: async (key) => {
        if (failing) throw objectStoreError("unavailable", { message: "store that is away" });
        await inner.remove(key);
      },
    };
    {
      await using lock = await acquireLock({ ...core, store }, shared);
      core.clock.advance(5 * MINUTE);
      await lock.requireHeld();
      expect(await keysOf(inner, "locks/")).toHaveLength(2);
      failing = false;
    }
    expect(await keysOf(inner, "locks/")).toEqual([]);
  });

  test("and cannot be removed at the end is no failure of what was done under it", async () => {
    const core = testCore();
    const store: ObjectStore = {
      ...core.store,
      remove: () => Promise.reject(objectStoreError("denied", { message: "removal" })),
    };
    {
      await using lock = await acquireLock({ ...core, store }, shared);
      await lock.requireHeld();
    }
    expect(await keysOf(core.store, "locks/")).toHaveLength(1);
    await plant(core, { exclusive: true });
    await expect(acquireLock({ ...core, store }, shared)).rejects.toThrow(
      expect.objectContaining({ code: "repository.locked" }),
    );
  });

  test("and that someone removed is lost, also where it would be written anew afterwards", async () => {
    const core = testCore();
    await using lock = await acquireLock(core, shared);
    for (const key of await keysOf(core.store, "locks/")) await core.store.remove(key);
    core.clock.advance(5 * MINUTE);
    await expect(lock.requireHeld()).rejects.toThrow(
      expect.objectContaining({ code: "repository.lock_lost" }),
    );
    expect(lock.signal.aborted).toBe(true);
    await expect(lock.storeTime()).rejects.toThrow(
      expect.objectContaining({ code: "repository.lock_lost" }),
    );
    // Whoever removed it may be the only one by now: nothing of ours stands in the way.
    expect(await keysOf(core.store, "locks/")).toEqual([]);
  });

  test("and that someone removed is lost when the store is asked for its time", async () => {
    const core = testCore();
    await using lock = await acquireLock(core, shared);
    for (const key of await keysOf(core.store, "locks/")) await core.store.remove(key);
    await expect(lock.storeTime()).rejects.toThrow(
      expect.objectContaining({ code: "repository.lock_lost" }),
    );
  });

  test("and that someone removed is lost", async () => {
    const core = testCore();
    await using lock = await acquireLock(core, shared);
    for (const key of await keysOf(core.store, "locks/")) await core.store.remove(key);
    await expect(lock.requireHeld()).rejects.toThrow(
      expect.objectContaining({ code: "repository.lock_lost" }),
    );
  });
});

test("an abort before or while waiting leaves no lock behind", async () => {
  const core = testCore();
  const controller = new AbortController();
  const clock = {
    ...core.clock,
    sleep: async (_ms: number, signal?: AbortSignal) => {
      controller.abort();
      signal?.throwIfAborted();
      await Promise.resolve();
    },
  };
  const options = { ...shared, signal: controller.signal };
  await expect(acquireLock({ ...core, clock }, options)).rejects.toThrow("aborted");
  await expect(acquireLock(core, options)).rejects.toThrow(
    expect.objectContaining({ code: "kernel.cancelled" }),
  );
  expect(await keysOf(core.store, "locks/")).toEqual([]);
});

describe("lock files", () => {
  test("are read back as written, and have restic's fields", () => {
    const lock = { time: new Date("2026-01-02T03:04:05Z"), exclusive: true, ...other };
    const json = formatLock(lock);
    expect(parseLock(json)).toEqual(lock);
    const fields = ["time", "exclusive", "hostname", "username", "pid"];
    expect(Object.keys(JSON.parse(json.toString()))).toEqual(fields);
  });

  test("that are garbage are none", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        expect(parseLock(Buffer.from(text))).toBeUndefined();
      }),
    );
  });
});
