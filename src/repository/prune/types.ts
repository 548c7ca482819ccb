import type { SnapshotId } from "../../kernel/index.ts";
import type { LockOwner } from "../lock/conflicts.ts";
import type { Snapshot } from "../types.ts";

/** How much of what stays may be unneeded: so many bytes, or a share of what stays (restic's 5 %). */
export type UnusedLimit = { readonly bytes: number } | { readonly share: number };

export interface PruneProgress {
  readonly step: "indexes" | "trees" | "repack" | "verify" | "index" | "remove";
  /** Bytes for `repack` and `verify`, files for the others; `total` is 0 where it is not known yet. */
  readonly done: number;
  readonly total: number;
}

export interface PlanPruneOptions {
  readonly owner: LockOwner;
  readonly maxUnused?: UnusedLimit;
  /** Packs below this size are merged with others of their kind; none by default. */
  readonly repackSmallerThanBytes?: number;
  /** At most so many bytes of packs are rewritten by one prune. */
  readonly maxRepackBytes?: number;
  /**
   * How long a pack stays after nobody needs it any more, by the store's clock; 24 hours by default. 0 removes at once:
   * then whoever reads or writes without a lock may lose what it counted on.
   */
  readonly graceMs?: number;
  /**
   * How long this snapshot will be kept, in days, where that is known: blobs that are rewritten are put together with
   * those that will live as long, so that whole packs expire. A blob lives as long as the longest of its snapshots.
   */
  readonly lifetimeDays?: (snapshot: Snapshot) => number;
  /**
   * For whoever executes at once: the lock of planning is kept for it, which saves taking another. It is released by
   * `executePrune`, or by `releasePlan` where the plan is not executed after all.
   */
  readonly keepLock?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PruneProgress) => void;
}

export interface PackTotals {
  readonly packs: number;
  /** As stored, headers included. */
  readonly bytes: number;
}

export interface BlobTotals {
  readonly blobs: number;
  /** Sealed. */
  readonly bytes: number;
}

/** What stays until `until`, and why. */
export interface FreedLater extends PackTotals {
  readonly until: Date;
  readonly because: "grace" | "lock";
}

/** What a prune will do, plain and printable. Only `executePrune` of the process that made it can carry it out. */
export interface PrunePlan {
  readonly repository: string;
  /** By the store's clock. */
  readonly plannedAt: Date;
  readonly graceMs: number;
  readonly snapshots: readonly SnapshotId[];
  /** Everything below `data/`. */
  readonly stored: PackTotals;
  /** What the snapshots need, each blob once. */
  readonly used: BlobTotals;
  /** What lies in listed packs and is not needed, second copies included. */
  readonly unused: BlobTotals;
  readonly keep: PackTotals;
  /** Unneeded bytes that stay in packs that stay. */
  readonly unusedAfterBytes: number;
  /** Their needed blobs are copied into new packs, then they are marked as those below. */
  readonly repack: PackTotals & { readonly ids: readonly string[]; readonly copied: BlobTotals };
  /** Nobody needs them: marked by this run, removed by one after the grace period. */
  readonly mark: PackTotals & { readonly ids: readonly string[] };
  /** Marked earlier and needed again: the mark is taken back. */
  readonly recover: PackTotals & { readonly ids: readonly string[] };
  /** Removed by this run: marked long enough ago, or in no index for as long. */
  readonly remove: PackTotals & { readonly ids: readonly string[] };
  /** In no index: left by a writer that was stopped, or of one at work. Those too young to be removed. */
  readonly unreferenced: PackTotals;
  /** Listed by an index, gone from the store, and not needed: taken out of the index. */
  readonly missing: readonly string[];
  /** Of another size than the indexes say, and needed: left alone, to be looked at by a check. */
  readonly suspect: readonly string[];
  /** Index files that are written anew, and those that there are. */
  readonly indexes: { readonly replaced: number; readonly all: number };
  readonly freedNowBytes: number;
  /** Sorted by date. */
  readonly freedLater: readonly FreedLater[];
}

export interface ExecutePruneOptions {
  readonly owner: LockOwner;
  /** How long to wait for others' locks before something is removed; not at all by default. */
  readonly lockWaitMs?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PruneProgress) => void;
}

export interface DamagedBlob {
  readonly blob: string;
  readonly pack: string;
}

export interface PruneReport {
  /** `incomplete`: damaged blobs kept their packs, or the store refused a removal. */
  readonly outcome: "complete" | "incomplete";
  readonly copied: BlobTotals;
  readonly written: PackTotals;
  readonly marked: PackTotals;
  readonly removed: PackTotals;
  readonly recovered: PackTotals;
  /** Needed after all, by a snapshot that appeared after the plan. */
  readonly keptAfterAll: readonly string[];
  /** Did not open where they lie: their packs were left alone. */
  readonly damaged: readonly DamagedBlob[];
  /** Packs whose removal the store refused; they are in no index any more, and the next prune tries again. */
  readonly refused: readonly string[];
}
