import { createHash, randomBytes, randomFillSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Bytes } from "../../kernel/index.ts";
import { objectStoreError } from "../../objectstore/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { GEAR_LIMITS } from "../chunker/gear-limits.ts";
import { openRepository } from "../open.ts";
import {
  contentOf,
  createFixture,
  entriesOf,
  FILE,
  keysOf,
  PASSWORD,
  pathOf,
  reopen,
  rows,
  saveFiles,
  streamOf,
  TABLE,
  WRITER,
} from "../testing/fixtures.ts";
import { createPoolSealer } from "../seal-worker-pool.ts";
import type { PoolOptions } from "../seal-worker-pool.ts";
import { createInlineSealer } from "../sealer.ts";
import type { WriteProgress } from "../types.ts";
import { SMALL_BYTES } from "./blob-pipeline.ts";

const COMMIT = { time: new Date("2026-03-04T05:06:07Z"), paths: ["/db"], tags: [] };

async function* failing(error: Error): AsyncGenerator<Bytes> {
  yield* streamOf(rows(2000));
  throw error;
}

describe("a snapshot writer", () => {
  const least = GEAR_LIMITS.file.minBytes;

  test.for([
    ["nothing", 0, 1],
    ["a small file in one piece", 4096, 4096],
    ["a small file in many", 4097, 100],
    ["the largest that is not cut", least, 1000],
    ["the smallest that is", least + 1, 1000],
    ["one whose first piece is cut", 2 * least, 2 * least],
  ] as const)("says the hash of %s", async ([, sizeBytes, pieceBytes]) => {
    const { repository } = await createFixture();
    const content = randomBytes(sizeBytes);
    await using writer = await repository.acquireWriter(WRITER);
    const saved = await writer.saveFile(["a"], streamOf(content, pieceBytes), FILE);
    expect(saved.sha256).toBe(createHash("sha256").update(content).digest("hex"));
    expect(saved.sizeBytes).toBe(sizeBytes);
  });

  describe.for([
    ["on the caller's thread", createInlineSealer],
    ["in threads", (options: PoolOptions) => createPoolSealer({ ...options, inlineBytes: 0 })],
  ] as const)("given a file as a whole, sealed %s,", ([, createSealer]) => {
    test.for([0, 1, 4096, SMALL_BYTES, SMALL_BYTES + 1, least, least + 1, 3 * least])(
      "of %i bytes, stores it and leaves its memory to the caller",
      async (sizeBytes) => {
        const fixture = await createFixture();
        const { store, clock, random } = fixture;
        const context = { store, clock, random, createSealer };
        const opened = await openRepository(context, { password: PASSWORD });
        // In the middle of memory that holds other things, too.
        const memory = randomBytes(sizeBytes + 20);
        const before = Buffer.from(memory);
        const content = memory.subarray(10, 10 + sizeBytes);
        const files = { alone: content, beside: content, third: content };
        await using writer = await opened.acquireWriter(WRITER);
        const saved = await Promise.all(
          Object.entries(files).map(([name, bytes]) => writer.saveFile([name], bytes, FILE)),
        );
        await writer.commit(COMMIT);
        expect(memory.equals(before)).toBe(true);
        const sha256 = createHash("sha256").update(content).digest("hex");
        expect(saved.map((one) => [one.sha256, one.sizeBytes])).toEqual(
          saved.map(() => [sha256, sizeBytes]),
        );
        const repository = await reopen(fixture, fixture.store);
        const [snapshot] = await repository.snapshots();
        if (snapshot === undefined) throw new Error("no snapshot");
        const reader = await repository.acquireReader();
        const entries = await entriesOf(reader, snapshot);
        expect(entries.map(pathOf)).toEqual(["alone", "beside", "third"]);
        for (const entry of entries)
          expect(Buffer.compare(await contentOf(reader, entry), content)).toBe(0);
      },
    );
  });

  test("stores what comes in, whatever its order, and says what it was", async () => {
    const { repository, store } = await createFixture();
    const table = rows(20_000);
    const noise = randomBytes(3_000_000);
    await using writer = await repository.acquireWriter(WRITER);
    const [a, b, empty] = await Promise.all([
      writer.saveFile(["database", "tables", "a.copy"], streamOf(table), TABLE),
      writer.saveFile(["bucket", "photo"], streamOf(noise, 64_000), { ...FILE, mode: 0o640 }),
      writer.saveFile(["empty"], streamOf(""), TABLE),
    ]);
    expect(a.sha256).toBe(createHash("sha256").update(table).digest("hex"));
    expect(a.sizeBytes).toBe(table.byteLength);
    expect(a.newBytes).toBeLessThan(table.byteLength);
    expect(b.newBytes).toBeGreaterThan(noise.byteLength);
    expect(empty).toMatchObject({ sizeBytes: 0, blobs: 0, newBytes: 0 });
    const summary = await writer.commit(COMMIT);
    expect(summary).toMatchObject({ files: 3, readBytes: table.byteLength + noise.byteLength });
    const stored = await Array.fromAsync(store.list(""));
    const written = stored.filter(({ key }) => /^(data|index|snapshots)\//.test(key));
    expect(summary.writtenBytes).toBe(written.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot(summary.id);
    const entries = await entriesOf(reader, snapshot);
    expect(entries.map(pathOf)).toEqual([
      "bucket",
      "bucket/photo",
      "database",
      "database/tables",
      "database/tables/a.copy",
      "empty",
    ]);
    expect(entries.find((entry) => pathOf(entry) === "bucket/photo")?.mode).toBe(0o640);
    for (const [path, content] of [
      ["bucket/photo", noise],
      ["database/tables/a.copy", table],
      ["empty", Buffer.alloc(0)],
    ] as const) {
      const entry = await reader.find(snapshot, path.split("/"));
      expect(Buffer.compare(Buffer.from(await contentOf(reader, entry)), content)).toBe(0);
    }
  });

  test("stores the same bytes once, also when several files bring them at the same time", async () => {
    const { repository } = await createFixture();
    const noise = randomBytes(500_000);
    await using writer = await repository.acquireWriter(WRITER);
    const saved = await Promise.all(
      ["a", "b", "c", "d"].map((name) => writer.saveFile([name], streamOf(noise), TABLE)),
    );
    const newBytes = saved.reduce((sum, file) => sum + file.newBytes, 0);
    expect(newBytes).toBeGreaterThan(noise.byteLength);
    expect(newBytes).toBeLessThan(noise.byteLength * 1.1);
    const summary = await writer.commit(COMMIT);
    expect(summary.writtenBytes).toBeLessThan(noise.byteLength * 1.2);
  });

  test("writes nothing but a snapshot when nothing changed", async () => {
    const { repository, store } = await createFixture();
    const files = { "t/a": rows(5000, "a"), "t/b": rows(5000, "b") };
    const one = await saveFiles(repository, files);
    const before = await keysOf(store, "data/");
    const two = await saveFiles(repository, files);
    expect(two.tree).toBe(one.tree);
    expect(await keysOf(store, "data/")).toEqual(before);
    expect(await keysOf(store, "index/")).toHaveLength(1);
    // Same time, same tree, and yet two snapshots: each was sealed with an IV of its own.
    expect(two.id).not.toBe(one.id);
  });

  test("stores little when one range of a table changed", async () => {
    const { repository, store } = await createFixture();
    const table = rows(40_000);
    await saveFiles(repository, { "t/a": table });
    const sizeOf = async (): Promise<number> =>
      (await Array.fromAsync(store.list("data/"))).reduce(
        (sum, { sizeBytes }) => sum + sizeBytes,
        0,
      );
    const before = await sizeOf();
    const changed = Buffer.from(table);
    changed.fill("x", 1_000_000, 1_020_000);
    await saveFiles(repository, { "t/a": changed });
    expect((await sizeOf()) - before).toBeLessThan(before * 0.2);
  });

  test("keeps nothing of a file that was discarded, and its path can be taken again", async () => {
    const { repository } = await createFixture();
    await using writer = await repository.acquireWriter(WRITER);
    await writer.saveFile(["a", "b", "0"], streamOf(rows(2000)), TABLE);
    await writer.saveFile(["a", "b", "1"], streamOf("x"), TABLE);
    await writer.saveFile(["c"], streamOf("c"), FILE);
    writer.discard(["a", "b", "0"]);
    writer.discard(["a", "b", "1"]);
    writer.discard(["c"]);
    await writer.saveFile(["c"], streamOf("again"), FILE);
    const { id, files } = await writer.commit(COMMIT);
    expect(files).toBe(1);
    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot(id);
    expect((await entriesOf(reader, snapshot)).map(pathOf)).toEqual(["c"]);
    expect(() => writer.discard(["c"])).toThrow(/committed/);
    expect((await repository.check({ readData: true })).findings).toEqual([]);
  });

  test("reports progress that only grows", async () => {
    const { repository } = await createFixture();
    const seen: WriteProgress[] = [];
    const onProgress = (progress: WriteProgress): void => void seen.push(progress);
    await using writer = await repository.acquireWriter({ ...WRITER, onProgress });
    await writer.saveFile(["a"], streamOf(rows(3000)), TABLE);
    const { readBytes, writtenBytes } = await writer.commit(COMMIT);
    expect(seen.at(-1)).toMatchObject({ readBytes, writtenBytes });
    for (const key of ["readBytes", "writtenBytes", "blobsNew"] as const) {
      expect(seen.map((p) => p[key])).toEqual(seen.map((p) => p[key]).toSorted((a, b) => a - b));
    }
  });

  test("puts packs, then indexes, then the snapshot, and each only after the one before was acknowledged", async () => {
    const fixture = await createFixture();
    const events: string[] = [];
    const inner = fixture.store;
    const store: ObjectStore = {
      ...inner,
      put: async (key, body, options) => {
        const kind = key.split("/")[0] ?? "";
        events.push(`${kind} begins`);
        await inner.put(key, body, options);
        await Promise.resolve();
        events.push(`${kind} ends`);
      },
    };
    await saveFiles(await reopen(fixture, store), { a: randomBytes(40_000_000), b: "b" });
    const relevant = events.filter((event) => !event.startsWith("locks"));
    const lastData = relevant.lastIndexOf("data ends");
    const lastIndex = relevant.lastIndexOf("index ends");
    expect(relevant.indexOf("index begins")).toBeGreaterThan(lastData);
    expect(relevant.indexOf("snapshots begins")).toBeGreaterThan(lastIndex);
    expect(relevant.filter((event) => event === "snapshots ends")).toHaveLength(1);
    expect(relevant.filter((event) => event === "data ends").length).toBeGreaterThanOrEqual(3);
  });
});

describe("a writer that fails", () => {
  test("in one file's stream says so, forgets the file and goes on", async () => {
    const { repository } = await createFixture();
    await using writer = await repository.acquireWriter(WRITER);
    const lost = new Error("connection lost");
    await expect(writer.saveFile(["a"], failing(lost), TABLE)).rejects.toBe(lost);
    // The path is free again, and what the failed file began is shared with the one that comes after it.
    await writer.saveFile(["a"], streamOf(rows(2000)), TABLE);
    await writer.saveFile(["b"], streamOf("b"), TABLE);
    const { id, files } = await writer.commit(COMMIT);
    expect(files).toBe(2);
    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot(id);
    expect(await contentOf(reader, await reader.find(snapshot, ["a"]))).toEqual(rows(2000));
    expect((await repository.check({ readData: true })).findings).toEqual([]);
  });

  test("to upload commits nothing, tells the cause, and leaves no lock", async () => {
    const fixture = await createFixture();
    const inner = fixture.store;
    const store: ObjectStore = {
      ...inner,
      put: async (key, body, options) => {
        if (key.startsWith("data/"))
          throw objectStoreError("full", { message: "disk that is full" });
        await inner.put(key, body, options);
      },
    };
    const repository = await reopen(fixture, store);
    const full = expect.objectContaining({ code: "objectstore.full" });
    await expect(saveFiles(repository, { a: "a" })).rejects.toThrow(full);
    await expect(saveFiles(repository, { a: randomBytes(60_000_000) })).rejects.toThrow(full);
    expect(await keysOf(inner, "snapshots/")).toEqual([]);
    expect(await keysOf(inner, "index/")).toEqual([]);
    expect(await keysOf(inner, "locks/")).toEqual([]);
  });

  test("to write the index commits nothing", async () => {
    const fixture = await createFixture();
    const inner = fixture.store;
    const store: ObjectStore = {
      ...inner,
      put: async (key, body, options) => {
        if (key.startsWith("index/")) throw objectStoreError("unavailable", { message: "away" });
        await inner.put(key, body, options);
      },
    };
    const repository = await reopen(fixture, store);
    await expect(saveFiles(repository, { a: "a" })).rejects.toThrow(
      expect.objectContaining({ code: "objectstore.unavailable" }),
    );
    expect(await keysOf(inner, "snapshots/")).toEqual([]);
    expect((await fixture.repository.check({ readData: true })).findings).toMatchObject([
      { severity: "information", code: "pack_unreferenced" },
      { severity: "information", code: "pack_unreferenced" },
    ]);
    // The next backup works.
    const snapshot = await saveFiles(fixture.repository, { a: "a" });
    const reader = await fixture.repository.acquireReader();
    expect((await contentOf(reader, await reader.find(snapshot, ["a"]))).toString()).toBe("a");
  });

  test("because its lock was removed commits nothing", async () => {
    const { repository, store } = await createFixture();
    await using writer = await repository.acquireWriter(WRITER);
    await writer.saveFile(["a"], streamOf("a"), TABLE);
    for (const key of await keysOf(store, "locks/")) await store.remove(key);
    await expect(writer.commit(COMMIT)).rejects.toThrow(
      expect.objectContaining({ code: "repository.lock_lost" }),
    );
    expect(await keysOf(store, "snapshots/")).toEqual([]);
  });

  test("because its lock could not be refreshed stops in the middle and commits nothing", async () => {
    const fixture = await createFixture();
    const inner = fixture.store;
    let away = false;
    const store: ObjectStore = {
      ...inner,
      put: async (key, body, options) => {
        if (away) throw objectStoreError("unavailable", { message: "store that is away" });
        await inner.put(key, body, options);
      },
    };
    const lost = expect.objectContaining({ code: "repository.lock_lost" });
    {
      await using writer = await (await reopen(fixture, store)).acquireWriter(WRITER);
      const source = async function* (): AsyncGenerator<Bytes> {
        yield* streamOf(rows(100));
        away = true;
        fixture.clock.advance(26 * 60_000);
        yield* streamOf(rows(100));
      };
      await expect(writer.saveFile(["a"], source(), TABLE)).rejects.toThrow(lost);
      away = false;
      await expect(writer.commit(COMMIT)).rejects.toThrow(lost);
    }
    expect(await keysOf(inner, "snapshots/")).toEqual([]);
    expect(await keysOf(inner, "locks/")).toEqual([]);
  });

  test("because it was aborted stops, commits nothing and leaves no lock", async () => {
    const { repository, store } = await createFixture();
    const controller = new AbortController();
    const cancelled = expect.objectContaining({ code: "kernel.cancelled" });
    {
      const options = { ...WRITER, signal: controller.signal };
      await using writer = await repository.acquireWriter(options);
      const endless = async function* (): AsyncGenerator<Bytes> {
        for (let i = 0; ; i += 1) {
          if (i === 20) controller.abort();
          yield rows(1000, String(i));
          await Promise.resolve();
        }
      };
      await expect(writer.saveFile(["a"], endless(), TABLE)).rejects.toThrow(cancelled);
      await expect(writer.saveFile(["b"], streamOf("b"), TABLE)).rejects.toThrow(cancelled);
      await expect(writer.commit(COMMIT)).rejects.toThrow(cancelled);
    }
    expect(await keysOf(store, "snapshots/")).toEqual([]);
    expect(await keysOf(store, "locks/")).toEqual([]);
  });

  test("by its caller's mistake says which: twice committed, late, unfinished", async () => {
    const { repository } = await createFixture();
    const closed = expect.objectContaining({ code: "repository.writer_closed" });
    const writer = await repository.acquireWriter(WRITER);
    const gate = Promise.withResolvers<void>();
    const slow = async function* (): AsyncGenerator<Bytes> {
      yield Buffer.from("a");
      await gate.promise;
    };
    const saving = writer.saveFile(["slow"], slow(), TABLE);
    await expect(writer.commit(COMMIT)).rejects.toThrow(closed);
    gate.resolve();
    await saving;
    await expect(writer.saveFile(["slow"], streamOf("x"), TABLE)).rejects.toThrow(
      expect.objectContaining({ code: "repository.duplicate_path" }),
    );
    await writer.commit(COMMIT);
    await expect(writer.commit(COMMIT)).rejects.toThrow(closed);
    await expect(writer.saveFile(["late"], streamOf("x"), TABLE)).rejects.toThrow(closed);
    await writer[Symbol.asyncDispose]();
    await writer[Symbol.asyncDispose]();
    await expect(writer.saveFile(["later"], streamOf("x"), TABLE)).rejects.toThrow(closed);
  });
});

/** Resolves when nothing else is to be done but what waits for the outside: zlib and hashes here are synchronous. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

test("memory in flight is bounded: a slow store holds the reading of the source back", async () => {
  const fixture = await createFixture();
  const inner = fixture.store;
  const gate = Promise.withResolvers<void>();
  const store: ObjectStore = {
    ...inner,
    put: async (key, body, options) => {
      if (key.startsWith("data/")) await gate.promise;
      await inner.put(key, body, options);
    },
  };
  const repository = await reopen(fixture, store);
  await using writer = await repository.acquireWriter(WRITER);
  let readBytes = 0;
  const source = async function* (): AsyncGenerator<Bytes> {
    for (let i = 0; i < 150; i += 1) {
      readBytes += 1_000_000;
      yield randomFillSync(new Uint8Array(1_000_000), 0);
      await Promise.resolve();
    }
  };
  const saving = writer.saveFile(["a"], source(), FILE);
  let before = -1;
  while (before !== readBytes) {
    before = readBytes;
    await settle();
  }
  // Two packs being uploaded, one that waits, two open ones, and what is in flight before them.
  expect(readBytes).toBeGreaterThan(48_000_000);
  expect(readBytes).toBeLessThan(110_000_000);
  gate.resolve();
  expect((await saving).sizeBytes).toBe(150_000_000);
});
