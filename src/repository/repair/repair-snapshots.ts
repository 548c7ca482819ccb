import { REPAIRED_TAG } from "../snapshot-tags.ts";
import { AppError, asSnapshotId, fromHex, throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { obstacleOf, readStanding, removeUnlessHeld } from "../hold/standing.ts";
import type { KnownSnapshot, Remaining } from "../hold/standing.ts";
import { loadIndex } from "../index/load-index.ts";
import { textOf } from "../json.ts";
import { listFiles, listIds } from "../list.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { BlobReader } from "../read/blob-reader.ts";
import { parseSnapshot } from "../snapshot-file.ts";
import type { Repository, Snapshot } from "../types.ts";
import { loadUnpacked, saveUnpacked, unpackedPrefix } from "../unpacked.ts";
import { BlobSaver } from "./blob-saver.ts";
import { findUnreadableLocks, PlanSecrets, stale, withLock } from "./exclusive.ts";
import type { ExecuteRepairOptions } from "./exclusive.ts";
import { withFields } from "./node-text.ts";
import { TreeRewriter } from "./rewrite-tree.ts";
import type { TreeChange } from "./rewrite-tree.ts";

/**
 * Snapshots whose blobs are gone, each once more without them, by the rule of `restic repair snapshots`: a file loses the
 * blobs that are nowhere and keeps its name, a folder whose tree cannot be read becomes empty, a size that did not add up
 * is put right. The new one has the tag `repaired` and names the old one as `original`; the old one stays unless asked.
 *
 *   plan:    walk every tree that snapshots reach, each once, and note what would change
 *   execute: the same walk, storing trees -> index -> new snapshots -> with `forget` the old ones go
 */
export interface RepairSnapshotsOptions {
  /** Full ids; by default every snapshot. */
  readonly snapshots?: readonly string[];
  /** Remove the snapshots that were repaired, those beyond repair, and files that are no snapshots. */
  readonly forget?: boolean;
  readonly signal?: AbortSignal;
}

export interface SnapshotRepair {
  readonly snapshot: string;
  readonly time: Date;
  /** At most 1,000 are listed. */
  readonly changes: readonly TreeChange[];
  readonly changed: number;
}

export interface RepairSnapshotsPlan {
  readonly kind: "repair-snapshots";
  readonly needed: boolean;
  readonly repairs: readonly SnapshotRepair[];
  /** Damaged, and already there as a repaired one: not written again. */
  readonly repairedBefore: readonly string[];
  /** Their root trees cannot be read: nothing is left to make a snapshot of. */
  readonly beyondRepair: readonly string[];
  /** Files below snapshots/ that cannot be read as snapshots. */
  readonly unreadable: readonly string[];
  /** What execution removes in the end: nothing unless `forget` was asked for. */
  readonly removed: readonly string[];
  /** What was to be removed and stays: a hold or an Object Lock keeps it. Looked at again before a removal. */
  readonly kept: readonly Remaining[];
  readonly unreadableLocks: readonly string[];
}

export interface RepairedSnapshots {
  /** New ids, by the ids that they stand for. */
  readonly written: Readonly<Record<string, string>>;
  readonly removed: number;
  /** Those of the plan that are still there, each with what stood in the way. */
  readonly remaining: Readonly<Record<string, string>>;
}

interface Planned {
  readonly snapshot: Snapshot;
  readonly tree: string;
}

interface Carried {
  readonly repository: Repository;
  readonly planned: readonly Planned[];
  /** To be removed, with what is known of each. */
  readonly going: readonly KnownSnapshot[];
}

const SECRETS = new PlanSecrets<RepairSnapshotsPlan, Carried>();
const MAX_LISTED = 1000;

export async function planRepairSnapshots(
  repository: Repository,
  options: RepairSnapshotsOptions = {},
): Promise<RepairSnapshotsPlan> {
  const core = coreOf(repository);
  const { signal, forget = false } = options;
  const { snapshots, unreadable } = await readSnapshots(core, options);
  const planned: Planned[] = [];
  const repairs: SnapshotRepair[] = [];
  const beyondRepair: string[] = [];
  const repairedBefore: string[] = [];
  let noted: TreeChange[] = [];
  let changed = 0;
  const { rewriter } = await openRewriter(core, {
    save: () => Promise.resolve(),
    onChange: (change) => {
      changed += 1;
      if (noted.length < MAX_LISTED) noted.push(change);
    },
    ...(signal === undefined ? {} : { signal }),
  });
  for (const snapshot of snapshots) {
    throwIfAborted(signal);
    const tree = await rewriter.rewrite(snapshot.tree);
    if (tree === undefined) beyondRepair.push(snapshot.id);
    else if (tree !== snapshot.tree && isRepaired(snapshots, snapshot, tree)) {
      repairedBefore.push(snapshot.id);
    } else if (tree !== snapshot.tree) {
      planned.push({ snapshot, tree });
      repairs.push({ snapshot: snapshot.id, time: snapshot.time, changes: noted, changed });
    }
    [noted, changed] = [[], 0];
  }
  const repaired = [...repairs.map(({ snapshot }) => snapshot), ...repairedBefore];
  const damaged = [...repaired, ...beyondRepair, ...unreadable];
  const byId = new Map<string, Snapshot>(snapshots.map((snapshot) => [snapshot.id, snapshot]));
  const known = (forget ? damaged : []).map(
    (id): KnownSnapshot => byId.get(id) ?? { id, time: undefined },
  );
  const { going, kept } = await sortOut(repository, known, signal);
  const removed = going.map(({ id }) => id);
  const unreadableLocks = await findUnreadableLocks(core, signal);
  const plan: RepairSnapshotsPlan = {
    kind: "repair-snapshots",
    needed: repairs.length + removed.length + unreadableLocks.length > 0,
    repairs,
    repairedBefore,
    beyondRepair,
    unreadable,
    removed,
    kept,
    unreadableLocks,
  };
  return SECRETS.keep(plan, { repository, planned, going });
}

async function sortOut(
  repository: Repository,
  known: readonly KnownSnapshot[],
  signal: AbortSignal | undefined,
): Promise<{ readonly going: readonly KnownSnapshot[]; readonly kept: readonly Remaining[] }> {
  const going: KnownSnapshot[] = [];
  const kept: Remaining[] = [];
  if (known.length === 0) return { going, kept };
  const waits = signal === undefined ? {} : { signal };
  const standing = await readStanding(repository, undefined, waits);
  for (const snapshot of known) {
    const obstacle = await obstacleOf(coreOf(repository), snapshot, standing, waits);
    if (obstacle === undefined) going.push(snapshot);
    else kept.push(obstacle);
  }
  return { going, kept };
}

function isRepaired(all: readonly Snapshot[], damaged: Snapshot, tree: string): boolean {
  const of = damaged.original ?? damaged.id;
  return all.some((other) => other.tree === tree && other.original === of);
}

async function readSnapshots(
  core: RepositoryCore,
  { snapshots: asked, signal }: RepairSnapshotsOptions,
): Promise<{
  readonly snapshots: readonly Snapshot[];
  readonly unreadable: readonly string[];
}> {
  const snapshots: Snapshot[] = [];
  const unreadable: string[] = [];
  for (const id of asked ?? (await listIds(core.store, unpackedPrefix.snapshot, signal))) {
    try {
      const json = await loadUnpacked(core, "snapshot", id, signal);
      const snapshot = parseSnapshot(json, asSnapshotId(id));
      if (snapshot === undefined) unreadable.push(id);
      else snapshots.push(snapshot);
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      if (thrown.kind === "corrupt") unreadable.push(id);
      else if (thrown.code !== "objectstore.not_found") throw thrown;
    }
  }
  return { snapshots, unreadable };
}

interface RewriterOptions {
  readonly save: (json: Bytes) => Promise<void>;
  readonly onChange: (change: TreeChange) => void;
  readonly signal?: AbortSignal;
}

/** A damaged index is an error here: what it lists would be taken for gone. `repair index` comes first. */
async function openRewriter(
  core: RepositoryCore,
  options: RewriterOptions,
): Promise<{ readonly rewriter: TreeRewriter }> {
  // What lies in marked packs alone is there as well: a reader finds it, and the next prune takes the mark back.
  const index = await loadIndex(core, options.signal, { marked: true });
  const stored = new Set<string>();
  for (const { id } of await listFiles(core.store, "data/", options.signal)) stored.add(id);
  const lengthOf = (blob: string): number | undefined => lengthIn(index, stored, blob);
  return {
    rewriter: new TreeRewriter({ reader: new BlobReader(core, index), lengthOf, ...options }),
  };
}

function lengthIn(index: BlobIndex, stored: ReadonlySet<string>, blob: string): number | undefined {
  const position = index
    .positions(fromHex(blob), "data")
    .find((p) => stored.has(index.packIds[index.packNumberAt(p)] ?? ""));
  return position === undefined ? undefined : index.plainLengthAt(position);
}

export async function executeRepairSnapshots(
  plan: RepairSnapshotsPlan,
  options: ExecuteRepairOptions,
): Promise<RepairedSnapshots> {
  const { repository, planned, going } = SECRETS.take(plan);
  const core = coreOf(repository);
  const { unreadableLocks } = plan;
  // Without a removal a shared lock does, as for any writer: other backups go on.
  return await withLock(
    core,
    options,
    { exclusive: going.length > 0, unreadableLocks },
    async (lock, signal) => {
      await saveTrees(core, planned, signal);
      await lock.requireHeld(signal);
      const written: Record<string, string> = {};
      for (const each of planned) {
        written[each.snapshot.id] = await saveRepaired(core, each, signal);
      }
      const remaining: Record<string, string> = {};
      if (going.length === 0) return { written, removed: 0, remaining };
      await requireStillDamaged(core, plan, signal);
      const standing = await readStanding(repository, await lock.clocks(signal), { signal });
      for (const snapshot of going) {
        await lock.requireHeld(signal);
        const left = await removeUnlessHeld(core, snapshot, standing, { signal });
        if (left !== undefined) remaining[snapshot.id] = left.why;
      }
      const removed = going.length - Object.keys(remaining).length;
      return { written, removed, remaining };
    },
  );
}

/** Since the plan a pack may have come back, an index been repaired, or the repaired one been forgotten. */
async function requireStillDamaged(
  core: RepositoryCore,
  { beyondRepair, repairedBefore, unreadable }: RepairSnapshotsPlan,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<typeof readSnapshots>>> {
  const found = await readSnapshots(core, { signal });
  const noted = { save: () => Promise.resolve(), onChange: () => undefined, signal };
  const { rewriter } = await openRewriter(core, noted);
  const by = { beyond: new Set(beyondRepair), before: new Set(repairedBefore) };
  const back = found.snapshots.find(({ id }) => unreadable.includes(id));
  if (back !== undefined) throw notAsPlanned(back);
  for (const snapshot of found.snapshots) {
    const isBeyond = by.beyond.has(snapshot.id);
    if (!isBeyond && !by.before.has(snapshot.id)) continue;
    const tree = await rewriter.rewrite(snapshot.tree);
    const isSo = isBeyond ? tree === undefined : isDone(found.snapshots, snapshot, tree);
    if (!isSo) throw notAsPlanned(snapshot);
  }
  return found;
}

function notAsPlanned({ id }: Snapshot): AppError {
  return stale(`snapshot ${id.slice(0, 8)} that was to be removed and is not as planned`);
}

function isDone(all: readonly Snapshot[], damaged: Snapshot, tree: string | undefined): boolean {
  return tree !== undefined && tree !== damaged.tree && isRepaired(all, damaged, tree);
}

/** Every tree of the new snapshots is durable and listed when this returns. */
async function saveTrees(
  core: RepositoryCore,
  planned: readonly Planned[],
  signal: AbortSignal,
): Promise<void> {
  const saver = new BlobSaver(core, signal);
  try {
    const { rewriter } = await openRewriter(core, {
      save: (json) => saver.save("tree", json),
      onChange: () => undefined,
      signal,
    });
    for (const { snapshot, tree } of planned) {
      if ((await rewriter.rewrite(snapshot.tree)) === tree) continue;
      throw stale(`snapshot ${snapshot.id.slice(0, 8)} that would be repaired differently now`);
    }
    await saver.flush();
  } finally {
    await saver.drain();
  }
}

async function saveRepaired(
  core: RepositoryCore,
  { snapshot, tree }: Planned,
  signal: AbortSignal,
): Promise<string> {
  const json = await loadUnpacked(core, "snapshot", snapshot.id, signal);
  const original = snapshot.original ?? snapshot.id;
  const tags = [...new Set([...snapshot.tags, REPAIRED_TAG])];
  const fresh = withFields(textOf(json), { tree, tags, original });
  return (await saveUnpacked(core, "snapshot", Buffer.from(fresh), signal)).id;
}
