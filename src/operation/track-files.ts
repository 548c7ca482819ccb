import type { EntryPath, SnapshotWriter } from "../repository/index.ts";
import { pathText } from "./path-text.ts";

/** The same writer, remembering what it was given to store: what the read-back check looks for. */
export function trackFiles(inner: SnapshotWriter): {
  readonly writer: SnapshotWriter;
  readonly files: ReadonlyMap<string, number>;
} {
  const files = new Map<string, number>();
  const writer: SnapshotWriter = {
    saveFile: async (path, content, metadata) => {
      const saved = await inner.saveFile(path, content, metadata);
      files.set(textOf(path), saved.sizeBytes);
      return saved;
    },
    discard: (path) => {
      inner.discard(path);
      files.delete(textOf(path));
    },
    commit: (options) => inner.commit(options),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
  return { writer, files };
}

function textOf(path: EntryPath): string {
  return pathText(path.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
}
