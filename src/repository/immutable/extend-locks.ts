import { bug } from "../../kernel/index.ts";
import type { AppError } from "../../kernel/index.ts";
import type { ObjectLock, ObjectStore, Retention } from "../../objectstore/index.ts";
import { coreOf } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { inParallel } from "../parallel.ts";
import type { Repository } from "../types.ts";

/** Requests at once: each waits for a round trip and moves no bytes. */
export const LOCK_REQUESTS = 16;
const SECOND_MS = 1_000;

/**
 * Each object is locked at least so when this returns, as read back from the store object by object; the first that is not
 * ends it with an error. Locks that are longer stay. Safe to repeat.
 */
export async function extendLocks(
  repository: Repository,
  keys: Iterable<string>,
  retention: Retention,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  await lockObjects(coreOf(repository).store, keys, retention, options.signal);
}

export async function lockObjects(
  store: ObjectStore,
  keys: Iterable<string>,
  retention: Retention,
  signal?: AbortSignal,
): Promise<void> {
  const lock = requireObjectLock(store);
  if (Number.isNaN(retention.until.getTime())) throw bug("lock whose end is no date");
  await inParallel(keys, { lanes: LOCK_REQUESTS, signal }, (key) =>
    lockObject(lock, key, retention, signal),
  );
}

export function requireObjectLock({ lock, location }: ObjectStore): ObjectLock {
  if (lock !== undefined) return lock;
  throw repositoryError("object_lock_missing", {
    message: `store ${location} without Object Lock`,
    subject: { location },
  });
}

/** Stores keep whole seconds, and some cut what is below: rounded up, what is read back is never less. */
export function wholeSeconds(retention: Retention): Retention {
  const until = new Date(Math.ceil(retention.until.getTime() / SECOND_MS) * SECOND_MS);
  return { mode: retention.mode, until };
}

async function lockObject(
  lock: ObjectLock,
  key: string,
  retention: Retention,
  signal: AbortSignal | undefined,
): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  await lock.extend(key, wholeSeconds(retention), options);
  const held = await lock.retentionOf(key, options);
  if (!covers(held, retention)) throw tooShort(key, held, retention);
}

function covers(held: Retention | undefined, wanted: Retention): boolean {
  if (held === undefined || held.until < wanted.until) return false;
  return held.mode === "compliance" || wanted.mode === "governance";
}

function tooShort(key: string, held: Retention | undefined, wanted: Retention): AppError {
  const asked = `${wanted.mode} until ${wanted.until.toISOString()}`;
  const found = held === undefined ? "none" : `${held.mode} until ${held.until.toISOString()}`;
  return repositoryError("object_lock_short", {
    message: `lock of ${key}, read back: ${found}, asked ${asked}`,
    subject: { key },
  });
}
