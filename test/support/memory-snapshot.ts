import { createHash } from "node:crypto";
import { asBlobId, asSnapshotId } from "../../src/kernel/index.ts";
import type { Bytes } from "../../src/kernel/index.ts";
import type {
  Content,
  Entry,
  EntryPath,
  SavedFile,
  Snapshot,
  SnapshotReader,
  SnapshotWriter,
} from "../../src/repository/index.ts";

/** A snapshot in memory: what a writer was given, as a reader gives it back. Tests may change its files. */
export class MemorySnapshot {
  readonly files = new Map<string, Buffer>();
  readonly snapshot: Snapshot = {
    id: asSnapshotId("5".repeat(64)),
    time: new Date("2026-11-22T01:00:00Z"),
    hostname: "test",
    username: "test",
    paths: ["/"],
    tags: [],
    tree: asBlobId("7".repeat(64)),
  };

  async save(path: EntryPath, content: Content): Promise<SavedFile> {
    const parts: Buffer[] = [];
    // A chunk is valid only until the next one is asked for.
    const stream = content instanceof Uint8Array ? [content] : content;
    for await (const chunk of stream) parts.push(Buffer.from(chunk));
    return this.put(keyOf(path), Buffer.concat(parts));
  }

  put(path: string, bytes: Buffer): SavedFile {
    this.files.set(path, bytes);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return { sizeBytes: bytes.byteLength, sha256, blobs: 1, newBytes: bytes.byteLength };
  }

  writer(): SnapshotWriter {
    return {
      saveFile: (path, content) => this.save(path, content),
      discard: (path) => void this.files.delete(keyOf(path)),
      commit: () => Promise.reject(new Error("a snapshot in memory is never committed")),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  reader(options: { readonly onRead?: (path: string) => void } = {}): SnapshotReader {
    return {
      conflicts: [],
      holds: () => true,
      entries: () => {
        throw new Error("not listed in tests");
      },
      find: (_snapshot, path) => {
        const key = keyOf(path);
        const bytes = this.files.get(key);
        if (bytes === undefined) return Promise.reject(new Error(`no file ${key}`));
        return Promise.resolve(entryOf(key, bytes));
      },
      read: (entry) => this.#read(entry, options),
    };
  }

  async *#read(entry: Entry, options: { onRead?: (path: string) => void }): AsyncGenerator<Bytes> {
    const key = entry.path.map((name) => Buffer.from(name).toString()).join("/");
    options.onRead?.(key);
    const bytes = this.files.get(key) ?? Buffer.alloc(0);
    for (let at = 0; at < bytes.byteLength; at += 65_536) {
      yield await Promise.resolve(bytes.subarray(at, at + 65_536));
    }
  }
}

function keyOf(path: EntryPath): string {
  return path.map((name) => Buffer.from(name).toString()).join("/");
}

function entryOf(key: string, bytes: Buffer): Entry {
  return {
    path: key.split("/").map((name) => Buffer.from(name)),
    type: "file",
    sizeBytes: bytes.byteLength,
    modifiedAt: new Date(0),
    mode: 0o600,
    extendedAttributes: {},
    content: [],
  };
}
