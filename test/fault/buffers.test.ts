import { createHash, randomBytes } from "node:crypto";
import { setImmediate, setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { AppError, Secret, systemClock } from "../../src/kernel/index.ts";
import type { Bytes } from "../../src/kernel/index.ts";
import { createMemoryStore, objectStoreError } from "../../src/objectstore/index.ts";
import type { MemoryStore, ObjectStore } from "../../src/objectstore/index.ts";
import { listKeys } from "../../src/objectstore/testing/index.ts";
import {
  createInlineSealer,
  createPoolSealer,
  openRepository,
  SEAL_WORKER,
} from "../../src/repository/index.ts";
import type {
  CreateSealer,
  EntryKind,
  Repository,
  SnapshotWriter,
} from "../../src/repository/index.ts";
import { createOurs, PASSWORD, WRITER } from "../support/restic-repository.ts";

/**
 * The buffers of a backup are used again: what chunks are cut in, what batches are sealed into, the pages of packs. Here
 * several streams at once, of any size and kind, go into a store that is slow and looks whether what it was given changes
 * under its hands. Every byte is read back.
 */
const SEALERS: Readonly<Record<string, CreateSealer>> = {
  "the caller's thread": createInlineSealer,
  threads: (options) => createPoolSealer({ ...options, inlineBytes: 0 }),
  "the caller's thread, then threads": createPoolSealer,
};

/** So that pages and batches change hands hundreds of times. */
const PACK_BYTES = 400_000;

type Chance = (below: number) => number;

/** The same in every run. */
function chanceOf(seed: string): Chance {
  let drawn = 0;
  return (below) => {
    drawn += 1;
    return createHash("sha256").update(`${seed} ${drawn}`).digest().readUInt32LE(0) % below;
  };
}

interface Content {
  readonly name: string;
  readonly kind: EntryKind;
  readonly bytes: Buffer;
  /** Where its stream breaks off, if it does. */
  readonly breaksAt?: number;
}

/** Where the chunker and the pools change what they do, and anything between. */
const SIZES = [0, 1, 16_384, 16_385, 524_288, 524_289, 1_048_577, 9_000_000];

const KINDS: readonly EntryKind[] = ["small-table", "table", "file"];

function contentsOf(chance: Chance): readonly Content[] {
  const common = randomBytes(3_000_000);
  const any = Array.from({ length: 10 }, (_, number) => {
    const bytes = Buffer.alloc(SIZES[chance(2 * SIZES.length)] ?? chance(4_000_000));
    for (let at = 0; at < bytes.byteLength;) {
      const to = Math.min(bytes.byteLength, at + 1 + chance(4_000_000));
      const piece = bytes.subarray(at, to);
      // Zeros make the longest chunks; what is common is cut, hashed and claimed by several streams at once.
      const how = chance(4);
      if (how === 1) common.copy(piece);
      else if (how > 1) randomBytes(piece.byteLength).copy(piece);
      if (how === 3) for (let i = 0; i < piece.byteLength; i += 2) piece[i] = 0x2c;
      at = to;
    }
    const breaks = chance(6) === 0 ? { breaksAt: chance(bytes.byteLength + 1) } : {};
    return { name: `f${number}`, kind: KINDS[chance(KINDS.length)] ?? "file", bytes, ...breaks };
  }) satisfies readonly Content[];
  // Enough for several packs, whatever the others are.
  return [...any, { name: "large", kind: "file", bytes: randomBytes(4_000_000) }];
}

const BROKEN = new Error("source that is gone");

/** In one buffer that is overwritten for each piece, as sockets do. */
async function* streamOf({ bytes, breaksAt }: Content, chance: Chance): AsyncGenerator<Bytes> {
  const pieceBytes = [4_096, 65_536, 1_000_000, 5_000_000][chance(4)] ?? 1;
  const buffer = new Uint8Array(pieceBytes);
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
    if (breaksAt !== undefined && at >= breaksAt) throw BROKEN;
    const piece = bytes.subarray(at, at + pieceBytes);
    buffer.fill(0xee);
    buffer.set(piece);
    yield buffer.subarray(0, piece.byteLength);
    if (chance(8) === 0) await setImmediate();
  }
  if (breaksAt !== undefined) throw BROKEN;
}

function digestOf(body: readonly Bytes[]): string {
  const digest = createHash("sha256");
  for (const part of body) digest.update(part);
  return digest.digest("hex");
}

interface Watched {
  readonly store: ObjectStore;
  /** Keys whose body was changed before the put had returned. */
  readonly changed: string[];
}

/** Waits before it takes what it was given, and once more before it says so. */
function slow(inner: MemoryStore, chance: Chance, atPack: (number: number) => void): Watched {
  const changed: string[] = [];
  let packs = 0;
  const put: ObjectStore["put"] = async (key, body, options) => {
    const before = digestOf(body);
    await setTimeout(chance(30));
    if (key.startsWith("data/")) atPack((packs += 1));
    await inner.put(key, body, options);
    await setTimeout(chance(15));
    if (digestOf(body) !== before) changed.push(key);
  };
  return { store: { ...inner, put }, changed };
}

async function openWith(store: ObjectStore, createSealer: CreateSealer): Promise<Repository> {
  const context = {
    store,
    clock: systemClock,
    random: randomBytes,
    createSealer,
    packBytes: PACK_BYTES,
  };
  return await openRepository(context, { password: new Secret(PASSWORD) });
}

/** Four at a time; those whose stream broke are left out. */
async function saveAll(
  writer: SnapshotWriter,
  contents: readonly Content[],
  chance: Chance,
): Promise<void> {
  const waiting = [...contents];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const metadata = { kind: next.kind, modifiedAt: new Date("2026-01-02T03:04:05Z") };
      try {
        const saved = await writer.saveFile([next.name], streamOf(next, chance), metadata);
        expect(saved.sha256).toBe(digestOf([next.bytes]));
      } catch (thrown) {
        if (thrown !== BROKEN) throw thrown;
      }
    }
  };
  const ended = await Promise.allSettled([work(), work(), work(), work()]);
  for (const end of ended) if (end.status === "rejected") throw end.reason;
}

async function backUp(
  repository: Repository,
  contents: readonly Content[],
  chance: Chance,
  signal: AbortSignal,
): Promise<void> {
  await using writer = await repository.acquireWriter({ ...WRITER, signal });
  await saveAll(writer, contents, chance);
  const time = new Date("2026-01-02T03:04:05Z");
  await writer.commit({ time, paths: ["/"], tags: [] });
}

async function faultsOf(store: ObjectStore): Promise<readonly unknown[]> {
  const repository = await openWith(store, createInlineSealer);
  const { findings } = await repository.check({ readData: true });
  return findings.filter(({ severity }) => severity !== "information");
}

async function expectExactly(store: ObjectStore, contents: readonly Content[]): Promise<void> {
  const repository = await openWith(store, createInlineSealer);
  const reader = await repository.acquireReader();
  const latest = await repository.resolveSnapshot("latest");
  const found = new Map<string, string>();
  for await (const entry of reader.entries(latest)) {
    const name = Buffer.concat(entry.path).toString();
    found.set(name, digestOf(await Array.fromAsync(reader.read(entry))));
  }
  const whole = contents.filter(({ breaksAt }) => breaksAt === undefined);
  expect(found).toEqual(new Map(whole.map(({ name, bytes }) => [name, digestOf([bytes])])));
}

async function expectNothing(store: MemoryStore): Promise<void> {
  expect(await listKeys(store, "snapshots/")).toEqual([]);
  expect(await listKeys(store, "locks/")).toEqual([]);
  expect(await faultsOf(store)).toEqual([]);
}

async function createEmpty(): Promise<MemoryStore> {
  const store = createMemoryStore({ clock: systemClock });
  await createOurs(store);
  return store;
}

describe.for(Object.entries(SEALERS))("buffers used again, sealed by %s", ([name, sealer]) => {
  test.for([1, 2])("never carry one thing's bytes into another (%i)", async (round) => {
    const chance = chanceOf(`${name} ${round}`);
    const inner = await createEmpty();
    const contents = contentsOf(chance);
    const { store, changed } = slow(inner, chance, () => undefined);
    const { signal } = new AbortController();
    await backUp(await openWith(store, sealer), contents, chance, signal);
    expect(changed).toEqual([]);
    expect(await faultsOf(inner)).toEqual([]);
    await expectExactly(inner, contents);
  });

  test.for(["a store that is full", "an abort"])("%s ends it with nothing amiss", async (what) => {
    const chance = chanceOf(`${name} ${what}`);
    const inner = await createEmpty();
    const contents = contentsOf(chance);
    const controller = new AbortController();
    const { store, changed } = slow(inner, chance, (number) => {
      if (number < 4) return;
      if (what === "an abort") controller.abort();
      else throw objectStoreError("full", { message: "disk that is full" });
    });
    const repository = await openWith(store, sealer);
    const code = what === "an abort" ? "kernel.cancelled" : "objectstore.full";
    await expect(backUp(repository, contents, chance, controller.signal)).rejects.toThrow(
      expect.objectContaining({ code }),
    );
    expect(changed).toEqual([]);
    await expectNothing(inner);
  });
});

test("a sealing thread that dies in the middle ends the backup, with nothing amiss", async () => {
  const dies = `import { parentPort } from "node:worker_threads"; import "${SEAL_WORKER.href}";
    let left = 48; parentPort.on("message", () => { if (left-- === 0) process.exit(9); });`;
  const entry = new URL(`data:text/javascript,${encodeURIComponent(dies)}`);
  const chance = chanceOf("death");
  const inner = await createEmpty();
  const repository = await openWith(inner, (options) =>
    createPoolSealer({ ...options, inlineBytes: 0, entry }),
  );
  const contents = [{ name: "a", kind: "table", bytes: randomBytes(60_000_000) }] as const;
  const failed = await backUp(repository, contents, chance, new AbortController().signal).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(failed).toBeInstanceOf(AppError);
  expect(failed).toMatchObject({ code: "repository.sealer_failed" });
  // In the middle: what filled both open packs was there before.
  expect(await listKeys(inner, "data/")).not.toEqual([]);
  await expectNothing(inner);
});
