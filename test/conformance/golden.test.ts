import { cp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import { createTemporaryFolder, listKeys } from "../../src/objectstore/testing/index.ts";
import { entriesOf, filesBelow } from "../support/restic-files.ts";
import { keysFromFile, open, openBlob, openJson, seal, sha256 } from "../support/restic-format.ts";
import type { IndexJson } from "../support/restic-format.ts";
import { backUp, expectedFiles, openOurs, storeAt } from "../support/restic-repository.ts";
import { createRestic, RESTIC_VERSIONS } from "../support/restic.ts";
import { createGolden, GOLDEN_FILES, GOLDEN_PASSWORD } from "./golden/make.ts";

/** Written once and checked in: what every later version must read, and what none may write differently by accident. */
const GOLDEN = join(import.meta.dirname, "golden/repository");
const KEYS = {
  encrypt: "47bebd67e55d1ee90357a5ce22b2703193035cefbc9dbec45481df664778d16f",
  k: "a65e708bf319065a6e3e2635aae02596",
  r: "bc6cce2467fe91e66b168a07a661c66d",
};

async function goldenFiles(folder: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const name of await readdir(join(GOLDEN, folder), { recursive: true })) {
    if (/[0-9a-f]{64}$/.test(name)) found.set(name, await readFile(join(GOLDEN, folder, name)));
  }
  return found;
}

async function goldenKeys(): Promise<ReturnType<typeof keysFromFile>> {
  const [keyFile] = (await goldenFiles("keys")).values();
  return keysFromFile(keyFile ?? Buffer.alloc(0), GOLDEN_PASSWORD);
}

describe("the golden repository", () => {
  test("is read by our reader", async () => {
    const repository = await openOurs(storeAt(GOLDEN), GOLDEN_PASSWORD);
    const reader = await repository.acquireReader();
    const snapshots = await repository.snapshots();
    expect(snapshots).toHaveLength(GOLDEN_FILES.length);
    for (const [index, snapshot] of snapshots.entries()) {
      const expected = await expectedFiles(GOLDEN_FILES[index] ?? []);
      // Our reader gives true names, which are not paths.
      expect(await entriesOf(reader, reader.entries(snapshot))).toEqual(expected);
    }
    expect((await repository.check({ readData: true })).findings).toEqual([]);
  });

  test.for(RESTIC_VERSIONS)("is read by restic %s", async (version) => {
    await using folder = await createTemporaryFolder();
    const copy = join(folder.path, "repository");
    await cp(GOLDEN, copy, { recursive: true });
    await using restic = await createRestic(version, copy, GOLDEN_PASSWORD);
    await restic.run(["check", "--read-data"]);
    const snapshots = await (await openOurs(storeAt(copy), GOLDEN_PASSWORD)).snapshots();
    for (const [index, { id }] of snapshots.entries()) {
      const out = join(folder.path, `out ${index}`);
      await restic.run(["restore", id, "--target", out]);
      const expected = await expectedFiles(GOLDEN_FILES[index] ?? []);
      const escaped = [...expected].map(([path, file]) => [path.replace("a/b%", "a%2Fb%25"), file]);
      expect(Object.fromEntries(await filesBelow(out))).toEqual(Object.fromEntries(escaped));
    }
  });

  test("has the key that it was given, byte by byte", async () => {
    const keys = await goldenKeys();
    expect({
      encrypt: keys.encrypt.toString("hex"),
      k: keys.k.toString("hex"),
      r: keys.r.toString("hex"),
    }).toEqual(KEYS);
  });

  test("has the config, key file and derived keys that are written today", async () => {
    const store = createMemoryStore({ clock: systemClock });
    const today = await createGolden(store);
    const written = new Map<string, string>();
    for (const key of await listKeys(store, "")) {
      // Records beside came later.
      if (key.startsWith("sparekeep/")) continue;
      written.set(key, Buffer.from(await store.get(key)).toString("hex"));
    }
    const golden = new Map<string, string>();
    golden.set("config", (await readFile(join(GOLDEN, "config"))).toString("hex"));
    for (const [name, bytes] of await goldenFiles("keys")) {
      golden.set(`keys/${name}`, bytes.toString("hex"));
    }
    expect(written).toEqual(golden);
    const opened = await openOurs(storeAt(GOLDEN), GOLDEN_PASSWORD);
    expect(today.deriveKey("row-hash")).toEqual(opened.deriveKey("row-hash"));
    expect(Buffer.from(opened.deriveKey("row-hash")).toString("hex")).toBe(
      "700c1f75fc948a19f6da3ceae23a3348a52817f7265edb4ff16c72e9c878e66d",
    );
  });

  test("opens by the design document alone: every file, header and blob", async () => {
    const keys = await goldenKeys();
    const config: unknown = JSON.parse(
      open(await readFile(join(GOLDEN, "config")), keys).toString(),
    );
    expect(config).toMatchSnapshot("config");
    const snapshots = [...(await goldenFiles("snapshots"))].map(([name, bytes]) => {
      expect(sha256(bytes)).toBe(name);
      return openJson(bytes, keys);
    });
    expect(snapshots).toMatchSnapshot("snapshots");
    const packs = new Map<string, Buffer>();
    for (const bytes of (await goldenFiles("data")).values()) packs.set(sha256(bytes), bytes);
    const trees: string[] = [];
    let blobs = 0;
    for (const bytes of (await goldenFiles("index")).values()) {
      for (const pack of (openJson(bytes, keys) as IndexJson).packs) {
        const stored = packs.get(pack.id) ?? Buffer.alloc(0);
        expect(headerOf(stored, keys)).toEqual(pack.blobs.map(headerEntryOf));
        for (const blob of pack.blobs) {
          const plain = openBlob(stored, blob, keys);
          expect(sha256(plain)).toBe(blob.id);
          if (blob.type === "tree") trees.push(plain.toString());
          blobs += 1;
        }
      }
    }
    expect(blobs).toBeGreaterThan(6);
    expect(trees).toMatchSnapshot("trees");
  });

  test("is sealed as a second implementation seals with the same IV", async () => {
    const keys = await goldenKeys();
    const sealed = await readFile(join(GOLDEN, "config"));
    expect(seal(open(sealed, keys), keys, sealed.subarray(0, 16)).toString("hex")).toBe(
      sealed.toString("hex"),
    );
  });

  test("gains nothing from a backup of the same files: chunks are cut where they were", async () => {
    await using folder = await createTemporaryFolder();
    await cp(GOLDEN, folder.path, { recursive: true });
    const repository = await openOurs(storeAt(folder.path), GOLDEN_PASSWORD);
    for (const files of GOLDEN_FILES) {
      const { blobsNew, blobsKnown } = await backUp(repository, files);
      expect([blobsNew, blobsKnown > 3]).toEqual([0, true]);
    }
  });
});

/** Entries of a pack's own header, docs/spec/repository.md §pack-header. */
function headerOf(pack: Buffer, keys: ReturnType<typeof keysFromFile>): unknown[] {
  const lengthBytes = pack.readUInt32LE(pack.byteLength - 4);
  const header = open(pack.subarray(-4 - lengthBytes, -4), keys);
  const entries: unknown[] = [];
  for (let at = 0; at < header.byteLength;) {
    const type = header[at] ?? 0;
    const compressed = type >= 2;
    const id = header.subarray(at + (compressed ? 9 : 5)).subarray(0, 32);
    entries.push({
      type: type % 2 === 1 ? "tree" : "data",
      length: header.readUInt32LE(at + 1),
      plain: compressed ? header.readUInt32LE(at + 5) : undefined,
      id: id.toString("hex"),
    });
    at += compressed ? 41 : 37;
  }
  return entries;
}

function headerEntryOf(blob: IndexJson["packs"][number]["blobs"][number]): unknown {
  return { type: blob.type, length: blob.length, plain: blob.uncompressed_length, id: blob.id };
}
