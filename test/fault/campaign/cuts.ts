import { setImmediate } from "node:timers/promises";
import type { MemoryStore, ObjectStore } from "../../../src/objectstore/index.ts";
import { listKeys } from "../../../src/objectstore/testing/index.ts";
import { forkWorld, seeded } from "./world.ts";
import type { MemoryWorld, Place, World } from "./world.ts";

export interface WorldCut {
  /** 1 is the first write of the verb. */
  readonly write: number;
  readonly what: string;
  /** `before`: asked for and not durable. `after`: durable and not yet acknowledged. */
  readonly moment: "before" | "after";
  readonly left: MemoryWorld;
}

export interface CutRun {
  readonly cuts: readonly WorldCut[];
  /** The verb that was let live did not end well. */
  readonly failure?: string;
}

/**
 * Lets a verb run to its end in a world of which every write is noted with what a crash at that moment would leave.
 * Writes take their seeded time, so that those under way together end in another order for every seed.
 */
export async function recordWorldCuts(
  origin: MemoryWorld,
  seed: string,
  run: (world: World) => Promise<void>,
): Promise<CutRun> {
  const world = forkWorld(origin, seed);
  const random = seeded(`turns ${seed}`);
  const cuts: WorldCut[] = [];
  let writes = 0;
  const turns = async (): Promise<void> => {
    for (let turn = (random(1)[0] ?? 0) % 12; turn > 0; turn -= 1) await setImmediate();
  };
  const around = async (what: string, work: () => Promise<void>): Promise<void> => {
    writes += 1;
    const write = writes;
    cuts.push({ write, what, moment: "before", left: forkWorld(world, `${seed} ${write}`) });
    await turns();
    await work();
    cuts.push({ write, what, moment: "after", left: forkWorld(world, `${seed} ${write}`) });
    await turns();
  };
  const watched = (place: Place, store: MemoryStore): ObjectStore => ({
    ...store,
    put: (key, body, options) => around(`put ${place} ${key}`, () => store.put(key, body, options)),
    remove: (key, options) => around(`remove ${place} ${key}`, () => store.remove(key, options)),
  });
  const { main, copy } = world.stores;
  const stores = { main: watched("main", main), copy: watched("copy", copy) };
  try {
    await run({ ...world, stores });
  } catch (thrown) {
    return { cuts, failure: String(thrown) };
  }
  return { cuts };
}

/** Before a write and after the one before it the stores often hold the same: once is enough. */
export async function distinctCuts(cuts: readonly WorldCut[]): Promise<readonly WorldCut[]> {
  const seen = new Set<string>();
  const distinct: WorldCut[] = [];
  for (const cut of cuts) {
    const { main, copy } = cut.left.stores;
    const holds = `${(await listKeys(main, "")).join(" ")} | ${(await listKeys(copy, "")).join(" ")}`;
    if (seen.has(holds)) continue;
    seen.add(holds);
    distinct.push(cut);
  }
  return distinct;
}
