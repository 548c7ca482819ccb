import * as fc from "fast-check";
import { expect, test } from "vitest";
import { AppError } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { contentOf, rows, streamOf, TABLE, WRITER } from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { createSmall, faultsOf, HOUR_MS, openSmall, plan } from "../testing/small-packs.ts";
import type { SnapshotWriter, Repository } from "../types.ts";
import { executePrune } from "./execute.ts";
import type { PrunePlan } from "./types.ts";

/**
 * Writers, forgets and prunes in any order and at the same time: every snapshot whose commit was acknowledged, and that
 * nobody forgot, is whole. The store answers in an order that is drawn.
 */

const POOL: readonly Bytes[] = ["a", "b", "c", "d", "e"].map((seed, i) => rows(120 + i * 40, seed));

interface World {
  readonly fixture: Fixture;
  readonly repository: Repository;
  readonly committed: Map<string, readonly number[]>;
  readonly open: { writer: SnapshotWriter; files: readonly number[] }[];
  plans: PrunePlan[];
  executed: number;
  refused: number;
}

type Step =
  | { readonly do: "backup"; readonly files: readonly number[] }
  | { readonly do: "begin"; readonly files: readonly number[] }
  | { readonly do: "commit" }
  | { readonly do: "forget"; readonly which: number }
  | { readonly do: "plan"; readonly graceHours: number }
  | { readonly do: "execute" }
  | { readonly do: "prune"; readonly graceHours: number }
  | { readonly do: "wait"; readonly hours: number };

const files = fc.array(fc.nat(POOL.length - 1), { minLength: 1, maxLength: 3 });
const graceHours = fc.constantFrom(0, 24);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("backup" as const), files }),
  fc.record({ do: fc.constant("begin" as const), files }),
  fc.record({ do: fc.constant("commit" as const) }),
  fc.record({ do: fc.constant("forget" as const), which: fc.nat(10) }),
  fc.record({ do: fc.constant("forget" as const), which: fc.nat(10) }),
  fc.record({ do: fc.constant("plan" as const), graceHours }),
  fc.record({ do: fc.constant("execute" as const) }),
  fc.record({ do: fc.constant("prune" as const), graceHours }),
  fc.record({ do: fc.constant("prune" as const), graceHours }),
  fc.record({ do: fc.constant("wait" as const), hours: fc.integer({ min: 1, max: 40 }) }),
);

/** Each answer takes as many turns as the dice say. */
function drawnOrder(store: ObjectStore, dice: readonly number[]): ObjectStore {
  let at = 0;
  const turns = async (): Promise<void> => {
    const count = dice[at++ % dice.length] ?? 0;
    for (let turn = 0; turn < count; turn += 1)
      await new Promise((resolve) => setImmediate(resolve));
  };
  const late = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    await turns();
    const result = await work();
    await turns();
    return result;
  };
  return {
    ...store,
    put: (key, body, options) => late(() => store.put(key, body, options)),
    get: (key, options) => late(() => store.get(key, options)),
    getRange: (key, range, options) => late(() => store.getRange(key, range, options)),
    stat: (key, options) => late(() => store.stat(key, options)),
    remove: (key, options) => late(() => store.remove(key, options)),
    list: async function* (prefix, options) {
      await turns();
      // As a listing of a page: what was there when it was asked for.
      yield* await Array.fromAsync(store.list(prefix, options));
    },
  };
}

async function begin(world: World, chosen: readonly number[]): Promise<void> {
  const writer = await world.repository.acquireWriter(WRITER);
  for (const [at, number] of chosen.entries()) {
    await writer.saveFile([`file ${at}`], streamOf(POOL[number] ?? Buffer.alloc(0)), TABLE);
  }
  world.open.push({ writer, files: chosen });
}

async function commit(world: World): Promise<void> {
  const next = world.open.shift();
  if (next === undefined) return;
  await using writer = next.writer;
  const time = world.fixture.clock.now();
  const { id } = await writer.commit({ time, paths: ["/model"], tags: [] });
  world.committed.set(id, next.files);
}

async function execute(world: World, planned: PrunePlan | undefined): Promise<void> {
  if (planned === undefined) return;
  await executePrune(world.repository, planned, { owner: WRITER });
  world.executed += 1;
}

async function take(world: World, taken: Step): Promise<void> {
  switch (taken.do) {
    case "backup":
      await begin(world, taken.files);
      return await commit(world);
    case "begin":
      return await begin(world, taken.files);
    case "commit":
      return await commit(world);
    case "forget": {
      const id = [...world.committed.keys()][taken.which];
      if (id === undefined) return;
      // From here on nobody counts on it.
      world.committed.delete(id);
      return await world.fixture.store.remove(`snapshots/${id}`);
    }
    case "plan":
      world.plans.push(await plan(world.repository, pruneOptions(taken.graceHours)));
      return;
    case "execute":
      return await execute(world, world.plans.shift());
    case "prune":
      return await execute(world, await plan(world.repository, pruneOptions(taken.graceHours)));
    case "wait":
      world.fixture.clock.advance(taken.hours * HOUR_MS);
  }
}

function pruneOptions(hours: number) {
  return { graceMs: hours * HOUR_MS, maxUnused: { bytes: 0 } };
}

/** What others' locks, or another prune, make fail; anything else is a fault. */
const EXPECTED = new Set([
  "repository.locked",
  "repository.lock_lost",
  "repository.prune_plan_stale",
  "repository.prune_plan_spent",
]);

async function takeOrBeRefused(world: World, taken: Step): Promise<void> {
  try {
    await take(world, taken);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || !EXPECTED.has(thrown.code)) throw thrown;
    world.refused += 1;
  }
}

async function expectWhole(world: World): Promise<void> {
  const repository = await openSmall(world.fixture, world.fixture.store);
  const reader = await repository.acquireReader();
  const snapshots = await repository.snapshots();
  expect(snapshots.map(({ id }) => String(id)).sort()).toEqual([...world.committed.keys()].sort());
  for (const snapshot of snapshots) {
    for (const [at, number] of (world.committed.get(snapshot.id) ?? []).entries()) {
      const read = await contentOf(reader, await reader.find(snapshot, [`file ${at}`]));
      expect(Buffer.from(read).equals(POOL[number] ?? Buffer.alloc(0))).toBe(true);
    }
  }
}

test(
  "whatever happens at once, no committed snapshot loses a blob",
  { timeout: 120_000 },
  async () => {
    const seen = { executed: 0, refused: 0, committed: 0 };
    const together = fc.array(step, { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(together, { minLength: 3, maxLength: 9 }),
        fc.array(fc.nat(3), { minLength: 5, maxLength: 40 }),
        async (rounds, dice) => {
          const fixture = await createSmall("model");
          const repository = await openSmall(fixture, drawnOrder(fixture.store, dice));
          const committed = new Map<string, readonly number[]>();
          const world: World = {
            fixture,
            repository,
            committed,
            open: [],
            plans: [],
            executed: 0,
            refused: 0,
          };
          await begin(world, [0, 1, 2]);
          await commit(world);
          for (const round of rounds) {
            await Promise.all(round.map((taken) => takeOrBeRefused(world, taken)));
          }
          seen.committed += committed.size;
          for (const { writer } of world.open) await writer[Symbol.asyncDispose]();
          await expectWhole(world);
          expect(await faultsOf(await openSmall(fixture, fixture.store))).toEqual([]);
          seen.executed += world.executed;
          seen.refused += world.refused;
        },
      ),
      { numRuns: 30 },
    );
    // It saw what it is about.
    expect(seen.executed).toBeGreaterThan(20);
    expect(seen.refused).toBeGreaterThan(0);
    expect(seen.committed).toBeGreaterThan(30);
  },
);
