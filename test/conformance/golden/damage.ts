import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { keysFromFile, openJson, seal, sha256 } from "../../support/restic-format.ts";
import type { FormatKeys, IndexJson } from "../../support/restic-format.ts";
import { GOLDEN_PASSWORD } from "./make.ts";

/** One repository, damaged in one way. Everything that a case writes is the same in every run. */
export interface Damage {
  readonly name: string;
  readonly apply: (repository: GoldenCopy) => Promise<void>;
}

interface Pack {
  readonly id: string;
  readonly path: string;
}

export class GoldenCopy {
  readonly folder: string;
  readonly keys: FormatKeys;

  private constructor(folder: string, keys: FormatKeys) {
    this.folder = folder;
    this.keys = keys;
  }

  static async open(folder: string): Promise<GoldenCopy> {
    const [name = ""] = await readdir(join(folder, "keys"));
    const keyFile = await readFile(join(folder, "keys", name));
    return new GoldenCopy(folder, keysFromFile(keyFile, GOLDEN_PASSWORD));
  }

  /** In the order of their names. */
  async names(folder: string): Promise<string[]> {
    return (await readdir(join(this.folder, folder))).sort((a, b) => (a < b ? -1 : 1));
  }

  async nth(folder: string, index: number): Promise<string> {
    const name = (await this.names(folder))[index];
    if (name === undefined) throw new Error(`no file ${index} in ${folder}`);
    return join(folder, name);
  }

  async indexes(): Promise<{ path: string; json: IndexJson }[]> {
    const found = [];
    for (const name of await this.names("index")) {
      const path = join("index", name);
      found.push({ path, json: openJson(await this.read(path), this.keys) as IndexJson });
    }
    return found;
  }

  /** The first pack in the order of ids that holds blobs of this type, and at least so many. */
  async pack(type: "data" | "tree", leastBlobs = 1): Promise<Pack & IndexJson["packs"][number]> {
    const packs = (await this.indexes()).flatMap(({ json }) => json.packs);
    packs.sort((a, b) => (a.id < b.id ? -1 : 1));
    const found = packs.find(
      ({ blobs }) => blobs.length >= leastBlobs && blobs.every((blob) => blob.type === type),
    );
    if (found === undefined) throw new Error(`no pack of ${type}`);
    return { ...found, path: join("data", found.id.slice(0, 2), found.id) };
  }

  read(path: string): Promise<Buffer> {
    return readFile(join(this.folder, path));
  }

  async write(path: string, bytes: Uint8Array | string): Promise<void> {
    const target = join(this.folder, path);
    await mkdir(dirname(target), { recursive: true });
    await rm(target, { force: true });
    await writeFile(target, bytes);
  }

  async remove(path: string): Promise<void> {
    await rm(join(this.folder, path));
  }

  async move(from: string, to: string): Promise<void> {
    await mkdir(dirname(join(this.folder, to)), { recursive: true });
    await rename(join(this.folder, from), join(this.folder, to));
  }

  /** `at` counts from the end when negative. */
  async flip(path: string, at: number): Promise<void> {
    const bytes = await this.read(path);
    const place = at < 0 ? bytes.byteLength + at : at;
    bytes[place] = (bytes[place] ?? 0) ^ 0x04;
    await this.write(path, bytes);
  }

  async truncate(path: string, lengthOf: (sizeBytes: number) => number): Promise<void> {
    const bytes = await this.read(path);
    await this.write(path, bytes.subarray(0, lengthOf(bytes.byteLength)));
  }

  /** Uncompressed and with a fixed IV, so that its id is the same with every zstd. */
  async addSealed(folder: string, value: unknown): Promise<string> {
    const json = JSON.stringify(value);
    const bytes = seal(
      Buffer.from(json),
      this.keys,
      Buffer.from(sha256(Buffer.from(json)), "hex").subarray(0, 16),
    );
    await this.write(join(folder, sha256(bytes)), bytes);
    return sha256(bytes);
  }

  /** A pack of one uncompressed blob and the index that names it. */
  async addBlob(type: "data" | "tree", plain: Buffer): Promise<string> {
    const iv = Buffer.from(sha256(plain), "hex").subarray(0, 16);
    const id = sha256(plain);
    const sealed = seal(plain, this.keys, iv);
    const entry = Buffer.alloc(37);
    entry[0] = type === "tree" ? 1 : 0;
    entry.writeUInt32LE(sealed.byteLength, 1);
    entry.write(id, 5, "hex");
    const header = seal(entry, this.keys, Buffer.from(iv).reverse());
    const length = Buffer.alloc(4);
    length.writeUInt32LE(header.byteLength);
    const pack = Buffer.concat([sealed, header, length]);
    const packId = sha256(pack);
    await this.write(join("data", packId.slice(0, 2), packId), pack);
    const blobs = [{ id, type, offset: 0, length: sealed.byteLength }];
    await this.addSealed("index", { packs: [{ id: packId, blobs }] });
    return id;
  }

  async addSnapshot(tree: string): Promise<string> {
    const who = { hostname: "golden", username: "golden" };
    const time = "2026-02-01T00:00:00Z";
    return this.addSealed("snapshots", { time, tree, paths: ["/app"], ...who });
  }

  async addTree(nodes: readonly unknown[]): Promise<string> {
    return this.addBlob("tree", Buffer.from(`${JSON.stringify({ nodes })}\n`));
  }
}

/** A node as restic writes it. */
function node(name: string, more: Readonly<Record<string, unknown>>): unknown {
  const time = "2026-02-01T00:00:00Z";
  const times = { mtime: time, atime: time, ctime: time };
  return { name, type: "file", mode: 384, ...times, uid: 0, gid: 0, content: null, ...more };
}

const NOWHERE = "ab".repeat(32);

const packDamages: readonly Damage[] = [
  {
    name: "a data pack is missing",
    apply: async (copy) => copy.remove((await copy.pack("data")).path),
  },
  {
    name: "a tree pack is missing",
    apply: async (copy) => copy.remove((await copy.pack("tree")).path),
  },
  {
    name: "a data pack lacks its last byte",
    apply: async (copy) => copy.truncate((await copy.pack("data")).path, (size) => size - 1),
  },
  {
    name: "a data pack is cut to half",
    apply: async (copy) => copy.truncate((await copy.pack("data")).path, (size) => size >> 1),
  },
  {
    name: "a data pack is empty",
    apply: async (copy) => copy.truncate((await copy.pack("data")).path, () => 0),
  },
  {
    name: "a data pack has grown",
    apply: async (copy) => {
      const { path } = await copy.pack("data");
      await copy.write(path, Buffer.concat([await copy.read(path), Buffer.from("more")]));
    },
  },
  {
    name: "one bit of a blob is flipped",
    apply: async (copy) => copy.flip((await copy.pack("data", 2)).path, 40),
  },
  {
    name: "one bit of a tree blob is flipped",
    apply: async (copy) => copy.flip((await copy.pack("tree")).path, 40),
  },
  {
    name: "one bit of a pack's header is flipped",
    apply: async (copy) => copy.flip((await copy.pack("data")).path, -20),
  },
  {
    name: "one bit of a pack's header length is flipped",
    apply: async (copy) => copy.flip((await copy.pack("data")).path, -4),
  },
  {
    name: "a pack lies under another's name",
    apply: async (copy) => {
      const { path } = await copy.pack("data");
      const other = await copy.pack("tree");
      await copy.write(path, await copy.read(other.path));
    },
  },
];

const indexDamages: readonly Damage[] = [
  { name: "an index is missing", apply: async (copy) => copy.remove(await copy.nth("index", 0)) },
  {
    name: "every index is missing",
    apply: async (copy) => {
      for (const name of await copy.names("index")) await copy.remove(join("index", name));
    },
  },
  {
    name: "one bit of an index is flipped",
    apply: async (copy) => copy.flip(await copy.nth("index", 0), 50),
  },
  { name: "an index is empty", apply: async (copy) => copy.write(await copy.nth("index", 1), "") },
  {
    name: "an index is sealed and is no index",
    apply: async (copy) => {
      await copy.addSealed("index", { packs: "none" });
    },
  },
  {
    name: "an index is there twice",
    apply: async (copy) => {
      const [first] = await copy.indexes();
      await copy.addSealed("index", first?.json);
    },
  },
  {
    name: "an index lacks uncompressed_length",
    apply: async (copy) => {
      for (const { path, json } of await copy.indexes()) {
        for (const blob of json.packs.flatMap(({ blobs }) => blobs))
          delete blob.uncompressed_length;
        await copy.remove(path);
        await copy.addSealed("index", json);
      }
    },
  },
  {
    name: "a poisoned index places a blob in a pack that does not exist",
    apply: async (copy) => {
      const { blobs } = await copy.pack("data");
      await copy.addSealed("index", { packs: [{ id: NOWHERE, blobs }] });
    },
  },
  {
    name: "a poisoned index places a blob at the wrong offset of its pack",
    apply: async (copy) => {
      const { id, blobs } = await copy.pack("data");
      const moved = blobs.map((blob) => ({ ...blob, offset: blob.offset + 16 }));
      await copy.addSealed("index", { packs: [{ id, blobs: moved }] });
    },
  },
  {
    name: "a poisoned index places trees in a pack of data",
    apply: async (copy) => {
      const { blobs } = await copy.pack("tree");
      const { id } = await copy.pack("data");
      await copy.addSealed("index", { packs: [{ id, blobs }] });
    },
  },
];

const snapshotDamages: readonly Damage[] = [
  {
    name: "one bit of a snapshot is flipped",
    apply: async (copy) => copy.flip(await copy.nth("snapshots", 0), 30),
  },
  {
    name: "a snapshot is empty",
    apply: async (copy) => copy.write(await copy.nth("snapshots", 0), ""),
  },
  {
    name: "a snapshot is sealed and is no snapshot",
    apply: async (copy) => {
      await copy.addSealed("snapshots", { time: "yesterday" });
    },
  },
  {
    name: "a snapshot's tree is nowhere",
    apply: async (copy) => {
      await copy.addSnapshot(NOWHERE);
    },
  },
  {
    name: "a tree is sealed and is no tree",
    apply: async (copy) => {
      await copy.addSnapshot(await copy.addBlob("tree", Buffer.from("not JSON\n")));
    },
  },
  {
    name: "a tree refers to a blob and a folder that are nowhere",
    apply: async (copy) => {
      const file = node("lost", { size: 5, content: [NOWHERE] });
      const folder = node("lost folder", { type: "dir", mode: 2147484096, subtree: NOWHERE });
      await copy.addSnapshot(await copy.addTree([file, folder]));
    },
  },
  {
    name: "a file's size is not that of its blobs",
    apply: async (copy) => {
      const blob = await copy.addBlob("data", Buffer.from("12345"));
      await copy.addSnapshot(await copy.addTree([node("file", { size: 6, content: [blob] })]));
    },
  },
  {
    name: "a tree names entries that lead outside",
    apply: async (copy) => {
      const blob = await copy.addBlob("data", Buffer.from("12345"));
      const names = ["..", ".", "../up", "/etc/x", "a\0b", ""];
      const nodes = names.map((name) => node(name, { size: 5, content: [blob] }));
      await copy.addSnapshot(await copy.addTree(nodes));
    },
  },
];

const otherDamages: readonly Damage[] = [
  {
    name: "one bit of the only key is flipped",
    apply: async (copy) => copy.flip(await copy.nth("keys", 0), 200),
  },
  {
    name: "one bit of another key is flipped",
    apply: async (copy) => {
      const bytes = await copy.read(await copy.nth("keys", 0));
      await copy.write(join("keys", "00".repeat(32)), bytes);
    },
  },
  {
    name: "no key is left",
    apply: async (copy) => copy.remove(await copy.nth("keys", 0)),
  },
  { name: "one bit of the config is flipped", apply: async (copy) => copy.flip("config", 40) },
  { name: "the config is missing", apply: async (copy) => copy.remove("config") },
  { name: "the config is empty", apply: async (copy) => copy.write("config", "") },
  {
    name: "files lie there that nobody knows",
    apply: async (copy) => {
      for (const path of [
        "README",
        "data/00/readme",
        "index/temporary-1",
        "snapshots/x",
        "a/b/c",
      ]) {
        await copy.write(path, "unknown");
      }
    },
  },
  {
    name: "a pack lies there that no index names",
    apply: async (copy) => {
      const bytes = await copy.read((await copy.pack("data")).path);
      await copy.write(join("data", "00", "00".repeat(32)), bytes);
    },
  },
  {
    name: "a lock is empty",
    apply: async (copy) => copy.write(join("locks", "00".repeat(32)), ""),
  },
  {
    name: "a lock is damaged",
    apply: async (copy) => copy.write(join("locks", "00".repeat(32)), "x".repeat(100)),
  },
];

export const DAMAGES: readonly Damage[] = [
  { name: "nothing is damaged", apply: async () => undefined },
  ...packDamages,
  ...indexDamages,
  ...snapshotDamages,
  ...otherDamages,
];
