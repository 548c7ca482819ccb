import { AppError } from "../../kernel/index.ts";
import type { Retention } from "../../objectstore/index.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { listIds } from "../list.ts";
import { lockObjects } from "./extend-locks.ts";

/**
 * Object Lock covers a recovery point, not what a run has written: an old pack's lock would end while a new snapshot still
 * needs it.
 *
 *   1. everything durable (I1)  2. packs, indexes, keys and config locked until the point's end, each read back
 *   3. snapshot put             4. snapshot locked, read back -> only now is a lock claimed
 *
 * Locks of writers and the journal carry none: they must be removable. docs/spec/repository.md §immutability
 */
export async function lockNeeds(
  core: RepositoryCore,
  needs: Iterable<string>,
  retention: Retention,
  signal?: AbortSignal,
): Promise<void> {
  await lockObjects(core.store, needs, retention, signal);
  const keyIds = await listIds(core.store, "keys/", signal);
  const keys = [objectKey.config, ...keyIds.map(objectKey.key)];
  await lockObjects(core.store, keys, retention, signal);
}

/** A snapshot whose own lock did not come about is taken away again: it would look like a point that is held. */
export async function lockNewSnapshot(
  core: RepositoryCore,
  id: string,
  retention: Retention,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await lockObjects(core.store, [objectKey.snapshot(id)], retention, signal);
  } catch (thrown) {
    await withdraw(core, id);
    throw thrown;
  }
}

async function withdraw(core: RepositoryCore, id: string): Promise<void> {
  try {
    await core.store.remove(objectKey.snapshot(id));
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    // Where removal is denied the snapshot stays. It is whole, nothing claims a lock of it, and its run is no success.
    core.log?.warn({ err: thrown, snapshot: id }, "snapshot without its lock left behind");
  }
}
