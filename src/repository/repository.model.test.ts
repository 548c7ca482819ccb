import * as fc from "fast-check";
import { expect, test } from "vitest";
import { latin1 } from "./tree/names.ts";
import type { Bytes } from "../kernel/index.ts";
import {
  contentOf,
  createFixture,
  entriesOf,
  FILE,
  keysOf,
  reopen,
  streamOf,
  TABLE,
  WRITER,
} from "./testing/fixtures.ts";
import type { Fixture } from "./testing/fixtures.ts";
import type { Repository } from "./types.ts";

/**
 * A repository against a Map of Maps: whatever is committed, abandoned, failed or reopened, every snapshot that was
 * acknowledged holds exactly its files, a check finds no error, and no lock stays behind.
 */
interface Model {
  readonly snapshots: Map<string, ReadonlyMap<string, Bytes>>;
}

interface Real {
  readonly fixture: Fixture;
  repository: Repository;
}

type Command = fc.AsyncCommand<Model, Real>;

interface File {
  readonly path: readonly Bytes[];
  readonly content: Bytes;
  readonly fails: boolean;
}

/** Paths as one string: the length of each name before it, so that none runs into the next. */
function keyOf(path: readonly Bytes[]): string {
  return path.map((name) => `${name.byteLength}:${latin1(name)}`).join("");
}

async function* failing(content: Bytes): AsyncGenerator<Bytes> {
  yield* streamOf(content);
  throw new Error("source that is gone");
}

class Backup implements Command {
  readonly files: readonly File[];
  readonly commits: boolean;

  constructor(files: readonly File[], commits: boolean) {
    this.files = files;
    this.commits = commits;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const saved = new Map<string, Bytes>();
    await using writer = await real.repository.acquireWriter(WRITER);
    const saving = this.files.map(async ({ path, content, fails }, i) => {
      const stream = fails ? failing(content) : streamOf(content, 5000);
      await writer.saveFile(path, stream, i % 2 === 0 ? TABLE : FILE);
      saved.set(keyOf(path), content);
    });
    // Which of two files with one path wins, or whether one is a folder of the other, the writer decides.
    await Promise.allSettled(saving);
    if (!this.commits) return;
    const time = real.fixture.clock.now();
    const { id, files } = await writer.commit({ time, paths: ["/model"], tags: [] });
    expect(files).toBe(saved.size);
    model.snapshots.set(id, saved);
  }

  toString(): string {
    const names = this.files.map(({ path, fails }) => `${keyOf(path)}${fails ? "!" : ""}`);
    return `backup(${names.join(", ")})${this.commits ? "" : " abandoned"}`;
  }
}

class Reopen implements Command {
  check(): boolean {
    return true;
  }

  async run(_model: Model, real: Real): Promise<void> {
    real.repository = await reopen(real.fixture, real.fixture.store);
  }

  toString(): string {
    return "reopen";
  }
}

class ReadBack implements Command {
  check(): boolean {
    return true;
  }

  async run(model: Model, { fixture, repository }: Real): Promise<void> {
    const snapshots = await repository.snapshots();
    expect(snapshots.map(({ id }) => String(id)).sort()).toEqual(
      [...model.snapshots.keys()].sort(),
    );
    const reader = await repository.acquireReader();
    for (const snapshot of snapshots) {
      const found = new Map<string, string>();
      const [folders, empty] = [new Set<string>(), new Set<string>()];
      for (const entry of await entriesOf(reader, snapshot)) {
        folders.add(keyOf(entry.path.slice(0, -1)));
        if (entry.type !== "file") {
          expect(entry.type).toBe("dir");
          empty.add(keyOf(entry.path));
          continue;
        }
        const content = await contentOf(reader, entry);
        expect(content.byteLength).toBe(entry.sizeBytes);
        found.set(keyOf(entry.path), Buffer.from(content).toString("base64"));
      }
      // A folder is there because something is in it: what failed leaves none behind.
      expect([...empty].filter((folder) => !folders.has(folder))).toEqual([]);
      const files = [...(model.snapshots.get(snapshot.id) ?? [])];
      const expected = files.map(([key, bytes]) => [key, Buffer.from(bytes).toString("base64")]);
      expect([...found].sort()).toEqual(expected.sort());
    }
    const { findings } = await repository.check({ readData: true });
    expect(findings.filter(({ severity }) => severity !== "information")).toEqual([]);
    expect(await keysOf(fixture.store, "locks/")).toEqual([]);
  }

  toString(): string {
    return "readBack";
  }
}

const name = fc.oneof(
  fc
    .constantFrom("a", "b", "a/b", ".", "..", "", "%", "a%2Fb", "%-a")
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 4 }),
);
const content = fc.oneof(
  fc.uint8Array({ maxLength: 50 }),
  // Repeats, so that snapshots share blobs; long enough to be cut.
  fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 120_000 }))
    .map(([seed, length]) => Uint8Array.from({ length }, (_, i) => (i * i * seed) >> 3)),
);
const file = fc.record({
  path: fc.array(name, { minLength: 1, maxLength: 3 }),
  content,
  fails: fc.boolean(),
});
const backup = fc
  .tuple(fc.array(file, { maxLength: 6 }), fc.integer({ min: 0, max: 3 }))
  .map(([files, dice]) => new Backup(files, dice > 0));

test("a repository is what was committed to it", { timeout: 60_000 }, async () => {
  const commands = [backup, fc.constant(new Reopen()), fc.constant(new ReadBack())];
  let committed = 0;
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 8 }), async (sequence) => {
      const fixture = await createFixture();
      const real: Real = { fixture, repository: fixture.repository };
      const model: Model = { snapshots: new Map() };
      await fc.asyncModelRun(() => ({ model, real }), [...sequence, new ReadBack()]);
      committed += model.snapshots.size;
    }),
    { numRuns: 40 },
  );
  expect(committed).toBeGreaterThan(20);
});
