import { createHash, randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { Secret, systemClock } from "../../src/kernel/index.ts";
import type { Bytes } from "../../src/kernel/index.ts";
import { createFsStore } from "../../src/objectstore/index.ts";
import type { ObjectStore } from "../../src/objectstore/index.ts";
import { createRepository, openRepository } from "../../src/repository/index.ts";
import type {
  EntryPath,
  FileMetadata,
  Repository,
  SnapshotSummary,
  SnapshotWriter,
} from "../../src/repository/index.ts";

export const PASSWORD = "correct horse battery staple";
/** Cheap, so that tests spend their time elsewhere. */
export const TEST_COST = { N: 1024, r: 8, p: 1 };
export const WRITER = { hostname: hostname(), username: "tester", pid: process.pid };

export function storeAt(folder: string): ObjectStore {
  return createFsStore(folder, { random: randomBytes });
}

export function contextOf(store: ObjectStore) {
  return { store, clock: systemClock, random: randomBytes };
}

export function createOurs(store: ObjectStore, password = PASSWORD): Promise<Repository> {
  return createRepository(contextOf(store), {
    password: new Secret(password),
    hostname: WRITER.hostname,
    username: WRITER.username,
    cost: TEST_COST,
  });
}

export function openOurs(store: ObjectStore, password = PASSWORD): Promise<Repository> {
  return openRepository(contextOf(store), { password: new Secret(password) });
}

export interface TestFile {
  readonly path: EntryPath;
  readonly content: Bytes | (() => AsyncIterable<Bytes>);
  readonly metadata?: Partial<FileMetadata>;
}

export async function* once(bytes: Bytes): AsyncIterable<Bytes> {
  if (bytes.byteLength > 0) yield bytes;
}

export async function saveAll(writer: SnapshotWriter, files: Iterable<TestFile>): Promise<void> {
  for (const { path, content, metadata } of files) {
    await writer.saveFile(path, typeof content === "function" ? content() : once(content), {
      kind: "file",
      modifiedAt: new Date("2026-01-02T03:04:05.678Z"),
      ...metadata,
    });
  }
}

/** One snapshot of these files by our writer. */
export async function backUp(
  repository: Repository,
  files: Iterable<TestFile>,
  time = new Date("2026-11-01T10:00:00Z"),
): Promise<SnapshotSummary> {
  await using writer = await repository.acquireWriter(WRITER);
  await saveAll(writer, files);
  return await writer.commit({ time, paths: ["/app"], tags: ["plan=nightly"] });
}

/** As {@link import("./restic-files.ts").filesBelow} would find them, folders included. */
export async function expectedFiles(files: Iterable<TestFile>): Promise<Map<string, string>> {
  const expected = new Map<string, string>();
  for (const { path, content } of files) {
    const names = path.map((name) => Buffer.from(name).toString("latin1"));
    for (let depth = 1; depth < names.length; depth += 1) {
      expected.set(names.slice(0, depth).join("/"), "folder");
    }
    const digest = createHash("sha256");
    let sizeBytes = 0;
    for await (const bytes of typeof content === "function" ? content() : once(content)) {
      digest.update(bytes);
      sizeBytes += bytes.byteLength;
    }
    expected.set(names.join("/"), `file ${sizeBytes} ${digest.digest("hex")}`);
  }
  return expected;
}
