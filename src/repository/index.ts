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
 *   copy:   snapshots that the other repository lacks -> blobs that it lacks, pack by pack -> sealed under its key ->
 *           index -> all of it read back -> snapshot                                       copy/ write/blob-copier
 *   rewrite: new trees on the way to some paths -> index -> read back -> record of the erasure -> snapshot ->
 *           the old one goes                                                               rewrite/
 *   check:  snapshots, indexes, packs, trees; with `readData` every byte                             check/
 */
export type * from "./types.ts";
export { repositoryError } from "./errors.ts";
export { createRepository, openRepository } from "./open.ts";
export { planCopy } from "./copy/plan.ts";
export type {
  CopyFailure,
  CopyPair,
  CopyPlan,
  PlanCopyOptions,
  RepositoryName,
} from "./copy/plan.ts";
export { executeCopy } from "./copy/execute.ts";
export type { CopiedSnapshot, CopyOptions, CopyProgress, CopyResult } from "./copy/execute.ts";
export { carryRecords } from "./copy/records.ts";
export type { CarriedRecords } from "./copy/records.ts";
export { erasuresOf } from "./rewrite/erasure.ts";
export type { Erasure } from "./rewrite/erasure.ts";
export { planRewrite } from "./rewrite/plan.ts";
export type {
  MatchedPath,
  PlanRewriteOptions,
  RewritePlan,
  SnapshotWithPaths,
} from "./rewrite/plan.ts";
export { executeRewrite } from "./rewrite/execute.ts";
export type { RewriteOptions, RewriteResult, RewrittenSnapshot } from "./rewrite/execute.ts";
export type { HeldSnapshots, Remaining } from "./rewrite/forget-rewritten.ts";
export { restoreFiles } from "./read/restore-files.ts";
export type { RestoredFiles, RestoreFilesOptions } from "./read/restore-files.ts";
export { createPoolSealer, SEAL_WORKER } from "./seal-worker-pool.ts";
export { createInlineSealer } from "./sealer.ts";
export type { CreateSealer } from "./sealer.ts";
export { storedNameOf } from "./tree/names.ts";
