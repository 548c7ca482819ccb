import { randomBytes } from "node:crypto";
import { Secret, silentLog, systemClock } from "../../src/kernel/index.ts";
import type { Bytes } from "../../src/kernel/index.ts";
import { partPath } from "../../src/manifest/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import { clientToolFolders, findClientTools } from "../../src/postgres/index.ts";
import type { ClientTools } from "../../src/postgres/index.ts";
import { createRepository } from "../../src/repository/index.ts";
import type { Content, SnapshotWriter } from "../../src/repository/index.ts";
import { captureDatabase } from "../../src/source/index.ts";
import type { CaptureOptions, CaptureResult } from "../../src/source/index.ts";

export const ROW_HASH_KEY = Buffer.alloc(32, 7);

export interface TestCapture extends CaptureResult {
  /** Paths of all files in the snapshot. */
  readonly paths: readonly string[];
  read(path: string): Promise<Buffer>;
  /** A table's parts, concatenated. */
  table(name: string): Promise<string>;
}

export interface TestCaptureOptions extends Partial<Omit<CaptureOptions, "source">> {
  /** Where a test puts what happens meanwhile. */
  readonly hooks?: CaptureHooks;
}

export interface CaptureHooks {
  /** Before the file's content is asked for. */
  readonly beforeFile?: (path: string) => Promise<void>;
  /** Once, when the first chunk has come. */
  readonly duringFile?: (path: string) => Promise<void>;
  readonly afterFile?: (path: string) => Promise<void>;
}

let tools: Promise<ClientTools> | undefined;

export function testTools(): Promise<ClientTools> {
  tools ??= clientToolFolders(process.env["PATH"]).then((folders) =>
    findClientTools(folders, 150_000),
  );
  return tools;
}

/** Captures into a repository in memory, commits, and opens the snapshot. */
export async function captureToMemory(
  url: string,
  options: TestCaptureOptions = {},
): Promise<TestCapture> {
  const { hooks, ...rest } = options;
  const context = {
    store: createMemoryStore({ clock: systemClock }),
    clock: systemClock,
    random: (size: number) => randomBytes(size),
  };
  const who = { hostname: "test", username: "test" };
  const repository = await createRepository(context, {
    password: new Secret("test"),
    ...who,
    cost: { N: 2, r: 1, p: 1 },
  });
  await using writer = await repository.acquireWriter({ ...who, pid: process.pid });
  const result = await captureDatabase(hooked(writer, hooks ?? {}), {
    source: { name: "app", url: new Secret(url) },
    tools: await testTools(),
    connections: 2,
    splitBytes: 64 * 1024 * 1024,
    rowHashKey: ROW_HASH_KEY,
    clock: systemClock,
    log: silentLog,
    ...rest,
  });
  await writer.commit({ time: new Date(), paths: ["/app"], tags: [] });
  const snapshot = await repository.resolveSnapshot("latest");
  const reader = await repository.acquireReader();
  const readPath = async (path: readonly string[]): Promise<Buffer> =>
    collect(reader.read(await reader.find(snapshot, path)));
  const paths: string[] = [];
  for await (const entry of reader.entries(snapshot)) {
    if (entry.type === "file")
      paths.push(
        Buffer.from(
          Buffer.concat(entry.path.map((part) => Buffer.concat([Buffer.from("/"), part]))),
        )
          .toString()
          .slice(1),
      );
  }
  return {
    ...result,
    paths,
    read: (path) => readPath(path.split("/")),
    table: async (name) => {
      const table = result.database.tables.find((one) => one.name === name);
      if (table === undefined) throw new Error(`no table ${name} in the manifest`);
      return Buffer.concat(
        await Promise.all(table.parts.map((part) => readPath(partPath(table, part)))),
      ).toString();
    },
  };
}

function hooked(writer: SnapshotWriter, hooks: CaptureHooks): SnapshotWriter {
  return {
    saveFile: async (parts, content, metadata) => {
      const path = parts.join("/");
      await hooks.beforeFile?.(path);
      const saved = await writer.saveFile(parts, watched(path, content, hooks), metadata);
      await hooks.afterFile?.(path);
      return saved;
    },
    discard: (path) => writer.discard(path),
    commit: (options) => writer.commit(options),
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  };
}

async function* watched(
  path: string,
  content: Content,
  hooks: CaptureHooks,
): AsyncGenerator<Bytes, void, undefined> {
  let first = true;
  for await (const chunk of content instanceof Uint8Array ? [content] : content) {
    if (first) await hooks.duringFile?.(path);
    first = false;
    yield chunk;
  }
}

async function collect(chunks: AsyncIterable<Bytes>): Promise<Buffer> {
  const parts: Bytes[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
