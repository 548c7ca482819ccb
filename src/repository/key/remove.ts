import { timingSafeEqual } from "node:crypto";
import { AppError, bug } from "../../kernel/index.ts";
import type { Secret } from "../../kernel/index.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { openKeyFile, parseKeyFile } from "../crypto/key-file.ts";
import { repositoryError } from "../errors.ts";
import { acquireLock } from "../lock/lock.ts";
import type { Repository } from "../types.ts";
import { lockOptions, whoOf } from "./add.ts";
import type { KeyChangeOptions } from "./add.ts";
import { noteKey } from "./key-record.ts";
import { keyNamed, listKeys } from "./list.ts";
import type { KeyEntry } from "./list.ts";
import { loadKey } from "./load-key.ts";

export type KeyRemoval =
  | { readonly outcome: "complete" }
  /** The store refuses removals: the key still opens the repository. */
  | { readonly outcome: "incomplete"; readonly reason: AppError };

export interface KeyRemovalPlan {
  readonly key: KeyEntry;
  /** The key that was seen to open the repository, and stays. */
  readonly opensWith: string;
  readonly keysLeft: number;
  /** Once only. */
  execute(): Promise<KeyRemoval>;
}

export interface RemoveKeyOptions extends KeyChangeOptions {
  /** Opened the repository; where the key in use is to go, another one must open with it. */
  readonly password: Secret;
}

/** Shows what would go. Never the last key that opens, never the one in use unless `password` opens another. */
export async function planRemoveKey(
  repository: Repository,
  reference: string,
  options: RemoveKeyOptions,
): Promise<KeyRemovalPlan> {
  const { keys } = await listKeys(repository, options);
  const key = keyNamed(keys, reference);
  const opensWith = await otherKey(repository, key, keys, options);
  let executed = false;
  return {
    key,
    opensWith,
    keysLeft: keys.filter(({ damage }) => damage === undefined).length - (key.damage ? 0 : 1),
    execute: async () => {
      if (executed) throw bug("plan that was executed already");
      executed = true;
      return await removeKey(repository, key, options);
    },
  };
}

/** Under an exclusive lock, as restic: two that remove each other's key at once would leave none. */
async function removeKey(
  repository: Repository,
  key: KeyEntry,
  options: RemoveKeyOptions,
): Promise<KeyRemoval> {
  const core = coreOf(repository);
  await using _lock = await acquireLock(core, lockOptions(options, true));
  const { keys } = await listKeys(repository, options);
  await otherKey(repository, key, keys, options);
  return await eraseKey(core, key.id, options);
}

/**
 * 1. the record: from here on the key is called removed, also where its file stays or comes back
 * 2. the file
 */
export async function eraseKey(
  core: RepositoryCore,
  id: string,
  options: KeyChangeOptions,
): Promise<KeyRemoval> {
  const { signal } = options;
  const at = core.clock.now();
  await noteKey(core, { key: id, action: "removed", by: whoOf(options), at }, signal);
  try {
    await core.store.remove(objectKey.key(id), signal === undefined ? {} : { signal });
    return { outcome: "complete" };
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "objectstore.denied") throw thrown;
    return { outcome: "incomplete", reason: thrown };
  }
}

/** A key besides `key` that opens with the password at hand, as the store has it now. */
async function otherKey(
  repository: Repository,
  key: KeyEntry,
  keys: readonly KeyEntry[],
  { password, signal }: RemoveKeyOptions,
): Promise<string> {
  const core = coreOf(repository);
  const others = keys.filter(({ id, damage }) => id !== key.id && damage === undefined);
  // The one in use first: it opened with the password a moment ago.
  const inUse = others.toSorted((a, b) => Number(b.current) - Number(a.current));
  for (const { id } of inUse) {
    if (await opens(core, id, password, signal)) return id;
  }
  throw repositoryError("key_in_use", {
    message:
      others.length === 0
        ? `key ${key.id.slice(0, 8)}, the last that opens the repository`
        : `key ${key.id.slice(0, 8)}, the only one that the password at hand opens`,
    subject: { key: key.id },
  });
}

/** Opens this repository: a key file that came from elsewhere may open too, with a master key that is not ours. */
async function opens(
  { store, master }: RepositoryCore,
  id: string,
  password: Secret,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const file = parseKeyFile(await loadKey(store, id, signal), id);
  const found = file === undefined ? undefined : await openKeyFile(file, password);
  return found !== undefined && timingSafeEqual(found.raw, master.raw);
}
