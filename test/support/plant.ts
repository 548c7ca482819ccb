import { createHash, randomBytes } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import type { ObjectStore } from "../../src/objectstore/index.ts";
import { keysFromFile, seal, sha256 } from "./restic-format.ts";
import type { FormatKeys } from "./restic-format.ts";

/** What somebody with the key can put into a repository, written by none of our code. */
export class Planter {
  readonly store: ObjectStore;
  readonly keys: FormatKeys;

  constructor(store: ObjectStore, keys: FormatKeys) {
    this.store = store;
    this.keys = keys;
  }

  static async open(store: ObjectStore, password: string): Promise<Planter> {
    for await (const { key } of store.list("keys/")) {
      return new Planter(store, keysFromFile(await store.get(key), password));
    }
    throw new Error("no key");
  }

  /** Plain JSON, or `compressed` as byte 2 and zstd, under its true name. */
  async addFile(folder: string, plain: Uint8Array, compressed = false): Promise<string> {
    const packed = compressed
      ? Buffer.concat([Buffer.from([2]), zstdCompressSync(plain)])
      : Buffer.from(plain);
    const sealed = seal(packed, this.keys);
    const id = sha256(sealed);
    await this.store.put(`${folder}/${id}`, [sealed]);
    return id;
  }

  /** One pack of tree blobs and an index that names it; `header` in place of the true one. */
  async addPack(
    plains: readonly Uint8Array[],
    options: {
      readonly header?: (entries: Buffer) => Uint8Array;
      readonly type?: "tree" | "data";
    } = {},
  ): Promise<string> {
    const { type = "tree", header = (entries) => entries } = options;
    const blobs = plains.map((plain) => ({ id: sha256(plain), sealed: seal(plain, this.keys) }));
    const entries = blobs.map(({ id, sealed }) => {
      const entry = Buffer.alloc(37);
      entry[0] = type === "tree" ? 1 : 0;
      entry.writeUInt32LE(sealed.byteLength, 1);
      entry.write(id, 5, "hex");
      return entry;
    });
    const sealedHeader = seal(header(Buffer.concat(entries)), this.keys);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(sealedHeader.byteLength);
    const pack = Buffer.concat([...blobs.map(({ sealed }) => sealed), sealedHeader, length]);
    const id = createHash("sha256").update(pack).digest("hex");
    await this.store.put(`data/${id.slice(0, 2)}/${id}`, [pack]);
    let offset = 0;
    const listed = blobs.map(({ id: blob, sealed }) => {
      offset += sealed.byteLength;
      return { id: blob, type, offset: offset - sealed.byteLength, length: sealed.byteLength };
    });
    await this.addFile("index", Buffer.from(JSON.stringify({ packs: [{ id, blobs: listed }] })));
    return id;
  }

  async addSnapshot(tree: string): Promise<string> {
    const time = new Date(1_800_000_000_000 + randomBytes(2).readUInt16LE()).toISOString();
    const snapshot = { time, tree, paths: ["/x"], hostname: "h", username: "u" };
    return this.addFile("snapshots", Buffer.from(JSON.stringify(snapshot)));
  }
}

/** A node as restic writes it. */
export function plantedNode(name: string, more: Readonly<Record<string, unknown>>): unknown {
  const time = "2026-02-01T00:00:00Z";
  const times = { mtime: time, atime: time, ctime: time };
  return { name, type: "file", mode: 384, ...times, uid: 0, gid: 0, content: null, ...more };
}

export function plantedTree(nodes: readonly unknown[]): Buffer {
  return Buffer.from(`${JSON.stringify({ nodes })}\n`);
}
