/**
 * The restic repository format, version 2, over any object store. docs/spec/repository.md
 *
 * A *blob* is a chunk of a file or a *tree* (one folder as JSON); its id is the SHA-256 of its plaintext. Sealed blobs lie
 * in *packs*, *indexes* say where, a *snapshot* names a root tree. A *lock* keeps prune away while somebody writes.
 *
 *   write:  1. take the lock, read every index                                        lock/ index/
 *           2. each stream: cut into chunks -> hash -> known? -> compress -> seal ->
 *              open again and compare -> into one of the open packs -> upload          chunker/ sealer pack/ write/
 *           3. commit: folders, deepest first, huge ones in shards, as tree blobs      tree/
 *           4. last packs acknowledged -> index acknowledged -> lock still held? -> snapshot
 *   read:   index -> tree by tree, seen through escapes and shards -> ranges of packs, each blob's hash compared;
 *           every place that an index names is tried, twice, before a blob is called damaged         read/
 *   check:  snapshots, indexes, packs, trees; with `readData` every byte                             check/
 *   repair: plan what an index, a pack or a snapshot would become; new things durable, then old ones go   repair/
 */
export type * from "./types.ts";
export { repositoryError } from "./errors.ts";
export { createRepository, openRepository } from "./open.ts";
export { checkAndRemember } from "./check/check-some.ts";
export type { ReadChoice, RememberedReport, RememberingCheckOptions } from "./check/check-some.ts";
export type { ReadCoverage } from "./check/rolling.ts";
export { parseReadSubset } from "./check/subset.ts";
export { executeRepairIndex, planRepairIndex } from "./repair/repair-index.ts";
export type {
  PackChange,
  RepairedIndex,
  RepairIndexOptions,
  RepairIndexPlan,
} from "./repair/repair-index.ts";
export { executeRepairPacks, planRepairPacks } from "./repair/repair-packs.ts";
export type {
  DamagedPack,
  RepairedPacks,
  RepairPacksOptions,
  RepairPacksPlan,
} from "./repair/repair-packs.ts";
export { executeRepairSnapshots, planRepairSnapshots } from "./repair/repair-snapshots.ts";
export type {
  RepairedSnapshots,
  RepairSnapshotsOptions,
  RepairSnapshotsPlan,
  SnapshotRepair,
} from "./repair/repair-snapshots.ts";
export type { ExecuteRepairOptions } from "./repair/exclusive.ts";
export { restoreFiles } from "./read/restore-files.ts";
export type { RestoredFiles, RestoreFilesOptions } from "./read/restore-files.ts";
export { createPoolSealer, SEAL_WORKER } from "./seal-worker-pool.ts";
export { createInlineSealer } from "./sealer.ts";
export type { CreateSealer } from "./sealer.ts";
export { storedNameOf } from "./tree/names.ts";
