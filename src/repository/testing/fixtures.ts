import { createHash } from "node:crypto";
import { Secret } from "../../kernel/index.ts";
import type { Bytes, Clock, RandomBytes } from "../../kernel/index.ts";
import { createMemoryStore } from "../../objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../objectstore/index.ts";
import type { RepositoryCore } from "../core.ts";
import { masterKeyOf } from "../crypto/master-key.ts";
import { createRepository, openRepository } from "../open.ts";
import { createInlineSealer } from "../sealer.ts";
import type { Entry, FileMetadata, Repository, Snapshot, SnapshotReader } from "../types.ts";

/** Fixtures of this layer's tests: a clock that tests move, randomness from a seed, repositories in memory. */

export interface FakeClock extends Clock {
  /** Moves time and runs what is due, in order. */
  advance(ms: number): void;
}

export function createFakeClock(startedAt = "2026-03-04T05:06:07.000Z"): FakeClock {
  let nowMs = new Date(startedAt).getTime();
  const tickers = new Set<{ everyMs: number; dueMs: number; tick: () => void }>();
  return {
    now: () => new Date(nowMs),
    monotonicMs: () => nowMs,
    sleep: async (_ms, signal) => {
      signal?.throwIfAborted();
      await Promise.resolve();
    },
    every: (everyMs, tick) => {
      const ticker = { everyMs, dueMs: nowMs + everyMs, tick };
      tickers.add(ticker);
      return { [Symbol.dispose]: () => void tickers.delete(ticker) };
    },
    advance: (ms) => {
      const untilMs = nowMs + ms;
      for (;;) {
        const due = [...tickers].filter(({ dueMs }) => dueMs <= untilMs);
        const [next] = due.sort((a, b) => a.dueMs - b.dueMs);
        if (next === undefined) break;
        nowMs = next.dueMs;
        next.dueMs += next.everyMs;
        next.tick();
      }
      nowMs = untilMs;
    },
  };
}

/** SHA-256 in counter mode: the same bytes in every run. */
export function seededRandom(seed: string): RandomBytes {
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

export const CHEAP_COST = { N: 2, r: 1, p: 1 };
export const PASSWORD = new Secret("correct horse");
export const WRITER = { hostname: "db-1", username: "backup", pid: process.pid };
export const TABLE: FileMetadata = { kind: "table", modifiedAt: new Date("2026-01-02T03:04:05Z") };
export const FILE: FileMetadata = { kind: "file", modifiedAt: new Date("2026-01-02T03:04:05Z") };

export interface Fixture {
  readonly store: MemoryStore;
  readonly clock: FakeClock;
  readonly random: RandomBytes;
  readonly repository: Repository;
}

export async function createFixture(seed = "fixture"): Promise<Fixture> {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock });
  const random = seededRandom(seed);
  const context = { store, clock, random, createSealer: createInlineSealer };
  const options = { password: PASSWORD, hostname: "db-1", username: "backup", cost: CHEAP_COST };
  return { store, clock, random, repository: await createRepository(context, options) };
}

export async function reopen(fixture: Fixture, store: ObjectStore): Promise<Repository> {
  const { clock, random } = fixture;
  const context = { store, clock, random, createSealer: createInlineSealer };
  return await openRepository(context, { password: PASSWORD });
}

export function testCore(store?: ObjectStore): RepositoryCore & { readonly clock: FakeClock } {
  const clock = createFakeClock();
  const random = seededRandom("core");
  const master = masterKeyOf(random(64));
  return { store: store ?? createMemoryStore({ clock }), clock, random, master };
}

/** The bytes in pieces of `pieceBytes`, each in a buffer that is overwritten before the next, as sockets do. */
export async function* streamOf(
  content: Bytes | string,
  pieceBytes = 10_000,
): AsyncGenerator<Bytes> {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const buffer = new Uint8Array(pieceBytes);
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes);
    buffer.fill(0xaa);
    buffer.set(piece);
    yield buffer.subarray(0, piece.byteLength);
    await Promise.resolve();
  }
}

export type Files = Readonly<Record<string, Bytes | string>>;

/** One snapshot of these files; keys are paths with `/` between names. */
export async function saveFiles(repository: Repository, files: Files): Promise<Snapshot> {
  await using writer = await repository.acquireWriter(WRITER);
  for (const [path, content] of Object.entries(files)) {
    await writer.saveFile(path.split("/"), streamOf(content), TABLE);
  }
  const time = new Date("2026-03-04T05:06:07.123Z");
  const { id } = await writer.commit({ time, paths: ["/db"], tags: ["nightly"] });
  return await repository.resolveSnapshot(id);
}

export async function contentOf(reader: SnapshotReader, entry: Entry): Promise<Bytes> {
  const parts: Bytes[] = [];
  for await (const bytes of reader.read(entry)) parts.push(bytes);
  return Buffer.concat(parts);
}

export async function entriesOf(
  reader: SnapshotReader,
  snapshot: Snapshot,
): Promise<readonly Entry[]> {
  return await Array.fromAsync(reader.entries(snapshot));
}

export function pathOf(entry: Pick<Entry, "path">): string {
  return entry.path.map((name) => Buffer.from(name).toString("utf8")).join("/");
}

/** Keys below a prefix, sorted. */
export async function keysOf(store: ObjectStore, prefix: string): Promise<readonly string[]> {
  const stats = await Array.fromAsync(store.list(prefix));
  return stats.map(({ key }) => key).sort();
}

/** Puts other bytes under a key that is taken: what a failing disk or an attacker does. */
export async function overwrite(
  store: ObjectStore,
  key: string,
  change: (bytes: Buffer) => Bytes,
): Promise<void> {
  const bytes = Buffer.from(await store.get(key));
  await store.remove(key);
  await store.put(key, [change(bytes)]);
}

export function flipByte(at: number): (bytes: Buffer) => Bytes {
  return (bytes) => {
    const index = at < 0 ? bytes.byteLength + at : at;
    bytes[index] = (bytes[index] ?? 0) ^ 0x40;
    return bytes;
  };
}

/** Text that compresses like rows do, different for each seed. */
export function rows(count: number, seed = "row"): Bytes {
  const lines: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const digest = createHash("sha256").update(`${seed} ${i}`).digest("hex");
    lines.push(`${i}\t${seed}\t${digest}\t2026-01-02 03:04:05+00\t\\N\n`);
  }
  return Buffer.from(lines.join(""));
}
