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
export { auditFolder, checkAuditLog, recordAccess } from "./audit-log.ts";
export { backup } from "./backup.ts";
export type { BackupOptions, BackupResult } from "./backup.ts";
export { checkRepository } from "./check.ts";
export type { CheckRepositoryOptions, CheckResult } from "./check.ts";
export { doctor } from "./doctor.ts";
export type { DoctorResult, Finding } from "./doctor.ts";
export { dumpFile, saveDump } from "./dump.ts";
export type { DumpedFile, DumpOptions, SavedDump } from "./dump.ts";
export { init } from "./init.ts";
export type { InitializedDestination, InitOptions, InitResult } from "./init.ts";
export { loadPolicy } from "./load-policy.ts";
export { listEntries } from "./ls.ts";
export type { LsLine, LsOptions, LsResult } from "./ls.ts";
export { connectionUrl } from "./open.ts";
export { planRepair } from "./repair.ts";
export type { PlannedRepair, RepairOptions, RepairPlan, RepairResult } from "./repair.ts";
export { planDatabaseRestore } from "./restore.ts";
export type {
  PlannedRestore,
  RestoredDatabase,
  RestoreDatabaseOptions,
  RestorePreview,
} from "./restore.ts";
export { listSnapshots } from "./snapshots.ts";
export type { SnapshotLine } from "./snapshots.ts";
