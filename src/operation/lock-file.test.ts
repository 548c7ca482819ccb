import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import { acquireLockFile } from "./lock-file.ts";
import type { LockFileOptions } from "./lock-file.ts";
import { testContext } from "./testing/context.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-lock-"));
  path = join(folder, "x.lock");
});
afterEach(() => rm(folder, { recursive: true }));

const DEAD = 999_999_999;

/** A clock whose sleeps take no time but count. */
function options(changes: Partial<LockFileOptions> = {}): LockFileOptions {
  let nowMs = 0;
  const { random, hostname, pid, signal } = testContext({ stateDirectory: folder });
  const clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    sleep: (ms: number) => {
      nowMs += ms;
      return new Promise<void>((resolve) => setImmediate(resolve));
    },
  };
  return { clock, random, hostname, pid, signal, isAlive: (who) => who !== DEAD, ...changes };
}

function lockOf(host: string, pid: number, token = "ab".repeat(16)): string {
  return JSON.stringify({ host, pid, token });
}

test("is there while held, and nothing is left afterwards", async () => {
  {
    await using _lock = await acquireLockFile(path, options());
    expect(await readdir(folder)).toEqual(["x.lock"]);
  }
  expect(await readdir(folder)).toEqual([]);
});

test("of a dead process on this host is broken", async () => {
  await writeFile(path, lockOf("web1", DEAD));
  await using _lock = await acquireLockFile(path, options());
  expect(await readdir(folder)).toEqual(["x.lock"]);
});

test("of a breaker that died in the middle is broken too", async () => {
  await writeFile(path, lockOf("web1", DEAD));
  await writeFile(`${path}.break-${"ab".repeat(16)}-0`, lockOf("web1", DEAD, "cd".repeat(16)));
  await using _lock = await acquireLockFile(path, options());
  expect(await readdir(folder)).toContain("x.lock");
});

test("that was broken while its owner was stopped is not taken from the next owner", async () => {
  const others = lockOf("web2", 5);
  {
    await using _lock = await acquireLockFile(path, options());
    await writeFile(path, others);
  }
  expect(await readFile(path, "utf8")).toBe(others);
});

const LOCKED = { code: "operation.audit_locked" };

test("of a living process is waited for, then named", async () => {
  await writeFile(path, lockOf("web1", 4711));
  await expect(acquireLockFile(path, options())).rejects.toMatchObject({
    ...LOCKED,
    message: "audit log locked by process 4711 on web1",
    hint: `Wait for it; if it is known to be dead, remove ${path}.`,
  });
  expect(await readdir(folder)).toEqual(["x.lock"]);
});

test("of another host is never judged by a process number of this one", async () => {
  await writeFile(path, lockOf("web2", DEAD));
  await expect(acquireLockFile(path, options())).rejects.toMatchObject(LOCKED);
});

test("that nobody can read is not broken", async () => {
  await writeFile(path, "");
  await expect(acquireLockFile(path, options())).rejects.toMatchObject(LOCKED);
});

test("older than any append is broken whoever seems to hold it", async () => {
  await writeFile(path, lockOf("web2", 4711));
  const hourAgo = new Date(Date.now() - 3_600_000);
  await utimes(path, hourAgo, hourAgo);
  await using _lock = await acquireLockFile(path, options());
  expect(await readdir(folder)).toEqual(["x.lock"]);
});

test("waiting ends with the signal", async () => {
  await writeFile(path, lockOf("web1", 4711));
  const controller = new AbortController();
  const sleep = (): Promise<void> => {
    controller.abort();
    return Promise.reject(new DOMException("aborted", "AbortError"));
  };
  const clock = { ...systemClock, sleep };
  const waiting = acquireLockFile(path, options({ clock, signal: controller.signal }));
  await expect(waiting).rejects.toThrow("aborted");
  expect(await readdir(folder)).toEqual(["x.lock"]);
});
