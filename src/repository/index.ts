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
 *
 * What a verb alone needs is loaded when it is first called.
 */
import { lazily } from "../kernel/index.ts";

export type * from "./types.ts";
export const diffSnapshots = lazily(async () => (await import("./diff/diff.ts")).diffSnapshots);
export type { DiffChange, DiffTotals } from "./diff/diff.ts";
export { repositoryError } from "./errors.ts";
export type { ForgetDecision, ForgottenPoint, KeptPoint, PlanDecision } from "./forget/decision.ts";
export const executeForget = lazily(
  async () => (await import("./forget/execute.ts")).executeForget,
);
export type { ForgetResult } from "./forget/execute.ts";
export type { ForgetScope, PlanFact, ScheduleFact, WindowFact } from "./forget/facts.ts";
export type { KeepRules } from "./forget/keep.ts";
export const planForget = lazily(async () => (await import("./forget/plan.ts")).planForget);
export type { ForgetPlan, ForgetQuestion } from "./forget/plan.ts";
export { holds, isInForce } from "./hold/hold.ts";
export type { Hold, HoldTerms } from "./hold/hold.ts";
export const addHold = lazily(async () => (await import("./hold/holds.ts")).addHold);
export const listHolds = lazily(async () => (await import("./hold/holds.ts")).listHolds);
export const releaseHold = lazily(async () => (await import("./hold/holds.ts")).releaseHold);
export type { Proof, ProofDetails, ProofState } from "./proof/proof.ts";
export { proofOf } from "./proof/proof.ts";
export const acceptSuspect = lazily(async () => (await import("./proof/proofs.ts")).acceptSuspect);
export const proofsOf = lazily(async () => (await import("./proof/proofs.ts")).proofsOf);
export const saveProof = lazily(async () => (await import("./proof/proofs.ts")).saveProof);
export type { NewProof } from "./proof/proofs.ts";
export const listGaps = lazily(async () => (await import("./gap/gap.ts")).listGaps);
export const saveGap = lazily(async () => (await import("./gap/gap.ts")).saveGap);
export type { Gap } from "./gap/gap.ts";
export const loadDumpRecords = lazily(
  async () => (await import("./record/dump-records.ts")).loadDumpRecords,
);
export const saveDumpRecord = lazily(
  async () => (await import("./record/dump-records.ts")).saveDumpRecord,
);
export type { DumpRecord } from "./record/dump-records.ts";
export { connectionOf } from "./connection.ts";
export { createRepository, openRepository } from "./open.ts";
export const executePrune = lazily(async () => (await import("./prune/execute.ts")).executePrune);
export const planPrune = lazily(async () => (await import("./prune/plan.ts")).planPrune);
export const releasePlan = lazily(async () => (await import("./prune/state.ts")).releasePlan);
export type * from "./prune/types.ts";
export const planCopy = lazily(async () => (await import("./copy/plan.ts")).planCopy);
export type {
  CopyFailure,
  CopyPair,
  CopyPlan,
  PlanCopyOptions,
  RepositoryName,
} from "./copy/plan.ts";
export const executeCopy = lazily(async () => (await import("./copy/execute.ts")).executeCopy);
export type { CopiedSnapshot, CopyOptions, CopyProgress, CopyResult } from "./copy/execute.ts";
export const carryDoubts = lazily(async () => (await import("./copy/doubts.ts")).carryDoubts);
export const carryRecords = lazily(async () => (await import("./copy/records.ts")).carryRecords);
export type { CarriedRecords } from "./copy/records.ts";
export const erasuresOf = lazily(async () => (await import("./rewrite/erasure.ts")).erasuresOf);
export type { Erasure } from "./rewrite/erasure.ts";
export const planRewrite = lazily(async () => (await import("./rewrite/plan.ts")).planRewrite);
export type {
  MatchedPath,
  PlanRewriteOptions,
  RewritePlan,
  SnapshotWithPaths,
} from "./rewrite/plan.ts";
export const executeRewrite = lazily(
  async () => (await import("./rewrite/execute.ts")).executeRewrite,
);
export type { RewriteOptions, RewriteResult, RewrittenSnapshot } from "./rewrite/execute.ts";
export type { Remaining } from "./hold/standing.ts";
export const checkAndRemember = lazily(
  async () => (await import("./check/check-some.ts")).checkAndRemember,
);
export const lastCheckOf = lazily(async () => (await import("./check/check-some.ts")).lastCheckOf);
export const damagedSnapshots = lazily(
  async () => (await import("./check/damaged-snapshots.ts")).damagedSnapshots,
);
export const readableSnapshots = lazily(
  async () => (await import("./check/damaged-snapshots.ts")).readableSnapshots,
);
export type { FoundByCheck } from "./check/read-log.ts";
export type { ReadChoice, RememberedReport, RememberingCheckOptions } from "./check/check-some.ts";
export type { ReadCoverage } from "./check/rolling.ts";
export { parseReadSubset } from "./check/subset.ts";
export const executeRepairIndex = lazily(
  async () => (await import("./repair/repair-index.ts")).executeRepairIndex,
);
export const planRepairIndex = lazily(
  async () => (await import("./repair/repair-index.ts")).planRepairIndex,
);
export type {
  PackChange,
  RepairedIndex,
  RepairIndexOptions,
  RepairIndexPlan,
} from "./repair/repair-index.ts";
export const executeRepairPacks = lazily(
  async () => (await import("./repair/repair-packs.ts")).executeRepairPacks,
);
export const planRepairPacks = lazily(
  async () => (await import("./repair/repair-packs.ts")).planRepairPacks,
);
export type {
  DamagedPack,
  RepairedPacks,
  RepairPacksOptions,
  RepairPacksPlan,
} from "./repair/repair-packs.ts";
export const executeRepairSnapshots = lazily(
  async () => (await import("./repair/repair-snapshots.ts")).executeRepairSnapshots,
);
export const planRepairSnapshots = lazily(
  async () => (await import("./repair/repair-snapshots.ts")).planRepairSnapshots,
);
export type {
  RepairedSnapshots,
  RepairSnapshotsOptions,
  RepairSnapshotsPlan,
  SnapshotRepair,
} from "./repair/repair-snapshots.ts";
export type { ExecuteRepairOptions } from "./repair/exclusive.ts";
export const restoreFiles = lazily(
  async () => (await import("./read/restore-files.ts")).restoreFiles,
);
export type { RestoredFiles, RestoreFilesOptions } from "./read/restore-files.ts";
export { createPoolSealer } from "./seal-worker-pool.ts";
export { createInlineSealer } from "./sealer.ts";
export type { CreateSealer } from "./sealer.ts";
export { holdsSchemaOnly, outcomeOf, planOf, scopeOf, sourceOf, tagsOf } from "./snapshot-tags.ts";
export const measureRepository = lazily(
  async () => (await import("./stored/measure.ts")).measureRepository,
);
export type { MeasuredRepository, StoredObjects, StoredWith } from "./stored/measure.ts";
export { SEAL_WORKER } from "./thread-stock.ts";
export { storedNameOf } from "./tree/names.ts";
export const extendLocks = lazily(
  async () => (await import("./immutable/extend-locks.ts")).extendLocks,
);
export const acquireLockReader = lazily(
  async () => (await import("./immutable/locked-until.ts")).acquireLockReader,
);
export const lockedUntil = lazily(
  async () => (await import("./immutable/locked-until.ts")).lockedUntil,
);
export type { LockedUntil, LockReader } from "./immutable/locked-until.ts";
export const lockIndexes = lazily(
  async () => (await import("./immutable/lock-indexes.ts")).lockIndexes,
);
export type { LockIndexesOptions } from "./immutable/lock-indexes.ts";
export { PointLocker } from "./immutable/point-locker.ts";
export const lockSnapshot = lazily(
  async () => (await import("./immutable/lock-snapshot.ts")).lockSnapshot,
);
export const lockTree = lazily(async () => (await import("./immutable/lock-snapshot.ts")).lockTree);
export const storeTime = lazily(
  async () => (await import("./immutable/lock-snapshot.ts")).storeTime,
);
export const executeRecoverVersions = lazily(
  async () => (await import("./recover-versions/execute.ts")).executeRecoverVersions,
);
export type { RecoveredVersions, RecoverVersionsOptions } from "./recover-versions/execute.ts";
export const planRecoverVersions = lazily(
  async () => (await import("./recover-versions/plan.ts")).planRecoverVersions,
);
export type {
  AddedObject,
  PlanRecoverVersionsOptions,
  PutBack,
  RecoverVersionsPlan,
} from "./recover-versions/plan.ts";
export const addKey = lazily(async () => (await import("./key/add.ts")).addKey);
export type { KeyChangeOptions, NewKeyOptions } from "./key/add.ts";
export const planAdoptKeys = lazily(async () => (await import("./key/adopt.ts")).planAdoptKeys);
export type { AdoptionPlan, AdoptOptions } from "./key/adopt.ts";
export const unknownKeys = lazily(async () => (await import("./key/list.ts")).unknownKeys);
export { listKeys, strangenessOf, unknownAmong, unreadableOf } from "./key/list.ts";
export type { KeyEntry, KeyListing } from "./key/list.ts";
export const changePassword = lazily(async () => (await import("./key/passwd.ts")).changePassword);
export type { ChangedPassword, ChangePasswordOptions } from "./key/passwd.ts";
export const planRemoveKey = lazily(async () => (await import("./key/remove.ts")).planRemoveKey);
export type { KeyRemoval, KeyRemovalPlan, RemoveKeyOptions } from "./key/remove.ts";
export { judgePassword, WEAK_BITS } from "./key/strength.ts";
export type { PasswordStrength } from "./key/strength.ts";
export const loadWraps = lazily(async () => (await import("./key/wraps.ts")).loadWraps);
export const recordWrap = lazily(async () => (await import("./key/wraps.ts")).recordWrap);
export type { WrapRecord } from "./key/key-record.ts";
