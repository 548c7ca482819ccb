import { AppError } from "../../kernel/index.ts";
import type { ObjectStat } from "../../objectstore/index.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { listFiles } from "../list.ts";
import { loadUnpacked, unpackedDamage, unpackedPrefix } from "../unpacked.ts";
import { parseLock } from "./lock-file.ts";
import type { LockFile } from "./lock-file.ts";

/** After this, by the store's clock, nobody stands behind a lock any more: restic's own rule. */
export const STALE_MS = 30 * 60_000;

export interface LockOwner {
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
}

export interface FoundLock {
  readonly id: string;
  readonly lock: LockFile;
  readonly stale: boolean;
}

export interface ConflictQuestion {
  readonly exclusive: boolean;
  readonly owner: LockOwner;
  readonly ownId: string;
  readonly signal?: AbortSignal;
}

/**
 * The first lock that excludes ours. Stale ones are removed on the way, where the store lets us. Where ours is not listed
 * somebody removed it: it excludes nobody any more, and there is nothing to judge the age of others by.
 */
export async function findConflict(
  core: RepositoryCore,
  question: ConflictQuestion,
): Promise<FoundLock | undefined> {
  const files = await listFiles(core.store, unpackedPrefix.lock, question.signal);
  const own = files.find(({ id }) => id === question.ownId);
  if (own === undefined) {
    throw repositoryError("lock_lost", {
      message: "lock that was removed by someone else",
      subject: { lock: question.ownId },
    });
  }
  const nowMs = own.modifiedAt.getTime();
  for (const file of files) {
    if (file.id === question.ownId) continue;
    const found = await readLock(core, file, nowMs, question);
    if (found === undefined) continue;
    if (found.stale) await removeStale(core, found.id);
    else if (question.exclusive || found.lock.exclusive) return found;
  }
  return undefined;
}

/** `undefined`: gone in the meantime, or empty, which an interrupted upload leaves on some stores and restic ignores. */
export async function readLock(
  core: RepositoryCore,
  file: ObjectStat & { readonly id: string },
  nowMs: number,
  { owner, signal }: Pick<ConflictQuestion, "owner" | "signal">,
): Promise<FoundLock | undefined> {
  if (file.sizeBytes === 0) return undefined;
  const { id } = file;
  try {
    const lock = parseLock(await loadUnpacked(core, "lock", id, signal));
    if (lock === undefined) throw unpackedDamage("lock", id, "that is no lock");
    return { id, lock, stale: isStale(lock, ageMsOf(file, lock, nowMs), owner.hostname) };
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "objectstore.not_found") return undefined;
    throw thrown;
  }
}

/**
 * By the store's clock alone where it tells ages. Else (rest:) by its clock against what the owner's clock wrote into
 * the lock, which is restic's own rule with the server's clock in place of ours, or by how long we have seen it.
 */
export function ageMsOf(file: ObjectStat, lock: LockFile, nowMs: number): number {
  const ageMs = nowMs - file.modifiedAt.getTime();
  return file.seenOnly === true ? Math.max(ageMs, nowMs - lock.time.getTime()) : ageMs;
}

function isStale(lock: LockFile, ageMs: number, hostname: string): boolean {
  return ageMs > STALE_MS || (lock.hostname === hostname && !isProcessAlive(lock.pid));
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // EPERM: it lives and belongs to someone else.
    return !(thrown instanceof Error && "code" in thrown && thrown.code === "ESRCH");
  }
}

async function removeStale(core: RepositoryCore, id: string): Promise<void> {
  try {
    await core.store.remove(objectKey.lock(id));
  } catch (thrown) {
    // Credentials that may not delete others' locks: a stale lock excludes nobody, so it may as well stay.
    if (!(thrown instanceof AppError && thrown.code === "objectstore.denied")) throw thrown;
  }
}
