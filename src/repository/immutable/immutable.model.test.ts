import {
  array,
  assert,
  asyncProperty,
  constant,
  integer,
  oneof,
  record,
  subarray,
} from "fast-check";
import { expect, test } from "vitest";
import { AppError } from "../../kernel/index.ts";
import { createMemoryStore } from "../../objectstore/index.ts";
import { coreOf, objectKey } from "../core.ts";
import { formatIndex } from "../index/index-file.ts";
import type { IndexedPack } from "../index/index-file.ts";
import { indexFiles } from "../index/load-index.ts";
import { createRepository } from "../open.ts";
import { createInlineSealer } from "../sealer.ts";
import {
  CHEAP_COST,
  contentOf,
  createFakeClock,
  PASSWORD,
  reopen,
  rows,
  seededRandom,
  streamOf,
  TABLE,
  WRITER,
} from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import type { Repository, Snapshot } from "../types.ts";
import { saveUnpacked } from "../unpacked.ts";
import { lockedUntil } from "./locked-until.ts";
import { lockIndexes } from "./lock-indexes.ts";

/** Any life of a repository, any day for the intruder: what claims a lock comes back. */

const DAY_MS = 86_400_000;
const NAMES = ["a", "b", "c", "d"] as const;
const CONTENTS = new Map(NAMES.map((name) => [name, rows(60, name)]));

interface Point {
  readonly snapshot: Snapshot;
  readonly names: readonly (typeof NAMES)[number][];
  readonly claimed: Date;
}

const STEP = oneof(
  record({
    verb: constant("back up" as const),
    names: subarray([...NAMES], { minLength: 1 }),
    days: integer({ min: 1, max: 12 }),
  }),
  record({ verb: constant("wait" as const), days: integer({ min: 1, max: 5 }) }),
  record({ verb: constant("join indexes" as const) }),
);

async function create(): Promise<Fixture> {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, objectLock: true });
  const random = seededRandom("life");
  const context = { store, clock, random, createSealer: createInlineSealer, packBytes: 3_000 };
  const options = { password: PASSWORD, hostname: "db-1", username: "backup", cost: CHEAP_COST };
  return { store, clock, random, repository: await createRepository(context, options) };
}

async function backUp(repository: Repository, names: Point["names"], days: number): Promise<Point> {
  const until = (now: Date): Date => new Date(now.getTime() + days * DAY_MS);
  await using writer = await repository.acquireWriter({
    ...WRITER,
    lock: { mode: "compliance", until },
  });
  for (const name of names) {
    await writer.saveFile([name], streamOf(CONTENTS.get(name) ?? ""), TABLE);
  }
  const { id, lockedUntil: claimed } = await writer.commit({
    time: new Date(0),
    paths: ["/"],
    tags: [],
  });
  if (claimed === undefined) throw new Error("no claim");
  return { snapshot: await repository.resolveSnapshot(id), names, claimed };
}

/** What a prune does to index files. */
async function joinIndexes({ repository, store, clock }: Fixture): Promise<void> {
  const core = coreOf(repository);
  const packs: IndexedPack[] = [];
  const old: string[] = [];
  for await (const loaded of indexFiles(core)) {
    if ("error" in loaded) throw loaded.error;
    packs.push(...loaded.packs);
    old.push(loaded.id);
  }
  const { id } = await saveUnpacked(core, "index", formatIndex(packs));
  await lockIndexes(repository, { indexes: [id], storeTime: clock.now() });
  for (const gone of old) await store.remove(objectKey.index(gone));
}

async function deleteEverything({ store }: Fixture): Promise<void> {
  for (const { key, version } of await Array.fromAsync(store.versions?.list("") ?? [])) {
    try {
      await store.deleteVersion(key, version, { bypassGovernance: true });
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "objectstore.denied") throw thrown;
    }
  }
}

test("after everything deletable was deleted, every point that claims a lock comes back", async () => {
  let [held, ended] = [0, 0];
  const life = asyncProperty(array(STEP, { minLength: 2, maxLength: 10 }), async (steps) => {
    const fixture = await create();
    const points: Point[] = [];
    for (const step of steps) {
      if (step.verb === "wait") fixture.clock.advance(step.days * DAY_MS);
      else if (step.verb === "join indexes") await joinIndexes(fixture);
      else points.push(await backUp(fixture.repository, step.names, step.days));
    }
    const now = fixture.clock.now();
    for (const { snapshot, claimed } of points) {
      if (claimed <= now) continue;
      const read = await lockedUntil(fixture.repository, snapshot);
      expect(read?.until.getTime()).toBeGreaterThanOrEqual(claimed.getTime());
    }
    await deleteEverything(fixture);
    for (const { snapshot, names, claimed } of points) {
      if (claimed <= now) {
        ended += 1;
        continue;
      }
      held += 1;
      const reader = await (await reopen(fixture, fixture.store)).acquireReader();
      for (const name of names) {
        const bytes = await contentOf(reader, await reader.find(snapshot, [name]));
        expect(Buffer.compare(bytes, Buffer.from(CONTENTS.get(name) ?? ""))).toBe(0);
      }
    }
  });
  await assert(life, { numRuns: 40 });
  // Lives in which nothing was at stake would prove nothing.
  expect(held).toBeGreaterThan(10);
  expect(ended).toBeGreaterThan(0);
});
