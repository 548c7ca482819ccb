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
 *   forget: facts (snapshots, proofs, holds, clocks, what the caller knows) -> decision -> under the exclusive lock looked
 *           at again -> one snapshot file after the other                        forget/ hold/ proof/
 *   diff:   two trees side by side, what is the same blob skipped                          diff/
 *   prune:  what snapshots need -> the fate of every pack -> copy -> index anew, marks in it -> grace -> remove     prune/
 *   keys:   record -> key file -> read back and opened; removed under an exclusive lock, record first       key/
 *   copy:   snapshots that the other repository lacks -> blobs that it lacks, pack by pack -> sealed under its key ->
 *           index -> all of it read back -> snapshot                                       copy/ write/blob-copier
 *   rewrite: new trees on the way to some paths -> index -> read back -> record of the erasure -> snapshot ->
 *           the old one goes                                                               rewrite/
 *   check:  snapshots, indexes, packs, trees; with `readData` every byte                             check/
 *   repair: plan what an index, a pack or a snapshot would become; new things durable, then old ones go   repair/
 */
export type * from "./types.ts";
export { diffSnapshots } from "./diff/diff.ts";
export type { DiffChange, DiffTotals } from "./diff/diff.ts";
export { repositoryError } from "./errors.ts";
export type { ForgetDecision, ForgottenPoint, KeptPoint, PlanDecision } from "./forget/decision.ts";
export { executeForget } from "./forget/execute.ts";
export type { ForgetResult } from "./forget/execute.ts";
export type { ForgetScope, PlanFact, ScheduleFact, WindowFact } from "./forget/facts.ts";
export type { KeepRules } from "./forget/keep.ts";
export { planForget } from "./forget/plan.ts";
export type { ForgetPlan, ForgetQuestion } from "./forget/plan.ts";
export { holds, isInForce } from "./hold/hold.ts";
export type { Hold, HoldTerms } from "./hold/hold.ts";
export { addHold, listHolds, releaseHold } from "./hold/holds.ts";
export type { Proof, ProofState } from "./proof/proof.ts";
export { proofOf } from "./proof/proof.ts";
export { acceptSuspect, proofsOf, saveProof } from "./proof/proofs.ts";
export type { NewProof } from "./proof/proofs.ts";
export { connectionOf } from "./connection.ts";
export { createRepository, openRepository } from "./open.ts";
export { executePrune } from "./prune/execute.ts";
export { planPrune } from "./prune/plan.ts";
export { releasePlan } from "./prune/state.ts";
export type * from "./prune/types.ts";
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
export { carryDoubts } from "./copy/doubts.ts";
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
export type { Remaining } from "./hold/standing.ts";
export { checkAndRemember, lastCheckOf } from "./check/check-some.ts";
export type { FoundByCheck } from "./check/read-log.ts";
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
export { outcomeOf, planOf, sourceOf, tagsOf } from "./snapshot-tags.ts";
export { measureRepository } from "./stored/measure.ts";
export type { MeasuredRepository, StoredObjects, StoredWith } from "./stored/measure.ts";
export { storedNameOf } from "./tree/names.ts";
export { extendLocks } from "./immutable/extend-locks.ts";
export { acquireLockReader, lockedUntil } from "./immutable/locked-until.ts";
export type { LockedUntil, LockReader } from "./immutable/locked-until.ts";
export { lockIndexes } from "./immutable/lock-indexes.ts";
export type { LockIndexesOptions } from "./immutable/lock-indexes.ts";
export { PointLocker } from "./immutable/point-locker.ts";
export { lockSnapshot, lockTree, storeTime } from "./immutable/lock-snapshot.ts";
export { executeRecoverVersions } from "./recover-versions/execute.ts";
export type { RecoveredVersions, RecoverVersionsOptions } from "./recover-versions/execute.ts";
export { planRecoverVersions } from "./recover-versions/plan.ts";
export type {
  AddedObject,
  PlanRecoverVersionsOptions,
  PutBack,
  RecoverVersionsPlan,
} from "./recover-versions/plan.ts";
export { addKey } from "./key/add.ts";
export type { KeyChangeOptions, NewKeyOptions } from "./key/add.ts";
export { planAdoptKeys } from "./key/adopt.ts";
export type { AdoptionPlan, AdoptOptions } from "./key/adopt.ts";
export { listKeys, strangenessOf, unknownAmong, unreadableOf, unknownKeys } from "./key/list.ts";
export type { KeyEntry, KeyListing } from "./key/list.ts";
export { changePassword } from "./key/passwd.ts";
export type { ChangedPassword, ChangePasswordOptions } from "./key/passwd.ts";
export { planRemoveKey } from "./key/remove.ts";
export type { KeyRemoval, KeyRemovalPlan, RemoveKeyOptions } from "./key/remove.ts";
export { judgePassword, WEAK_BITS } from "./key/strength.ts";
export type { PasswordStrength } from "./key/strength.ts";
export { loadWraps, recordWrap } from "./key/wraps.ts";
export type { WrapRecord } from "./key/key-record.ts";
