/**
 * One verb a file, each with its effects on top. An operation is a function of an injected context and plain options; it
 * knows no terminal and no process.
 *
 * Every one of them:
 * 1. picks what it works on from the policy; a wrong name ends here
 * 2. writes its audit record, durable before the access happens (I9)
 * 3. opens the repository, does its work, and returns what it saw; partial success is a value (I3)
 */
export { operationError } from "./errors.ts";
export type { OnProgress, OperationContext, Progress } from "./context.ts";
export { acceptPoint } from "./accept.ts";
export type { AcceptedPoint, AcceptOptions } from "./accept.ts";
export { auditFolder, checkAuditLog, recordAccess } from "./audit-log.ts";
export { backup } from "./backup.ts";
export type { BackupOptions, BackupResult } from "./backup.ts";
export { checkRepository } from "./check.ts";
export type { CheckRepositoryOptions, CheckResult } from "./check.ts";
export { diffPoints } from "./diff.ts";
export type { DiffLine, DiffResult } from "./diff.ts";
export { countCopies } from "./copies.ts";
export type { CopiesOptions, PlanCopies } from "./copies.ts";
export { planCopies } from "./copy.ts";
export type {
  CopiesResult,
  CopyOutcome,
  CopyPointsOptions,
  CopyPreview,
  CopyTrouble,
  PlannedCopies,
} from "./copy.ts";
export { doctor } from "./doctor.ts";
export type { DoctorResult, Finding } from "./doctor.ts";
export { dumpFile, saveDump } from "./dump.ts";
export type { DumpedFile, DumpOptions, SavedDump } from "./dump.ts";
export { estimate } from "./estimate.ts";
export type {
  DestinationEstimate,
  EstimateOptions,
  EstimateResult,
  PlanKeep,
  RunEstimate,
} from "./estimate.ts";
export { planForgetting } from "./forget.ts";
export type { ForgetOptions, ForgetPreview, PlannedForget } from "./forget.ts";
export { endHold, holdSnapshots, readHolds } from "./hold.ts";
export type { AddHoldOptions, HoldLine, ReleaseHoldOptions } from "./hold.ts";
export { init } from "./init.ts";
export type { InitializedDestination, InitOptions, InitResult } from "./init.ts";
export {
  addRepositoryKey,
  changeRepositoryPassword,
  listRepositoryKeys,
  planKeyAdoption,
  planKeyRemoval,
  wrapPassword,
} from "./key.ts";
export type {
  AddedKey,
  AddKeyOptions,
  KeyList,
  KeyOptions,
  NewPassword,
  NewPasswordOptions,
  PasswordChange,
  PlannedAdoption,
  PlannedKeyRemoval,
  WrappedForOwners,
} from "./key.ts";
export { escrowKey, proveKey, readSheet, savePassword, unwrapPassword } from "./key-copies.ts";
export type {
  EscrowedKey,
  EscrowOptions,
  KeyCopy,
  KeyProof,
  UnwrappedPassword,
} from "./key-copies.ts";
export { loadPolicy } from "./load-policy.ts";
export { listEntries } from "./ls.ts";
export type { LsLine, LsOptions, LsResult } from "./ls.ts";
export { connectionUrl } from "./open.ts";
export type { Connection, UsedConnection } from "./used-connection.ts";
export { planRecoveryOfVersions } from "./recover-versions.ts";
export type {
  PlannedRecoveryOfVersions,
  RecoverVersionsOfOptions,
  RecoveryOfVersions,
} from "./recover-versions.ts";
export { planRepositoryPrune } from "./prune.ts";
export type { PlannedPrune, PruneRepositoryOptions, PruneResult } from "./prune.ts";
export { planRekey } from "./rekey.ts";
export type { PlannedRekey, RekeyOptions, RekeyPreview, RekeyResult } from "./rekey.ts";
export { planRepair } from "./repair.ts";
export type { PlannedRepair, RepairOptions, RepairPlan, RepairResult } from "./repair.ts";
export { planDatabaseRestore } from "./restore.ts";
export type {
  PlannedRestore,
  RestoredDatabase,
  RestoreDatabaseOptions,
  RestorePreview,
} from "./restore.ts";
export { planSnapshotRewrite } from "./rewrite.ts";
export type {
  ErasureRemains,
  PlannedRewrite,
  RewriteLine,
  RewritePreview,
  RewriteSnapshotsOptions,
  RewrittenPaths,
} from "./rewrite.ts";
export { scoreCopies } from "./score-copies.ts";
export type {
  DestinationFacts,
  Met,
  Place,
  PlanScores,
  PointFact,
  PointScores,
  Score,
} from "./score-copies.ts";
export { listSnapshots } from "./snapshots.ts";
export type { ListedSnapshot, ListSnapshotsOptions, SnapshotLine } from "./snapshots.ts";
