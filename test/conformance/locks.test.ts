import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { exitCodeOf, isHexId, Secret, systemClock, toAppError } from "../../src/kernel/index.ts";
import {
  codeOf,
  createTemporaryFolder,
  listKeys,
  patternBytes,
} from "../../src/objectstore/testing/index.ts";
import { openRepository } from "../../src/repository/index.ts";
import {
  backUp,
  contextOf,
  createOurs,
  openOurs,
  PASSWORD,
  storeAt,
  WRITER,
} from "../support/restic-repository.ts";
import type { Repository } from "../../src/repository/index.ts";
import { createRestic, finish, RESTIC_VERSIONS } from "../support/restic.ts";

// `restic unlock` asks whether a lock's process lives by sending it SIGHUP, and that is this one.
process.on("SIGHUP", () => undefined);

const FILES = [{ path: ["a"], content: patternBytes(200_000) }];

/** Resolves once a lock other than those already there lies in the folder. Watching begins at once. */
async function watchLocks(repository: string): Promise<{ appeared: () => Promise<void> }> {
  const store = storeAt(repository);
  const before = new Set(await listKeys(store, "locks/"));
  const appeared = Promise.withResolvers<void>();
  const watcher = watch(join(repository, "locks"), (_event, name) => {
    // Not the temporary name under which restic writes it first.
    if (name === null || !isHexId(name) || before.has(`locks/${name}`)) return;
    watcher.close();
    appeared.resolve();
  });
  return { appeared: () => appeared.promise };
}

/** restic stopped right after it wrote its lock: it waits 200 ms there before it goes on. */
async function startAndStop(start: () => ChildProcess, repository: string): Promise<ChildProcess> {
  const locks = await watchLocks(repository);
  const child = start();
  child.stdin?.end();
  await locks.appeared();
  child.kill("SIGSTOP");
  return child;
}

async function deadPid(): Promise<number> {
  const child = spawn("true");
  await once(child, "exit");
  if (child.pid === undefined) throw new Error("child without a pid");
  return child.pid;
}

function acquireAndRelease(repository: Repository): Promise<string> {
  return codeOf(async () => {
    await using writer = await repository.acquireWriter(WRITER);
    expect(writer).toBeDefined();
  });
}

describe.for(RESTIC_VERSIONS)("locks of ours and of restic %s", (version) => {
  test("an exclusive lock of a live restic keeps our writer out, a dead one's does not", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(folder.path));
    await backUp(repository, FILES);
    await using restic = await createRestic(version, folder.path, PASSWORD);
    const prune = await startAndStop(() => restic.start(["prune"]), folder.path);
    const ended = finish(prune);
    try {
      const error = await repository.acquireWriter(WRITER).then(
        () => undefined,
        (thrown: unknown) => toAppError(thrown),
      );
      expect(error).toMatchObject({ code: "repository.locked", subject: { pid: prune.pid } });
      expect(error === undefined ? 0 : exitCodeOf(error)).toBe(11);
      // Reading is not writing.
      const reader = await repository.acquireReader();
      const latest = await repository.resolveSnapshot("latest");
      expect((await reader.find(latest, ["a"])).sizeBytes).toBe(200_000);
      expect(await listKeys(storeAt(folder.path), "locks/")).toHaveLength(1);
    } finally {
      prune.kill("SIGKILL");
      await ended;
    }
    expect(await listKeys(storeAt(folder.path), "locks/")).toHaveLength(1);
    await backUp(repository, FILES);
    expect(await listKeys(storeAt(folder.path), "locks/")).toEqual([]);
    await restic.run(["check", "--read-data"]);
  });

  test("a shared lock of a live restic lets our writer in", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(folder.path));
    await backUp(repository, FILES);
    await using restic = await createRestic(version, folder.path, PASSWORD);
    const locks = await watchLocks(folder.path);
    const backup = restic.start(["backup", "--stdin"]);
    await locks.appeared();
    await backUp(repository, FILES);
    const ended = finish(backup, patternBytes(1_000));
    expect((await ended).code).toBe(0);
    expect(await repository.snapshots()).toHaveLength(3);
    await restic.run(["check", "--read-data"]);
  });

  test("our live writer makes prune refuse, and what it has not yet committed survives", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(folder.path));
    await using restic = await createRestic(version, folder.path, PASSWORD);
    {
      await using writer = await repository.acquireWriter(WRITER);
      await writer.saveFile(["a"], asStream(patternBytes(30_000_000)), {
        kind: "file",
        modifiedAt: new Date(0),
      });
      const refused = await restic.run(["prune"], { codes: [1, 11] });
      expect(refused.stderr).toContain("already locked");
      expect(refused.stderr).toContain(`PID ${process.pid}`);
      // A writer of theirs shares the repository with ours.
      await restic.run(["backup", "--stdin"], { input: patternBytes(10) });
      await writer.commit({ time: new Date(), paths: ["/a"], tags: [] });
    }
    await restic.run(["prune"]);
    await restic.run(["check", "--read-data"]);
    expect(await (await openOurs(storeAt(folder.path))).snapshots()).toHaveLength(2);
  });

  test("restic unlock removes what a dead writer of ours left, and leaves a live one's", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(folder.path));
    await using restic = await createRestic(version, folder.path, PASSWORD);
    await using left = await repository.acquireWriter({ ...WRITER, pid: await deadPid() });
    await restic.run(["prune"], { codes: [1, 11] });
    await using live = await repository.acquireWriter(WRITER);
    // Ours took the dead one's lock away already; theirs has nothing left to do.
    expect(await listKeys(storeAt(folder.path), "locks/")).toHaveLength(1);
    await restic.run(["unlock"]);
    expect(await listKeys(storeAt(folder.path), "locks/")).toHaveLength(1);
    await live[Symbol.asyncDispose]();
    await left[Symbol.asyncDispose]();
    await restic.run(["prune"]);
  });

  test("a crowd of ours with clocks wrong by hours and of restic loses nothing", async () => {
    await using folder = await createTemporaryFolder();
    const store = storeAt(folder.path);
    const repository = await createOurs(store);
    await backUp(repository, FILES);
    await using restic = await createRestic(version, folder.path, PASSWORD);
    const ours = [-6, -1, 1, 6].map(async (hours, n) => {
      const now = () => new Date(Date.now() + hours * 3_600_000);
      const context = { ...contextOf(store), clock: { ...systemClock, now } };
      const other = await openRepository(context, { password: new Secret(PASSWORD) });
      return await backUp(other, [{ path: [`${n}`], content: patternBytes(300_000, n) }], now());
    });
    const theirs = [1, 2].map((n) =>
      restic.run(["backup", "--stdin"], { input: patternBytes(500_000, 10 + n) }),
    );
    await Promise.all([...ours, ...theirs]);
    expect(await repository.snapshots()).toHaveLength(7);
    expect(await listKeys(store, "locks/")).toEqual([]);
    await restic.run(["check", "--read-data"]);
    const { findings } = await repository.check({ readData: true });
    expect(findings).toEqual([]);
  });

  test("restic unlock alone clears a dead writer's lock", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(folder.path));
    await using restic = await createRestic(version, folder.path, PASSWORD);
    await using left = await repository.acquireWriter({ ...WRITER, pid: await deadPid() });
    await restic.run(["unlock"]);
    expect(await listKeys(storeAt(folder.path), "locks/")).toEqual([]);
    await restic.run(["prune"]);
    // Who lost the lock must not commit: a prune may have taken what was written.
    const commit = left.commit({ time: new Date(), paths: [], tags: [] });
    expect(await codeOf(() => commit)).toBe("repository.lock_lost");
    expect(await acquireAndRelease(repository)).toBe("no error");
  });
});

async function* asStream(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
