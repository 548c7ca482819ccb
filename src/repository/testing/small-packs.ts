import { createMemoryStore } from "../../objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../objectstore/index.ts";
import type { SnapshotId } from "../../kernel/index.ts";
import { createRepository, openRepository } from "../open.ts";
import { executePrune } from "../prune/execute.ts";
import { planPrune } from "../prune/plan.ts";
import type { PlanPruneOptions, PrunePlan, PruneReport } from "../prune/types.ts";
import { createInlineSealer } from "../sealer.ts";
import type { Repository } from "../types.ts";
import {
  CHEAP_COST,
  createFakeClock,
  PASSWORD,
  seededRandom,
  streamOf,
  TABLE,
  WRITER,
} from "./fixtures.ts";
import type { Files, Fixture } from "./fixtures.ts";

/** Repositories of many small packs: what a prune has to decide on. */
export const SMALL_PACK_BYTES = 24 * 1024;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

export async function createSmall(seed = "small"): Promise<Fixture> {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock });
  const random = seededRandom(seed);
  const context = contextOf({ store, clock, random });
  const options = { password: PASSWORD, hostname: "db-1", username: "backup", cost: CHEAP_COST };
  return { store, clock, random, repository: await createRepository(context, options) };
}

function contextOf({
  store,
  clock,
  random,
}: Pick<Fixture, "clock" | "random"> & { readonly store: ObjectStore }) {
  const createSealer = createInlineSealer;
  return { store, clock, random, createSealer, packBytes: SMALL_PACK_BYTES };
}

/** The same repository over another store: a fork, or one that fails. */
export async function openSmall(
  fixture: Pick<Fixture, "clock" | "random">,
  store: ObjectStore,
): Promise<Repository> {
  const { clock, random } = fixture;
  return await openRepository(contextOf({ clock, random, store }), { password: PASSWORD });
}

/** A snapshot at the clock's time. */
export async function backUp(
  fixture: Pick<Fixture, "repository" | "clock">,
  files: Files,
  plan = "nightly",
): Promise<SnapshotId> {
  await using writer = await fixture.repository.acquireWriter(WRITER);
  for (const [path, content] of Object.entries(files)) {
    await writer.saveFile(path.split("/"), streamOf(content), TABLE);
  }
  const time = fixture.clock.now();
  return (await writer.commit({ time, paths: ["/db"], tags: [`plan=${plan}`] })).id;
}

export async function forget(store: MemoryStore, ...ids: readonly string[]): Promise<void> {
  for (const id of ids) await store.remove(`snapshots/${id}`);
}

export type PruneOptions = Omit<PlanPruneOptions, "owner">;

export function plan(repository: Repository, options: PruneOptions = {}): Promise<PrunePlan> {
  return planPrune(repository, { owner: WRITER, ...options });
}

export async function prune(
  repository: Repository,
  options: PruneOptions = {},
): Promise<{ plan: PrunePlan; report: PruneReport }> {
  const planned = await plan(repository, options);
  return { plan: planned, report: await executePrune(repository, planned, { owner: WRITER }) };
}

export async function storedBytes(store: ObjectStore, prefix = "data/"): Promise<number> {
  let sum = 0;
  for await (const { sizeBytes } of store.list(prefix)) sum += sizeBytes;
  return sum;
}

/** In words, what a check with every byte read finds besides information. */
export async function faultsOf(repository: Repository): Promise<readonly string[]> {
  const { findings } = await repository.check({ readData: true });
  return findings
    .filter(({ severity }) => severity !== "information")
    .map(({ code, message }) => `${code}: ${message}`);
}
