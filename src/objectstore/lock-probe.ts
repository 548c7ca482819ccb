import { AppError, toHex } from "../kernel/index.ts";
import type { RandomBytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { noObject } from "./no-object.ts";
import type { ObjectStore, WaitOptions } from "./object-store.ts";

/**
 * Deletes one version for good; `objectstore.denied` where the store or the credentials refuse. No part of `ObjectStore`:
 * nothing of ours ever does it but this probe, to learn that it cannot.
 */
export type DeleteVersion = (
  key: string,
  version: string,
  options: WaitOptions & { readonly bypassGovernance: boolean },
) => Promise<void>;

export interface LockProbe {
  /** The store denies deletion of a locked version. */
  readonly enforced: boolean;
  /** These credentials may pass over governance mode, so that mode holds nothing against their thief. */
  readonly bypassed: boolean;
  /** These credentials may delete versions that are not locked: what a thief can do to older versions. */
  readonly deletesVersions: boolean;
  /** The bucket locks whatever is put, lock files of writers too. */
  readonly locksByDefault: boolean;
}

export interface LockProbeOptions extends WaitOptions {
  readonly deleteVersion: DeleteVersion;
  readonly random: RandomBytes;
}

const HELD_MS = 20_000;
const FOLDER = "sparekeep/probe/";

/**
 * Tries it: an object locked for seconds, and one that is not, are to be deleted. What is left of them ends as removed;
 * the locked version can be deleted by the bucket's lifecycle seconds later.
 */
export async function probeObjectLock(
  store: ObjectStore,
  { deleteVersion, random, signal }: LockProbeOptions,
): Promise<LockProbe> {
  const options = signal === undefined ? {} : { signal };
  const name = toHex(random(16));
  const held = `${FOLDER}${name}-held`;
  const free = `${FOLDER}${name}-free`;
  const tryToDelete = async (key: string, bypassGovernance: boolean): Promise<boolean> => {
    const version = await newestVersion(store, key, options);
    return wasDone(deleteVersion(key, version, { ...options, bypassGovernance }));
  };
  await store.put(free, [Buffer.from("probe")], options);
  await store.put(held, [Buffer.from("probe")], options);
  const stat = await store.stat(held, options);
  if (stat === undefined || store.lock === undefined) throw noObject(held);
  const until = new Date(stat.modifiedAt.getTime() + HELD_MS);
  await store.lock.extend(held, { mode: "governance", until }, options);
  const locksByDefault = (await store.lock.retentionOf(free, options)) !== undefined;
  const deletesVersions = await tryToDelete(free, false);
  const enforced = !(await tryToDelete(held, false));
  const bypassed = enforced && (await tryToDelete(held, true));
  for (const key of [held, free]) await store.remove(key, options);
  return { enforced, bypassed, deletesVersions, locksByDefault };
}

async function newestVersion(
  store: ObjectStore,
  key: string,
  options: WaitOptions,
): Promise<string> {
  for await (const found of store.versions?.list(FOLDER, options) ?? []) {
    if (found.key === key && found.newest) return found.version;
  }
  throw objectStoreError("no_versions", {
    message: `store ${store.location} that shows no version of what was just put`,
    subject: { key },
  });
}

async function wasDone(deletion: Promise<void>): Promise<boolean> {
  try {
    await deletion;
    return true;
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "objectstore.denied") return false;
    throw thrown;
  }
}
