import { link, open, readFile, stat, unlink } from "node:fs/promises";
import { toHex } from "../kernel/index.ts";
import type { Clock, RandomBytes } from "../kernel/index.ts";
import { operationError } from "./errors.ts";

/**
 * Mutual exclusion of processes on one machine by a file, held for the milliseconds of an append.
 *
 * 1. A file that names its owner is made under another name and linked to the lock's name: only one can.
 * 2. Taken: the owner is dead on this host, or the lock is older than any append, so break it; else wait and try again.
 * 3. Breaking is itself exclusive, by a file named after the broken lock's token: who holds it looks again whether that
 *    lock is still there and removes it. A token never comes back, so a fresh lock is never removed by mistake.
 */
export interface LockFileOptions {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly hostname: string;
  readonly pid: number;
  readonly signal: AbortSignal;
  /** Tests only. */
  readonly isAlive?: (pid: number) => boolean;
}

const WAIT_MS = 10_000;
const POLL_MS = 15;
const LONGER_THAN_ANY_APPEND_MS = 10 * 60_000;

interface Owner {
  readonly host: string;
  readonly pid: number;
  readonly token: string;
}

export async function acquireLockFile(
  path: string,
  options: LockFileOptions,
): Promise<AsyncDisposable> {
  const owner: Owner = {
    host: options.hostname,
    pid: options.pid,
    token: toHex(options.random(16)),
  };
  const own = `${path}.${owner.token}`;
  await writeNew(own, JSON.stringify(owner));
  try {
    const startedMs = options.clock.monotonicMs();
    while (!(await linkOnce(own, path))) {
      if (await breakIfDead(path, own, options)) continue;
      if (options.clock.monotonicMs() - startedMs > WAIT_MS) throw await stillLocked(path);
      await options.clock.sleep(POLL_MS, options.signal);
    }
  } finally {
    await unlink(own);
  }
  return { [Symbol.asyncDispose]: () => release(path, owner.token) };
}

/** Held for too long, by a process that was stopped, it was broken: then it is somebody else's by now. */
async function release(path: string, token: string): Promise<void> {
  const now = await readOwner(path);
  if (typeof now === "object" && now.token === token) await unlinkIfThere(path);
}

async function writeNew(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function linkOnce(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === "EEXIST") return false;
    throw thrown;
  }
}

/** True when the lock was removed or is gone: worth another try at once. */
async function breakIfDead(path: string, own: string, options: LockFileOptions): Promise<boolean> {
  const owner = await readOwner(path);
  if (owner === "gone") return true;
  if (owner === "unreadable" || !(await isDead(owner, path, own, options))) return false;
  for (let attempt = 0; ; attempt += 1) {
    const breaking = `${path}.break-${owner.token}-${attempt}`;
    if (await linkOnce(own, breaking)) {
      const now = await readOwner(path);
      if (typeof now === "object" && now.token === owner.token) await unlinkIfThere(path);
      await unlinkIfThere(breaking);
      return true;
    }
    const breaker = await readOwner(breaking);
    if (breaker === "gone") return true;
    if (breaker === "unreadable" || !(await isDead(breaker, breaking, own, options))) return false;
    // The breaker died in the middle: its file stays, and the next number decides.
  }
}

async function isDead(
  owner: Owner,
  path: string,
  own: string,
  options: LockFileOptions,
): Promise<boolean> {
  const alive = options.isAlive ?? isProcessAlive;
  if (owner.host === options.hostname && !alive(owner.pid)) return true;
  // Both times come from the file system's clock; a process that got a dead owner's number must not block for ever.
  const [taken, fresh] = await Promise.all([statIfThere(path), stat(own)]);
  return taken !== undefined && fresh.mtimeMs - taken.mtimeMs > LONGER_THAN_ANY_APPEND_MS;
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // EPERM: it lives and belongs to somebody else.
    return codeOf(thrown) !== "ESRCH";
  }
}

async function readOwner(path: string): Promise<Owner | "gone" | "unreadable"> {
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    return isOwner(value) ? value : "unreadable";
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return "gone";
    if (thrown instanceof SyntaxError) return "unreadable";
    throw thrown;
  }
}

function isOwner(value: unknown): value is Owner {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof Reflect.get(value, "host") === "string" &&
    Number.isSafeInteger(Reflect.get(value, "pid")) &&
    /^[0-9a-f]{32}$/.test(String(Reflect.get(value, "token")))
  );
}

async function stillLocked(path: string): Promise<Error> {
  const owner = await readOwner(path);
  const who =
    typeof owner === "object" ? `process ${owner.pid} on ${owner.host}` : "an unknown process";
  return operationError("audit_locked", {
    message: `audit log locked by ${who}`,
    hint: `Wait for it; if it is known to be dead, remove ${path}.`,
    subject: { lock: path },
  });
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (thrown) {
    if (codeOf(thrown) !== "ENOENT") throw thrown;
  }
}

async function statIfThere(path: string): Promise<{ readonly mtimeMs: number } | undefined> {
  try {
    return await stat(path);
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
}
