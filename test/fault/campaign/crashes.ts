import { distinctCuts, recordWorldCuts } from "./cuts.ts";
import type { WorldCut } from "./cuts.ts";
import { faultsOf } from "./judge.ts";
import type { Scenario } from "./scenarios.ts";
import { stockFaultsOf } from "./stock.ts";
import { forkWorld, ownerWith } from "./world.ts";
import type { MemoryWorld } from "./world.ts";

export interface CrashCounts {
  readonly verb: string;
  readonly seeds: readonly string[];
  /** Different states that a crash left. */
  crashes: number;
  /** Of them read by stock restic too. */
  byStock: number;
  /** By folder: what the crashes cut. */
  readonly cut: Record<string, number>;
  readonly faults: string[];
}

export interface CrashOptions {
  readonly seeds: readonly string[];
  /** Every so many a crash is shown to restic as well. */
  readonly stockEvery: number;
  readonly restic: string;
  /** Process that stands for the one that died. */
  readonly deadPid: number;
  /** At most so many crashes a seed, spread over all of them. */
  readonly most?: number;
}

/** Cuts a verb at each of its writes, for every seed, and judges what is left, and the same verb run again in it. */
export async function crashCampaign(
  scenario: Scenario,
  options: CrashOptions,
): Promise<CrashCounts> {
  const { verb } = scenario;
  const counts: CrashCounts = {
    verb,
    seeds: options.seeds,
    crashes: 0,
    byStock: 0,
    cut: {},
    faults: [],
  };
  const origin = await scenario.prepare();
  for (const seed of options.seeds) {
    const recorded = await recordWorldCuts(origin, seed, (world) =>
      scenario.run(world, ownerWith(options.deadPid)),
    );
    const { failure } = recorded;
    if (failure !== undefined) counts.faults.push(`${verb}, seed ${seed}, uncut: ${failure}`);
    const cuts = spread(await distinctCuts(recorded.cuts), options.most ?? Infinity);
    for (const cut of cuts) {
      counts.crashes += 1;
      const [operation = "", place = "", key = ""] = cut.what.split(" ");
      const folder = `${operation} ${place} ${key
        .split("/")
        .slice(0, key.startsWith("sparekeep/") ? 2 : 1)
        .join("/")}`;
      counts.cut[folder] = (counts.cut[folder] ?? 0) + 1;
      const withStock = counts.crashes % options.stockEvery === 0;
      if (withStock) counts.byStock += 1;
      const found = await faultsAfter(scenario, cut, withStock ? options.restic : undefined);
      const at = `${verb}, seed ${seed}, ${cut.moment} write ${cut.write} (${cut.what.slice(0, 40)})`;
      counts.faults.push(...found.map((fault) => `${at}: ${fault}`));
    }
  }
  return counts;
}

function spread<Item>(items: readonly Item[], most: number): readonly Item[] {
  if (items.length <= most) return items;
  return Array.from(
    { length: most },
    (_, i) => items[Math.floor((i * items.length) / most)],
  ).filter((item) => item !== undefined);
}

async function faultsAfter(
  scenario: Scenario,
  { left }: WorldCut,
  restic: string | undefined,
): Promise<string[]> {
  const found = await judged(scenario, left, false, restic);
  const again = forkWorld(left, "again");
  try {
    await scenario.run(again, ownerWith(process.pid));
  } catch (thrown) {
    found.push(`run again: ${String(thrown)}`);
  }
  const after = await judged(scenario, again, true, undefined);
  return [...found, ...after.map((fault) => `run again: ${fault}`)];
}

export async function judged(
  scenario: Scenario,
  world: MemoryWorld,
  done: boolean,
  restic: string | undefined,
): Promise<string[]> {
  const found: string[] = [];
  for (const expectation of await scenario.expect(done)) {
    found.push(...(await faultsOf(world, expectation)));
    if (restic !== undefined) found.push(...(await stockFaultsOf(world, expectation, restic)));
  }
  return found;
}
