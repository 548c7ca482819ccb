import { describe, expect, test } from "vitest";
import { asBlobId, equalBytes, fromHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { objectStoreError } from "../../objectstore/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { formatIndex } from "../index/index-file.ts";
import {
  contentOf,
  createFixture,
  entriesOf,
  FILE,
  flipByte,
  keysOf,
  overwrite,
  pathOf,
  reopen,
  rows,
  saveFiles,
  streamOf,
  WRITER,
} from "../testing/fixtures.ts";
import type { Fixture } from "../testing/fixtures.ts";
import { addIndex, coreOf, poison, readIndexes } from "../testing/poison.ts";

const FILES = {
  "database/tables/public/orders": rows(8000, "orders"),
  "database/tables/public/shops": rows(10, "shops"),
  "database/schema.dump": "schema",
  "manifest.json": "{}",
};

function code(expected: string): unknown {
  return expect.objectContaining({ code: expected });
}

/** The one pack that holds data, and the one that holds trees. */
async function packKeys({ store }: Fixture): Promise<{ data: string; tree: string }> {
  const stats = (await Array.fromAsync(store.list("data/"))).sort(
    (a, b) => b.sizeBytes - a.sizeBytes,
  );
  const [data, tree] = stats.map(({ key }) => key);
  if (data === undefined || tree === undefined) throw new Error("two packs");
  return { data, tree };
}

describe("entries", () => {
  test("come depth first, parents before children, sorted", async () => {
    const { repository } = await createFixture();
    const snapshot = await saveFiles(repository, FILES);
    const reader = await repository.acquireReader();
    expect((await entriesOf(reader, snapshot)).map((e) => `${e.type} ${pathOf(e)}`)).toEqual([
      "dir database",
      "file database/schema.dump",
      "dir database/tables",
      "dir database/tables/public",
      "file database/tables/public/orders",
      "file database/tables/public/shops",
      "file manifest.json",
    ]);
  });

  test("below a folder, of one level, or of one file", async () => {
    const { repository } = await createFixture();
    const snapshot = await saveFiles(repository, FILES);
    const reader = await repository.acquireReader();
    const list = async (options: { below: string[]; recursive?: boolean }): Promise<string[]> =>
      (await Array.fromAsync(reader.entries(snapshot, options))).map(pathOf);
    expect(await list({ below: ["database"], recursive: false })).toEqual([
      "database/schema.dump",
      "database/tables",
    ]);
    expect(await list({ below: ["database", "tables", "public"] })).toHaveLength(2);
    expect(await list({ below: ["manifest.json"] })).toEqual(["manifest.json"]);
    await expect(list({ below: ["nowhere"] })).rejects.toThrow(code("repository.path_not_found"));
  });

  test("keep true names whatever they hold, and what was stored with them", async () => {
    const { repository } = await createFixture();
    const names: (string | Bytes)[] = [
      "a/b",
      "\0",
      ".",
      "..",
      "",
      "100%",
      "a%2Fb",
      "%-x",
      "x".repeat(300),
      'quote"\\\n',
      "<&>",
      Buffer.from([0xff, 0xfe]),
      "NFC é",
      "NFD e\u0301",
      "trailing. ",
    ];
    await using writer = await repository.acquireWriter(WRITER);
    const extendedAttributes = { "user.etag": Buffer.from([0, 255]) };
    for (const name of names) {
      await writer.saveFile(["bucket", name], streamOf(name), { ...FILE, extendedAttributes });
    }
    const { id } = await writer.commit({ time: new Date(), paths: ["/"], tags: [] });
    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot(id);
    const found = (await entriesOf(reader, snapshot)).filter(({ type }) => type === "file");
    const hex = (name: string | Bytes | undefined): string =>
      Buffer.from(name ?? "?").toString("hex");
    expect(found.map(({ path }) => hex(path[1])).sort()).toEqual(names.map(hex).sort());
    for (const name of names) {
      const entry = await reader.find(snapshot, ["bucket", name]);
      expect(Buffer.from(await contentOf(reader, entry)).toString("hex")).toBe(hex(name));
      expect(entry.extendedAttributes).toEqual(extendedAttributes);
      expect(entry.modifiedAt).toEqual(FILE.modifiedAt);
    }
  });

  test("of a huge folder are listed as if it were not sharded, and each is found", async () => {
    const { repository } = await createFixture();
    const names = Array.from({ length: 3000 }, (_, i) => `object-${(i * 7919) % 3000}.jpg`);
    await using writer = await repository.acquireWriter(WRITER);
    for (const name of names) await writer.saveFile(["bucket", name], streamOf(name), FILE);
    const { id } = await writer.commit({ time: new Date(), paths: ["/"], tags: [] });
    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot(id);
    const listed = (await entriesOf(reader, snapshot)).map(pathOf);
    expect(listed).toEqual(["bucket", ...names.toSorted().map((name) => `bucket/${name}`)]);
    for (const name of [...names.slice(0, 40), "object-0.jpg", "object-999.jpg"]) {
      expect((await reader.find(snapshot, ["bucket", name])).sizeBytes).toBe(name.length);
    }
    await expect(reader.find(snapshot, ["bucket", "object-"])).rejects.toThrow(
      code("repository.path_not_found"),
    );
    await expect(reader.find(snapshot, ["bucket", "zzz"])).rejects.toThrow(
      code("repository.path_not_found"),
    );
  });

  test("through a file, of an empty path, or of nothing are not found", async () => {
    const { repository } = await createFixture();
    const snapshot = await saveFiles(repository, FILES);
    const reader = await repository.acquireReader();
    for (const path of [["manifest.json", "x"], [], ["database", ".."], ["Database"]]) {
      await expect(reader.find(snapshot, path)).rejects.toThrow(code("repository.path_not_found"));
    }
  });
});

describe("reading", () => {
  test("a folder is refused", async () => {
    const { repository } = await createFixture();
    const snapshot = await saveFiles(repository, FILES);
    const reader = await repository.acquireReader();
    const folder = await reader.find(snapshot, ["database"]);
    await expect(contentOf(reader, folder)).rejects.toThrow(code("repository.not_a_file"));
  });

  test("stops when aborted", async () => {
    const { repository } = await createFixture();
    const snapshot = await saveFiles(repository, FILES);
    const reader = await repository.acquireReader();
    const entry = await reader.find(snapshot, ["database", "tables", "public", "orders"]);
    const signal = AbortSignal.abort();
    await expect(Array.fromAsync(reader.read(entry, { signal }))).rejects.toThrow(
      expect.objectContaining({ code: "kernel.cancelled" }),
    );
  });

  test("takes few requests: neighbours are read together", async () => {
    const fixture = await createFixture();
    const snapshot = await saveFiles(fixture.repository, FILES);
    let requests = 0;
    const store: ObjectStore = {
      ...fixture.store,
      getRange: async (key, range, options) => {
        requests += 1;
        return await fixture.store.getRange(key, range, options);
      },
    };
    const reader = await (await reopen(fixture, store)).acquireReader();
    const entry = await reader.find(snapshot, ["database", "tables", "public", "orders"]);
    expect(entry.content.length).toBeGreaterThan(8);
    requests = 0;
    expect(await contentOf(reader, entry)).toEqual(FILES["database/tables/public/orders"]);
    expect(requests).toBe(1);
  });

  test("asks again once before it calls a blob damaged", async () => {
    const fixture = await createFixture();
    const snapshot = await saveFiles(fixture.repository, { a: "content" });
    let reads = 0;
    const store: ObjectStore = {
      ...fixture.store,
      getRange: async (key, range, options) => {
        const bytes = Buffer.from(await fixture.store.getRange(key, range, options));
        reads += 1;
        return reads % 2 === 1 ? flipByte(20)(bytes) : bytes;
      },
    };
    const reader = await (await reopen(fixture, store)).acquireReader();
    const entry = await reader.find(snapshot, ["a"]);
    expect((await contentOf(reader, entry)).toString()).toBe("content");
  });

  test.for([[20], [0.5], [-20], [20, 0.5, -20]])(
    "puts what was damaged on the way, at %j, in its place among its neighbours",
    async (places) => {
      const fixture = await createFixture();
      // The same blob twice in one window, and some more on each side.
      const same = new Uint8Array(600_000);
      const content = Buffer.concat([rows(6000, "a"), same, rows(3000, "b"), same]);
      const snapshot = await saveFiles(fixture.repository, { "database/tables/t": content });
      let requests = 0;
      const store: ObjectStore = {
        ...fixture.store,
        getRange: async (key, range, options) => {
          const bytes = Buffer.from(await fixture.store.getRange(key, range, options));
          requests += 1;
          if (requests > 1) return bytes;
          for (const place of places) {
            flipByte(Math.floor(place % 1 === 0 ? place : place * bytes.byteLength))(bytes);
          }
          return bytes;
        },
      };
      const reader = await (await reopen(fixture, store)).acquireReader();
      const entry = await reader.find(snapshot, ["database", "tables", "t"]);
      expect(new Set(entry.content).size).toBeLessThan(entry.content.length);
      requests = 0;
      expect(equalBytes(await contentOf(reader, entry), content)).toBe(true);
      expect(requests).toBeGreaterThan(places.length);
    },
  );

  test("of a damaged blob names it and its pack", async () => {
    const fixture = await createFixture();
    const snapshot = await saveFiles(fixture.repository, FILES);
    const { data } = await packKeys(fixture);
    await overwrite(fixture.store, data, flipByte(20));
    const reader = await fixture.repository.acquireReader();
    const files = (await entriesOf(reader, snapshot)).filter(({ type }) => type === "file");
    const results = await Promise.allSettled(files.map((entry) => contentOf(reader, entry)));
    const errors = results.filter(({ status }) => status === "rejected");
    expect(errors).toMatchObject([
      {
        reason: {
          code: "repository.blob_damaged",
          kind: "corrupt",
          subject: { packs: data.slice(-64) },
        },
      },
    ]);
  });

  test("of a pack that is gone, or cut, says which", async () => {
    const fixture = await createFixture();
    const snapshot = await saveFiles(fixture.repository, FILES);
    const { data } = await packKeys(fixture);
    const reader = await fixture.repository.acquireReader();
    const entry = await reader.find(snapshot, ["database", "tables", "public", "orders"]);
    await overwrite(fixture.store, data, (bytes) => bytes.subarray(0, 100));
    await expect(contentOf(reader, entry)).rejects.toThrow(code("repository.blob_damaged"));
    await fixture.store.remove(data);
    await expect(contentOf(reader, entry)).rejects.toThrow(code("repository.blob_not_found"));
  });

  test("of a store that is away says that, and not that anything is damaged", async () => {
    const fixture = await createFixture();
    const snapshot = await saveFiles(fixture.repository, FILES);
    const store: ObjectStore = {
      ...fixture.store,
      getRange: () => Promise.reject(objectStoreError("unavailable", { message: "away" })),
    };
    const reader = await (await reopen(fixture, store)).acquireReader();
    await expect(reader.find(snapshot, ["manifest.json"])).rejects.toThrow(
      expect.objectContaining({ code: "objectstore.unavailable" }),
    );
  });

  test("tells which blobs an index places", async () => {
    const { repository } = await createFixture();
    const snapshot = await saveFiles(repository, { a: "content" });
    const reader = await repository.acquireReader();
    const [blob = asBlobId("")] = (await reader.find(snapshot, ["a"])).content;
    expect(reader.holds(blob)).toBe(true);
    expect(reader.holds(asBlobId("ab".repeat(32)))).toBe(false);
  });
});

describe("a poisoned index", () => {
  test.for(["before", "after"] as const)(
    "read %s the true one hides nothing and is told",
    async (order) => {
      const fixture = await createFixture();
      const snapshot = await saveFiles(fixture.repository, FILES);
      const pack = await poison(fixture, snapshot, order);
      const reader = await fixture.repository.acquireReader();
      for await (const entry of reader.entries(snapshot)) {
        if (entry.type !== "file") continue;
        const expected = Object.entries(FILES).find(([path]) => path === pathOf(entry))?.[1] ?? "";
        expect(Buffer.from(await contentOf(reader, entry)).toString()).toBe(expected.toString());
      }
      expect(reader.conflicts.length).toBeGreaterThan(5);
      expect(reader.conflicts.every(({ packs }) => packs.includes(pack))).toBe(true);
    },
  );

  test("is none where two writers stored the same blob at once, and either copy will do", async () => {
    const fixture = await createFixture();
    await using one = await fixture.repository.acquireWriter(WRITER);
    await using two = await fixture.repository.acquireWriter(WRITER);
    await one.saveFile(["a"], streamOf("same"), FILE);
    await two.saveFile(["b"], streamOf("same"), FILE);
    const commit = { time: new Date(), paths: ["/"], tags: [] };
    const { id } = await one.commit(commit);
    await two.commit(commit);
    const reader = await fixture.repository.acquireReader();
    expect(reader.conflicts).toHaveLength(1);
    const [pack] = reader.conflicts[0]?.packs ?? [];
    await fixture.store.remove(`data/${pack?.slice(0, 2)}/${pack}`);
    const snapshot = await fixture.repository.resolveSnapshot(id);
    const entry = await reader.find(snapshot, ["a"]);
    expect((await contentOf(reader, entry)).toString()).toBe("same");
  });
});

test("an index that a prune replaces between listing and reading is found under its new name", async () => {
  const fixture = await createFixture();
  const snapshot = await saveFiles(fixture.repository, { a: "content" });
  const core = await coreOf(fixture);
  let replaced = false;
  const store: ObjectStore = {
    ...fixture.store,
    get: async (key, options) => {
      if (key.startsWith("index/") && !replaced) {
        replaced = true;
        await addIndex(core, formatIndex(await readIndexes(core)), "after");
        await fixture.store.remove(key);
      }
      return await fixture.store.get(key, options);
    },
  };
  const reader = await (await reopen(fixture, store)).acquireReader();
  expect(replaced).toBe(true);
  const entry = await reader.find(snapshot, ["a"]);
  expect((await contentOf(reader, entry)).toString()).toBe("content");
});

test("a damaged index is an error: what it listed would seem to be missing", async () => {
  const { repository, store } = await createFixture();
  await saveFiles(repository, FILES);
  const [index = ""] = await keysOf(store, "index/");
  await overwrite(store, index, flipByte(30));
  await expect(repository.acquireReader()).rejects.toThrow(code("repository.index_damaged"));
  await expect(repository.acquireWriter(WRITER)).rejects.toThrow(code("repository.index_damaged"));
  expect(await keysOf(store, "locks/")).toEqual([]);
});

test("a tree that is no tree is damaged, and says which", async () => {
  const fixture = await createFixture();
  const snapshot = await saveFiles(fixture.repository, { a: "not a tree" });
  const reader = await fixture.repository.acquireReader();
  const [blob = asBlobId("")] = (await reader.find(snapshot, ["a"])).content;
  expect(fromHex(blob)).toHaveLength(32);
  await poison(fixture, snapshot, "after", { asTree: blob });
  const fresh = await fixture.repository.acquireReader();
  await expect(entriesOf(fresh, { ...snapshot, tree: blob })).rejects.toThrow(
    code("repository.tree_damaged"),
  );
});
