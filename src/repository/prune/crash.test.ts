import { describe, expect, test } from "vitest";
import { AppError } from "../../kernel/index.ts";
import type { MemoryStore, ObjectStore } from "../../objectstore/index.ts";
import { contentOf, keysOf, rows, WRITER } from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import {
  backUp,
  createSmall,
  DAY_MS,
  faultsOf,
  forget,
  openSmall,
  plan,
  prune,
} from "../testing/small-packs.ts";
import type { PruneOptions } from "../testing/small-packs.ts";
import type { Repository } from "../types.ts";
import { executePrune } from "./execute.ts";
import { planPrune } from "./plan.ts";

/** A prune cut before and after every one of its writes and removals: the repository is whole, and the next one ends. */

interface Cut {
  readonly at: string;
  readonly left: MemoryStore;
}

function recording(store: MemoryStore, cuts: Cut[]): ObjectStore {
  const around = async (at: string, work: () => Promise<void>): Promise<void> => {
    cuts.push({ at: `before ${at}`, left: store.fork() });
    await work();
    cuts.push({ at: `after ${at}`, left: store.fork() });
  };
  return {
    ...store,
    put: (key, body, options) => around(`put ${key}`, () => store.put(key, body, options)),
    remove: (key, options) => around(`remove ${key}`, () => store.remove(key, options)),
  };
}

const KEPT = { shared: rows(300, "shared"), new: rows(300, "new"), beside: rows(90, "beside") };

/** One snapshot that stays, what others left, of which packs are partly needed, and marked packs whose time has come. */
async function wornOut(): Promise<Fixture & { readonly kept: string }> {
  const fixture = await createSmall("crash");
  const { store, clock, repository } = fixture;
  const { shared, beside } = KEPT;
  const first = await backUp(fixture, { shared, old: rows(300, "old") });
  const second = await backUp(fixture, { shared });
  await forget(store, first);
  await prune(repository, { maxUnused: { bytes: 0 } });
  clock.advance(DAY_MS + 1000);
  const third = await backUp(fixture, { gone: rows(90, "gone"), beside, shared });
  const kept = await backUp(fixture, KEPT);
  await forget(store, second, third);
  return { ...fixture, kept };
}

async function faultsAfter(repository: Repository, kept: string): Promise<readonly string[]> {
  const faults = [...(await faultsOf(repository))];
  const snapshots = await repository.snapshots();
  if (snapshots.map(({ id }) => String(id)).join() !== kept) faults.push("not the one snapshot");
  const reader = await repository.acquireReader();
  for (const snapshot of snapshots) {
    for (const [name, content] of Object.entries(KEPT)) {
      const read = await contentOf(reader, await reader.find(snapshot, [name]));
      if (!Buffer.from(read).equals(content)) faults.push(`${name} differs`);
    }
  }
  return faults;
}

async function record(
  fixture: Fixture,
  options: PruneOptions,
  break_: (store: ObjectStore) => ObjectStore = (store) => store,
): Promise<readonly Cut[]> {
  const cuts: Cut[] = [];
  const repository = await openSmall(fixture, break_(recording(fixture.store.fork(), cuts)));
  // Of a process that has ended, so that the next one takes its locks for what they are.
  const owner = { ...WRITER, pid: 999_999_999 };
  await executePrune(repository, await planPrune(repository, { ...options, owner }), { owner });
  return cuts;
}

async function faultsOfCuts(
  fixture: Fixture & { readonly kept: string },
  cuts: readonly Cut[],
): Promise<readonly string[]> {
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const { at, left } of cuts) {
    const holds = (await keysOf(left, "")).join();
    if (seen.has(holds)) continue;
    seen.add(holds);
    const store = left.fork();
    const repository = await openSmall(fixture, store);
    const attempt = async (): Promise<readonly string[]> => {
      const now = await faultsAfter(repository, fixture.kept);
      if (now.length > 0) return now;
      await prune(repository, { graceMs: 0, maxUnused: { bytes: 0 } });
      const nothing = await plan(repository, { graceMs: 0, maxUnused: { bytes: 0 } });
      const left_ = nothing.unused.bytes + nothing.unreferenced.packs + nothing.remove.packs;
      return [
        ...(await faultsAfter(repository, fixture.kept)),
        ...(left_ === 0 ? [] : ["the next prune did not end it"]),
      ];
    };
    const found = await attempt().catch((thrown: unknown) => [
      thrown instanceof AppError ? `${thrown.code}: ${thrown.message}` : String(thrown),
    ]);
    faults.push(...found.map((fault) => `${at}: ${fault}`));
    if (faults.length > 0) break;
  }
  return faults;
}

describe("a prune cut at each of its writes", { timeout: 60_000 }, () => {
  test.for([
    ["in two phases", {}],
    ["at once", { graceMs: 0 }],
  ] as const)("%s leaves a whole repository, and the next one ends it", async ([, options]) => {
    const fixture = await wornOut();
    const cuts = await record(fixture, { ...options, maxUnused: { bytes: 0 } });
    const steps = cuts.map(({ at }) => at.split("/")[0] ?? "");
    // It did what it is to be cut at, in this order: I1 reversed.
    const order = [
      "after put data",
      "before put index",
      "before remove index",
      "before remove data",
    ];
    const places = order.map((step) => steps.indexOf(step));
    expect(places.every((place) => place >= 0)).toBe(true);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(await faultsOfCuts(fixture, cuts)).toEqual([]);
  });

  test("is seen to be broken where a store removes before it writes", async () => {
    const fixture = await wornOut();
    const cuts = await record(fixture, { graceMs: 0, maxUnused: { bytes: 0 } }, (store) => {
      const held: (() => Promise<void>)[] = [];
      return {
        ...store,
        // Acknowledged, and written only after the first removal of an old index.
        put: async (key, body, options) => {
          if (!key.startsWith("index/")) return await store.put(key, body, options);
          const copies = body.map((part) => Buffer.from(part));
          held.push(() => store.put(key, copies, options));
        },
        list: async function* (prefix, options) {
          if (prefix === "index/") for (const write of held.splice(0)) await write();
          yield* store.list(prefix, options);
        },
        remove: async (key, options) => {
          await store.remove(key, options);
          if (key.startsWith("index/")) for (const write of held.splice(0)) await write();
        },
      };
    });
    expect((await faultsOfCuts(fixture, cuts)).length).toBeGreaterThan(0);
  });
});
