import type { SnapshotId } from "../../kernel/index.ts";
import { AppError, asSnapshotId, throwIfAborted } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { listIds } from "../list.ts";
import { loadSnapshotFields } from "../snapshots.ts";
import type { Repository, Snapshot } from "../types.ts";
import { unpackedPrefix } from "../unpacked.ts";
import { isSameSnapshot, persistentId } from "./same-snapshot.ts";
import type { FullSnapshot } from "./same-snapshot.ts";

const PARALLEL = 8;

export interface CopyPair {
  readonly source: SnapshotId;
  readonly copy: SnapshotId;
}

/** Plain and printable; nothing but snapshot files was read for it. */
export interface CopyPlan {
  readonly from: RepositoryName;
  readonly to: RepositoryName;
  /** Oldest first. */
  readonly copy: readonly Snapshot[];
  /** Of those selected, what the target holds already. */
  readonly present: readonly CopyPair[];
  /** Snapshot files of the source that are damaged: whether they were selected nobody can say. */
  readonly unreadable: readonly CopyFailure[];
}

export interface CopyFailure {
  readonly source: SnapshotId;
  readonly code: string;
  readonly message: string;
}

export interface RepositoryName {
  readonly id: string;
  readonly location: string;
}

export interface PlanCopyOptions {
  /** All of them when left out. */
  readonly select?: (snapshot: Snapshot) => boolean;
  readonly signal?: AbortSignal;
}

/** Which snapshots of the source the target lacks. */
export async function planCopy(
  source: Repository,
  target: Repository,
  { select = () => true, signal }: PlanCopyOptions = {},
): Promise<CopyPlan> {
  if (source.id === target.id) {
    throw repositoryError("copy_onto_itself", {
      message: `${target.location} is the repository ${source.id.slice(0, 8)} itself, or a plain copy of its files`,
      subject: { repository: source.id },
    });
  }
  const unreadable: CopyFailure[] = [];
  const selected = await loadFull(source, select, signal, (id, { code, message }) =>
    unreadable.push({ source: asSnapshotId(id), code, message }),
  );
  // One that is damaged in the target is nobody's copy; a check names it.
  const there = byPersistentId(
    await loadFull(
      target,
      () => true,
      signal,
      () => undefined,
    ),
  );
  const copy: Snapshot[] = [];
  const present: CopyPair[] = [];
  for (const wanted of selected) {
    const found = sameIn(there, wanted);
    if (found === undefined) copy.push(wanted.snapshot);
    else present.push({ source: wanted.snapshot.id, copy: found.snapshot.id });
  }
  return { from: nameOf(source), to: nameOf(target), copy, present, unreadable };
}

export type ByPersistentId = ReadonlyMap<string, readonly FullSnapshot[]>;

/** Under its own id too: a snapshot that was copied from there to here lies there under the id that we call original. */
export function byPersistentId(snapshots: readonly FullSnapshot[]): ByPersistentId {
  const found = new Map<string, FullSnapshot[]>();
  const note = (id: string, full: FullSnapshot): void => {
    const list = found.get(id);
    if (list === undefined) found.set(id, [full]);
    else list.push(full);
  };
  for (const full of snapshots) {
    const { id, original } = full.snapshot;
    note(id, full);
    if (original !== undefined) note(original, full);
  }
  return found;
}

export function sameIn(there: ByPersistentId, wanted: FullSnapshot): FullSnapshot | undefined {
  const candidates = there.get(persistentId(wanted.snapshot)) ?? [];
  return candidates.find((candidate) => isSameSnapshot(candidate, wanted));
}

/** Oldest first. One that is forgotten meanwhile is left out; a damaged one is an error, unless somebody takes it. */
export async function loadFull(
  repository: Repository,
  select: (snapshot: Snapshot) => boolean,
  signal?: AbortSignal,
  onDamaged?: (id: string, error: AppError) => void,
): Promise<readonly FullSnapshot[]> {
  const core = coreOf(repository);
  const ids = await listIds(core.store, unpackedPrefix.snapshot, signal);
  const found: FullSnapshot[] = [];
  for (let at = 0; at < ids.length; at += PARALLEL) {
    throwIfAborted(signal);
    const group = ids.slice(at, at + PARALLEL).map(async (id) => {
      try {
        return await loadSnapshotFields(core, id, signal);
      } catch (thrown) {
        if (!(thrown instanceof AppError)) throw thrown;
        if (thrown.code === "objectstore.not_found") return undefined;
        if (thrown.kind !== "corrupt" || onDamaged === undefined) throw thrown;
        onDamaged(id, thrown);
        return undefined;
      }
    });
    for (const full of await Promise.all(group)) {
      if (full !== undefined && select(full.snapshot)) found.push(full);
    }
  }
  return found.sort(
    ({ snapshot: a }, { snapshot: b }) =>
      a.time.getTime() - b.time.getTime() || (a.id < b.id ? -1 : 1),
  );
}

function nameOf({ id, location }: Repository): RepositoryName {
  return { id, location };
}
