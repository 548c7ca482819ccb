import { toHex } from "../../kernel/index.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { acquireLock } from "../lock/lock.ts";
import type { LockOwner } from "../lock/conflicts.ts";
import { loadRecords, saveRecord } from "../record/record.ts";
import type { Repository } from "../types.ts";
import { foldHolds, formatHoldRecord, parseHoldRecord } from "./hold.ts";
import type { Hold, HoldTerms } from "./hold.ts";

interface WaitOptions {
  readonly signal?: AbortSignal;
}

export interface ReleaseOptions {
  /** Id, or its first digits. */
  readonly hold: string;
  readonly by: string;
  readonly reason: string;
}

/**
 * Durable when this returns, and nothing that it names is gone. Under a shared lock: a forget that has looked for holds
 * already keeps this one out until it is done, so no point is removed while somebody believes it held.
 */
export async function addHold(
  repository: Repository,
  terms: HoldTerms,
  owner: LockOwner,
  { signal }: WaitOptions = {},
): Promise<Hold> {
  const core = coreOf(repository);
  const waits = signal === undefined ? {} : { signal };
  await using lock = await acquireLock(core, { exclusive: false, owner, ...waits });
  await requireSnapshots(core, terms.snapshots, signal);
  await lock.requireHeld(signal);
  const at = core.clock.now();
  const record = formatHoldRecord({ type: "hold", at, ...terms }, toHex(core.random(8)));
  const id = await saveRecord(core, "holds", record, signal);
  return { id, at, ...terms };
}

/** Oldest first, released and expired ones too. */
export async function listHolds(
  repository: Repository,
  { signal }: WaitOptions = {},
): Promise<readonly Hold[]> {
  return foldHolds(await loadRecords(coreOf(repository), "holds", parseHoldRecord, signal));
}

/** A record more; the hold's own stays. */
export async function releaseHold(
  repository: Repository,
  { hold, by, reason }: ReleaseOptions,
  { signal }: WaitOptions = {},
): Promise<Hold> {
  const core = coreOf(repository);
  const found = findHold(await listHolds(repository, signal === undefined ? {} : { signal }), hold);
  const released = { at: core.clock.now(), by, reason };
  const record = { type: "release" as const, hold: found.id, ...released };
  await saveRecord(core, "holds", formatHoldRecord(record, toHex(core.random(8))), signal);
  return { ...found, released };
}

function findHold(holds: readonly Hold[], reference: string): Hold {
  const matching = holds.filter(({ id }) => id.startsWith(reference));
  const standing = matching.filter(({ released }) => released === undefined);
  const [only] = standing;
  if (only !== undefined && standing.length === 1 && reference !== "") return only;
  const what =
    standing.length > 1
      ? `${standing.length} holds that begin with`
      : matching.length > 0
        ? "hold that was released already:"
        : "no hold";
  throw repositoryError("hold_not_found", {
    message: `${what} ${reference.slice(0, 64)}`,
    subject: { hold: reference.slice(0, 64) },
  });
}

async function requireSnapshots(
  core: RepositoryCore,
  ids: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const id of ids) {
    const key = objectKey.snapshot(id);
    if ((await core.store.stat(key, signal === undefined ? {} : { signal })) !== undefined)
      continue;
    throw repositoryError("snapshot_not_found", {
      message: `no snapshot ${id.slice(0, 8)} to hold`,
      subject: { snapshot: id },
    });
  }
}
