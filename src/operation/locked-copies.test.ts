import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { createMemoryStore, objectStoreError } from "../objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../objectstore/index.ts";
import { destinationNamed, parsePolicy } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { lockedUntil, proofsOf } from "../repository/index.ts";
import type { Repository } from "../repository/index.ts";
import { checkRepository } from "./check.ts";
import type { OperationContext } from "./context.ts";
import { countCopies } from "./copies.ts";
import { planCopies } from "./copy.ts";
import { init } from "./init.ts";
import { openDestination } from "./open.ts";
import { planRepositoryPrune } from "./prune.ts";
import { provePoint } from "./prove.ts";
import { planRekey } from "./rekey.ts";
import { planSnapshotRewrite } from "./rewrite.ts";
import { testContext } from "./testing/context.ts";

const DAY_MS = 86_400_000;
/** Of the stores: years behind ours, as no lock may be reckoned by ours. */
const STORE_START = new Date("2019-05-01T00:00:00Z");

const TEXT = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  main: { url: ./main, password: { file: ./main.key }, copies: [far] }
  far: { url: ./far, password: { file: ./far.key } }
  fresh: { url: ./fresh, password: { file: ./fresh.key } }
plans: { full: { source: db, capture: everything, to: main } }
`;

let folder: string;
let context: OperationContext;
let stores: Map<string, MemoryStore>;
let changed: Map<string, (store: ObjectStore) => ObjectStore>;

/** The policy, with a lock of 30 days wherever it is asked. */
function policyOf(...locked: readonly string[]): Policy {
  const { destinations, ...rest } = parsePolicy({ text: TEXT, file: "p.yaml", directory: folder });
  const days = { years: 0, months: 0, days: 30, hours: 0, minutes: 0, seconds: 0 };
  const lock = { mode: "compliance", for: days } as const;
  const entries = Object.entries(destinations).map(([name, destination]) => [
    name,
    locked.includes(name) ? { ...destination, lock } : destination,
  ]);
  return { ...rest, destinations: Object.fromEntries(entries) };
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-locked-"));
  stores = new Map();
  changed = new Map();
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  const storeClock = { now: () => STORE_START };
  context = testContext({
    stateDirectory: join(folder, "state"),
    clock,
    storeAt: (location) => {
      const name = location.slice(location.lastIndexOf("/") + 1);
      const known = stores.get(name) ?? createMemoryStore({ clock: storeClock, objectLock: true });
      stores.set(name, known);
      return changed.get(name)?.(known) ?? known;
    },
  });
  const policy = policyOf();
  await init(context, { policy, generatePassword: true, destinations: ["main", "far"] });
  const fresh = "vast orbit 93 quilt, none of the others\n";
  await writeFile(join(folder, "fresh.key"), fresh, { mode: 0o600 });
});
afterEach(() => rm(folder, { recursive: true }));

async function* content(text: string): AsyncIterable<Bytes> {
  yield Buffer.from(text);
}

function open(name: string): Promise<Repository> {
  return openDestination(context, destinationNamed(policyOf(), name));
}

async function save(day: number): Promise<string> {
  const repository = await open("main");
  const { hostname, actor: username, pid } = context;
  await using writer = await repository.acquireWriter({ hostname, username, pid });
  const metadata = { kind: "file", modifiedAt: new Date(0) } as const;
  await writer.saveFile(["letters", "jane"], content("dear jane"), metadata);
  await writer.saveFile(["day"], content(`day ${day}`), metadata);
  const time = new Date(Date.UTC(2026, 10, day));
  return (await writer.commit({ time, paths: ["/"], tags: ["plan=full", "source=db"] })).id;
}

/** Days that each snapshot is held with all that it needs, as read back. */
async function heldDays(name: string): Promise<readonly (number | undefined)[]> {
  const repository = await open(name);
  const days: (number | undefined)[] = [];
  for (const snapshot of await repository.snapshots()) {
    const held = await lockedUntil(repository, snapshot);
    days.push(
      held === undefined
        ? undefined
        : Math.floor((held.until.getTime() - STORE_START.getTime()) / DAY_MS),
    );
  }
  return days;
}

describe("where the policy locks", () => {
  test("a copy holds each point with all that it needs, by the store's clock", async () => {
    await save(1);
    await save(2);
    const result = await (await planCopies(context, { policy: policyOf("far") })).execute();
    const { lockedUntil: until = "" } = result.copies[0] ?? {};
    expect(new Date(until).getTime() - STORE_START.getTime()).toBeGreaterThanOrEqual(30 * DAY_MS);
    expect(await heldDays("far")).toEqual([30, 30]);
    expect(await heldDays("main")).toEqual([undefined, undefined]);
  });

  test("a copy also holds points that came before the policy said so", async () => {
    await save(1);
    await (await planCopies(context, { policy: policyOf() })).execute();
    expect(await heldDays("far")).toEqual([undefined]);
    await save(2);
    await (await planCopies(context, { policy: policyOf("far") })).execute();
    expect(await heldDays("far")).toEqual([30, 30]);
  });

  test("a copy into a store without Object Lock is refused before anything is copied", async () => {
    await save(1);
    changed.set("far", ({ lock: _lock, ...store }) => store);
    const planned = await planCopies(context, { policy: policyOf("far") });
    await expect(planned.execute()).rejects.toMatchObject({
      code: "repository.object_lock_missing",
    });
    expect(await heldPoints("far")).toBe(0);
  });

  test("a copy whose snapshot cannot be locked leaves none that looks held", async () => {
    await save(1);
    changed.set("far", (store) => refusing(store));
    const planned = await planCopies(context, { policy: policyOf("far") });
    await expect(planned.execute()).rejects.toMatchObject({ code: "objectstore.denied" });
    expect(await heldPoints("far")).toBe(0);
  });

  test("a rekey and a rewrite do as a copy does", async () => {
    const old = await save(1);
    const moved = await planRekey(context, {
      policy: policyOf("fresh"),
      destination: "main",
      to: "fresh",
      readData: false,
    });
    expect(await moved.execute()).toMatchObject({ outcome: "complete" });
    expect(await heldDays("fresh")).toEqual([30]);
    const rewrite = await planSnapshotRewrite(context, {
      policy: policyOf("main"),
      destination: "main",
      snapshots: "all",
      without: ["letters/jane"],
      reason: "case 7",
      forget: false,
    });
    const { rewritten, lockedUntil: until } = await rewrite.execute();
    expect(rewritten).toMatchObject([{ from: old }]);
    expect(until).toBeDefined();
    expect((await heldDays("main")).toSorted()).toEqual([30, undefined]);
  });
});

describe("copies are counted", () => {
  test("with what each store holds, what is proven, and what the last check found", async () => {
    await save(1);
    const policy = policyOf("far");
    await (await planCopies(context, { policy })).execute();
    const before = await countCopies(context, { policy, check: false });
    expect(before[0]?.newest).toMatchObject({
      copies: { facts: ["main holds it, stored", "far holds it, stored"] },
      errors: {
        met: "unknown",
        unknown: ["main was not checked: add --check", "far was not checked: add --check"],
      },
    });
    for (const destination of ["main", "far"]) {
      await checkRepository(context, { policy, destination, readData: destination === "main" });
    }
    const [full] = await countCopies(context, { policy, check: false });
    expect(full?.newest).toMatchObject({
      copies: { facts: ["main holds it, verified", "far holds it, stored"] },
      errors: { met: "yes", count: 0 },
    });
    // The stores are years behind: by our clock the lock has ended, and counts as none.
    expect(full?.newest?.immutable).toMatchObject({ met: "no", unknown: [] });
  });

  test("a lock of which the store does not tell is unknown", async () => {
    await save(1);
    const policy = policyOf("far");
    await (await planCopies(context, { policy })).execute();
    changed.set("far", (store) => ({
      ...store,
      lock: {
        extend: () => Promise.resolve(),
        retentionOf: () => Promise.reject(objectStoreError("denied", { message: "no" })),
      },
    }));
    const [full] = await countCopies(context, { policy, check: false });
    expect(full?.newest?.immutable).toMatchObject({
      met: "unknown",
      unknown: ["far: whether it is locked"],
    });
  });
});

describe("how a store was reached", () => {
  const seen = { tls: ["TLSv1.2", "TLSv1.3"], plain: true };

  test("is told by every run, and of a folder nothing is", async () => {
    await save(1);
    changed.set("far", (store) => ({ ...store, connection: () => seen }));
    const policy = policyOf();
    const { copies } = await (await planCopies(context, { policy })).execute();
    expect(copies[0]?.connection).toEqual(seen);
    expect(copies[0]).not.toHaveProperty("sourceConnection");
    const far = { policy, destination: "far" };
    expect(await checkRepository(context, { ...far, readData: true })).toMatchObject({
      connection: seen,
    });
    await using planned = await planRepositoryPrune(context, far);
    expect(await planned.execute()).toMatchObject({ connection: seen });
    const main = { policy, destination: "main", readData: false };
    expect(await checkRepository(context, main)).not.toHaveProperty("connection");
  });

  test("stays in the record of what was proven", async () => {
    await save(1);
    changed.set("main", (store) => ({ ...store, connection: () => seen }));
    const main = { policy: policyOf(), destination: "main", readData: true };
    const [point = ""] = (await checkRepository(context, main)).verified;
    expect((await proofsOf(await open("main"))).get(point)?.details).toEqual({
      how: "check --read-data",
      tls: "TLSv1.2 TLSv1.3",
      plain: "to loopback",
    });
    await save(2);
    const repository = await open("main");
    const snapshot = (await repository.snapshots()).at(-1)?.id ?? "";
    const read = { files: 2, sizeBytes: 9 };
    await provePoint(context, { repository, snapshot, records: true }, () => Promise.resolve(read));
    expect((await proofsOf(repository)).get(snapshot)?.details).toEqual({
      how: "read back",
      ...read,
      tls: "TLSv1.2 TLSv1.3",
      plain: "to loopback",
    });
  });
});

async function heldPoints(name: string): Promise<number> {
  return (await (await open(name)).snapshots()).length;
}

function refusing(store: ObjectStore): ObjectStore {
  const { lock } = store;
  if (lock === undefined) throw new Error("store without locks");
  return {
    ...store,
    lock: {
      ...lock,
      extend: async (key, retention, options) => {
        if (key.startsWith("snapshots/")) throw objectStoreError("denied", { message: "no" });
        await lock.extend(key, retention, options);
      },
    },
  };
}
