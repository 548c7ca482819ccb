import { AppError } from "../../../src/kernel/index.ts";
import { withRetry } from "../../../src/objectstore/index.ts";
import type { ObjectStore } from "../../../src/objectstore/index.ts";
import { createFaultyStore } from "../../../src/objectstore/testing/index.ts";
import type { Fault, StoreCall, StoreOperation } from "../../../src/objectstore/testing/index.ts";
import { judged } from "./crashes.ts";
import { IncompleteRun } from "./scenarios.ts";
import type { Scenario } from "./scenarios.ts";
import { forkWorld, ownerWith, seeded } from "./world.ts";
import type { MemoryWorld, Place, World } from "./world.ts";

/** What a store does wrong, in which operation; each must be hit, or the campaign fails. */
export interface PlannedFault {
  readonly name: string;
  readonly operations: readonly StoreOperation[];
  readonly fault: Fault;
  /** Goes on until the end, as a full disk does; else it comes and goes. */
  readonly lasting?: boolean;
}

const READS: readonly StoreOperation[] = ["get", "getRange"];

/** Those after which every acknowledged snapshot must be whole: the store fails, stalls or reads wrong, and says what it keeps. */
export const HONEST_FAULTS: readonly PlannedFault[] = [
  {
    name: "5xx before it is done",
    operations: ["put", "remove", "stat", "get", "getRange", "list"],
    fault: "fail-before",
  },
  { name: "done, and the answer lost", operations: ["put", "remove"], fault: "fail-after" },
  { name: "listing broken off", operations: ["list"], fault: "fail-after" },
  { name: "reset in the middle of a body", operations: READS, fault: "fail-after" },
  { name: "body cut short", operations: READS, fault: "truncate" },
  { name: "a bit flipped on the way", operations: READS, fault: "flip" },
  {
    name: "slow",
    operations: ["put", "get", "getRange", "stat", "remove"],
    fault: { delayMs: 45_000 },
  },
  { name: "the newest object not yet listed", operations: ["list"], fault: "list-late" },
  { name: "conditions ignored", operations: ["put"], fault: "overwrite" },
  { name: "disk full", operations: ["put"], fault: "full", lasting: true },
  {
    name: "away for good",
    operations: ["put", "get", "getRange", "list", "stat", "remove"],
    fault: "fail-before",
    lasting: true,
  },
];

export interface FaultCounts {
  readonly verb: string;
  /** How often each fault struck. */
  readonly hits: Record<string, number>;
  /** Runs that ended well, and runs that ended with an error of the closed table. */
  ended: { well: number; withError: Record<string, number> };
  readonly faults: string[];
}

/** Runs the verb against a store with one kind of fault, judges what is left, and runs it again on a store that works. */
export async function faultCampaign(
  scenario: Scenario,
  planned: readonly PlannedFault[],
  seeds: readonly string[],
): Promise<FaultCounts> {
  const counts: FaultCounts = {
    verb: scenario.verb,
    hits: {},
    ended: { well: 0, withError: {} },
    faults: [],
  };
  const origin = await scenario.prepare();
  for (const seed of seeds) {
    for (const plan of planned) {
      const found = await oneRun(scenario, forkWorld(origin, seed), plan, { seed, counts });
      const at = `${scenario.verb}, seed ${seed}, ${plan.name}`;
      counts.faults.push(...found.map((fault) => `${at}: ${fault}`));
    }
  }
  return counts;
}

async function oneRun(
  scenario: Scenario,
  left: MemoryWorld,
  plan: PlannedFault,
  { seed, counts }: { readonly seed: string; readonly counts: FaultCounts },
): Promise<string[]> {
  const world = faultyWorld(left, plan, seed, () => {
    counts.hits[plan.name] = (counts.hits[plan.name] ?? 0) + 1;
  });
  const found: string[] = [];
  let done = false;
  try {
    await scenario.run(world, ownerWith(process.pid));
    done = true;
    counts.ended.well += 1;
  } catch (thrown) {
    const code = endOf(thrown);
    counts.ended.withError[code ?? ""] = (counts.ended.withError[code ?? ""] ?? 0) + 1;
    if (code === undefined) found.push(`ended with ${String(thrown)}`);
  }
  found.push(...(await judged(scenario, left, done, undefined)));
  // What a run that died leaves in the way is gone after half an hour.
  left.clock.advance(31 * 60_000);
  try {
    await scenario.run(left, ownerWith(process.pid));
  } catch (thrown) {
    found.push(`run again: ${String(thrown)}`);
  }
  const after = await judged(scenario, left, true, undefined);
  return [...found, ...after.map((fault) => `run again: ${fault}`)];
}

/** `undefined`: not in the closed table, or a bug. */
function endOf(thrown: unknown): string | undefined {
  if (thrown instanceof IncompleteRun) return "incomplete";
  return thrown instanceof AppError && thrown.kind !== "bug" ? thrown.code : undefined;
}

function faultyWorld(world: MemoryWorld, plan: PlannedFault, seed: string, hit: () => void): World {
  const stores = (["main", "copy"] as const).map((place) => {
    const random = seeded(`faults ${seed} ${plan.name} ${place}`);
    return [place, retrying(faulty(world, place, plan, { random, hit }), world)] as const;
  });
  return { ...world, stores: Object.fromEntries(stores) as Record<Place, ObjectStore> };
}

interface Luck {
  readonly random: (size: number) => Uint8Array;
  readonly hit: () => void;
}

/** One call in six meets the fault, never twice in a row at one key: what retries can survive, they must. */
function faulty(world: MemoryWorld, place: Place, plan: PlannedFault, luck: Luck): ObjectStore {
  const struck = new Set<string>();
  let broken = false;
  let waits = (luck.random(1)[0] ?? 0) % 20;
  const decide = ({ operation, key }: StoreCall): Fault | undefined => {
    if (!plan.operations.includes(operation)) return undefined;
    if (plan.lasting === true) {
      waits -= 1;
      broken ||= waits <= 0;
      if (broken) luck.hit();
      return broken ? plan.fault : undefined;
    }
    const name = `${operation} ${key}`;
    if (struck.delete(name) || (luck.random(1)[0] ?? 0) % 6 !== 0) return undefined;
    struck.add(name);
    luck.hit();
    return plan.fault;
  };
  return createFaultyStore(world.stores[place], { decide, clock: world.clock });
}

/** As `openObjectStore` wraps a driver, on a clock of its own that waits for nobody. */
function retrying(store: ObjectStore, world: World): ObjectStore {
  let nowMs = 0;
  const sleep = (ms: number): Promise<void> => {
    nowMs += ms;
    return Promise.resolve();
  };
  return withRetry(store, {
    clock: { monotonicMs: () => nowMs, sleep },
    random: world.random,
    deadlineMs: 2_000,
    firstDelayMs: 100,
    maxDelayMs: 500,
  });
}
