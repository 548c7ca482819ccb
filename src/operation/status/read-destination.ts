import { AppError, throwIfAborted } from "../../kernel/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import type { Named, RepositoryDestination } from "../../policy/index.ts";
import {
  acquireLockReader,
  outcomeOf,
  proofOf,
  proofsOf,
  readableSnapshots,
} from "../../repository/index.ts";
import type { Proof, Repository, Snapshot } from "../../repository/index.ts";
import type { OperationContext } from "../context.ts";
import { openDestination, openStore } from "../open.ts";
import { hasRoomForRecords } from "../prove.ts";
import type { Known, StatusLock, StatusPoint } from "./types.ts";

/** One repository, read once for all plans that it serves. */
export interface ReadDestination {
  readonly repository: Repository;
  readonly store: ObjectStore;
  readonly records: boolean;
  /** Newest first. */
  readonly snapshots: readonly Snapshot[];
  readonly proofs: ReadonlyMap<string, Proof>;
  /** Snapshot files that cannot be read, in words. */
  readonly unreadable: readonly string[];
}

/** The words of an error that is a fact about the world; a bug or an interruption is none. */
export function troubleOf(thrown: unknown, signal: AbortSignal): string {
  throwIfAborted(signal);
  if (!(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
  return thrown.message;
}

export async function known<Fact>(
  signal: AbortSignal,
  read: () => Promise<Fact>,
): Promise<Known<Fact>> {
  try {
    return { known: await read() };
  } catch (thrown) {
    return { unknown: troubleOf(thrown, signal) };
  }
}

export async function readDestination(
  context: OperationContext,
  destination: Named<RepositoryDestination>,
): Promise<ReadDestination> {
  const { signal } = context;
  const repository = await openDestination(context, destination);
  const { snapshots, damaged } = await readableSnapshots(repository, { signal });
  const records = hasRoomForRecords(destination);
  return {
    repository,
    store: await openStore(context, destination),
    records,
    snapshots: snapshots.toReversed(),
    proofs: records ? await proofsOf(repository, { signal }) : new Map(),
    unreadable: damaged.map(
      ({ id, error }) =>
        `snapshot ${id.slice(0, 8)} of ${destination.name}, of whatever plan: ${error.message}`,
    ),
  };
}

export function pointOf(snapshot: Snapshot, proofs: ReadonlyMap<string, Proof>): StatusPoint {
  const proof = proofOf(proofs, snapshot);
  const doubt = proof?.state === "suspect" ? doubtText(proof) : undefined;
  return {
    id: snapshot.id,
    time: snapshot.time.toISOString(),
    outcome: outcomeOf(snapshot),
    state: proof?.state ?? "stored",
    ...(doubt === undefined ? {} : { doubt }),
  };
}

/** The first finding, as `snapshots` shows it. */
function doubtText({ details }: Proof): string | undefined {
  const found = Object.entries(details).find(([key]) => /^(message|finding \d+|said)$/.test(key));
  const text = found?.[1] ?? details["how"];
  return text === undefined ? undefined : String(text);
}

/** One request for every object that the point needs. */
export async function lockOf(
  { store, repository }: ReadDestination,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<StatusLock> {
  if (store.lock === undefined) return null;
  const reader = await acquireLockReader(repository, { signal });
  const held = await reader.lockedUntil(snapshot, { signal });
  return held === undefined ? null : { mode: held.mode, until: held.until.toISOString() };
}
