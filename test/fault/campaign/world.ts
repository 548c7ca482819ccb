import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { Secret } from "../../../src/kernel/index.ts";
import type { Bytes, Clock, RandomBytes } from "../../../src/kernel/index.ts";
import { createMemoryStore } from "../../../src/objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../../src/objectstore/index.ts";
import {
  createInlineSealer,
  createRepository,
  openRepository,
} from "../../../src/repository/index.ts";
import type {
  Repository,
  RepositoryContext,
  SnapshotSummary,
} from "../../../src/repository/index.ts";
import { saveAll, TEST_COST } from "../../support/restic-repository.ts";
import type { TestFile } from "../../support/restic-repository.ts";

/** Where a verb of the campaign works: two stores, a clock that tests move, randomness from the printed seed. */

export const PASSWORD = "correct horse battery staple";
export const COPY_PASSWORD = "another horse, another battery";

/** Small packs, so that little data is many writes. */
const PACK_BYTES = 48 * 1024;

export interface CampaignClock extends Clock {
  advance(ms: number): void;
}

export function createCampaignClock(startedAt = "2026-10-01T00:00:00.000Z"): CampaignClock {
  let nowMs = new Date(startedAt).getTime();
  return {
    now: () => new Date(nowMs),
    monotonicMs: () => nowMs,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      nowMs += ms;
      await Promise.resolve();
    },
    every: () => ({ [Symbol.dispose]: () => undefined }),
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

/** SHA-256 in counter mode. */
export function seeded(seed: string): RandomBytes {
  let counter = 0;
  return (size) => {
    const parts: Bytes[] = [];
    for (let made = 0; made < size; made += 32) {
      parts.push(createHash("sha256").update(`${seed} ${counter}`).digest());
      counter += 1;
    }
    return Buffer.concat(parts).subarray(0, size);
  };
}

export type Place = "main" | "copy";

export interface World {
  readonly clock: CampaignClock;
  readonly random: RandomBytes;
  readonly stores: Readonly<Record<Place, ObjectStore>>;
}

export interface MemoryWorld extends World {
  readonly stores: Readonly<Record<Place, MemoryStore>>;
}

export function createWorld(seed: string): MemoryWorld {
  const clock = createCampaignClock();
  const random = seeded(seed);
  const stores = { main: createMemoryStore({ clock }), copy: createMemoryStore({ clock }) };
  return { clock, random, stores };
}

/** Stores of its own that hold what these hold now. The clock is the same: time goes on for everybody. */
export function forkWorld(world: MemoryWorld, seed: string): MemoryWorld {
  const { main, copy } = world.stores;
  const stores = { main: main.fork(), copy: copy.fork() };
  return { clock: world.clock, random: seeded(seed), stores };
}

function contextOf(world: World, place: Place): RepositoryContext {
  const { clock, random, stores } = world;
  const createSealer = createInlineSealer;
  return { store: stores[place], clock, random, createSealer, packBytes: PACK_BYTES };
}

export function passwordOf(place: Place): Secret {
  return new Secret(place === "main" ? PASSWORD : COPY_PASSWORD);
}

export function createIn(world: World, place: Place): Promise<Repository> {
  return createRepository(contextOf(world, place), {
    password: passwordOf(place),
    hostname: hostname(),
    username: "tester",
    cost: TEST_COST,
  });
}

export function openIn(world: World, place: Place, password?: Secret): Promise<Repository> {
  return openRepository(contextOf(world, place), { password: password ?? passwordOf(place) });
}

export interface Owner {
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
}

export function ownerWith(pid: number): Owner {
  return { hostname: hostname(), username: "tester", pid };
}

/** `day` dates the snapshot: the campaign knows snapshots by their time. */
export async function backUpDay(
  repository: Repository,
  owner: Owner,
  files: readonly TestFile[],
  day: number,
): Promise<SnapshotSummary> {
  await using writer = await repository.acquireWriter(owner);
  await saveAll(writer, files);
  return await writer.commit({ time: timeOf(day), paths: ["/app"], tags: ["plan=nightly"] });
}

export function timeOf(day: number): Date {
  return new Date(Date.UTC(2026, 8, day));
}
