/**
 * One verb a file, each with its effects on top. An operation is a function of an injected context and plain options; it
 * knows no terminal and no process.
 *
 * Every one of them:
 * 1. picks what it works on from the policy; a wrong name ends here
 * 2. writes its audit record, durable before the access happens (I9)
 * 3. opens the repository, does its work, and returns what it saw; partial success is a value (I3)
 *
 * A verb's file, and what only it needs (drivers, client programs, cryptography of wrapped keys), is loaded when it is
 * first called: a check does not wait for what a restore needs.
 */
import { lazily } from "../kernel/index.ts";

export { operationError } from "./errors.ts";
export type { OnProgress, OperationContext, Progress } from "./context.ts";
export const acceptPoint = lazily(async () => (await import("./accept.ts")).acceptPoint);
export type { AcceptedPoint, AcceptOptions } from "./accept.ts";
export { auditFolder, checkAuditLog, recordAccess } from "./audit-log.ts";
export const backup = lazily(async () => (await import("./backup.ts")).backup);
export type { BackupOptions, BackupResult } from "./backup.ts";
export type { GuardFinding } from "./guard/judge.ts";
export type { GuardReport } from "./guard/guard.ts";
export const checkRepository = lazily(async () => (await import("./check.ts")).checkRepository);
export type { CheckRepositoryOptions, CheckResult } from "./check.ts";
export const diffPoints = lazily(async () => (await import("./diff.ts")).diffPoints);
export type { DiffLine, DiffResult } from "./diff.ts";
export const countCopies = lazily(async () => (await import("./copies.ts")).countCopies);
export type { CopiesOptions, PlanCopies } from "./copies.ts";
export const planCopies = lazily(async () => (await import("./copy.ts")).planCopies);
export type {
  CopiesResult,
  CopyOutcome,
  CopyPointsOptions,
  CopyPreview,
  CopyTrouble,
  PlannedCopies,
} from "./copy.ts";
export const doctor = lazily(async () => (await import("./doctor.ts")).doctor);
export type { DoctorResult } from "./doctor.ts";
export type { Finding } from "./finding.ts";
export const dumpFile = lazily(async () => (await import("./dump.ts")).dumpFile);
export const saveDump = lazily(async () => (await import("./dump.ts")).saveDump);
export type { DumpedFile, DumpOptions, SavedDump } from "./dump.ts";
export const dumpDatabase = lazily(
  async () => (await import("./portable/dump-database.ts")).dumpDatabase,
);
export type { DumpDatabaseOptions, DumpResult } from "./portable/dump-database.ts";
export const listDumps = lazily(async () => (await import("./portable/list-dumps.ts")).listDumps);
export type { DumpLine, DumpList, ListDumpsOptions } from "./portable/list-dumps.ts";
export const estimate = lazily(async () => (await import("./estimate.ts")).estimate);
export type {
  DestinationEstimate,
  EstimateOptions,
  EstimateResult,
  PlanKeep,
  RunEstimate,
} from "./estimate.ts";
export const estimateSource = lazily(
  async () => (await import("./estimate-source.ts")).estimateSource,
);
export type { EgressPrice, Figure, SourceEstimate } from "./estimate-source.ts";
export const exportTable = lazily(async () => (await import("./export.ts")).exportTable);
export const saveExport = lazily(async () => (await import("./export.ts")).saveExport);
export type { ExportedTable, ExportOptions, SavedExport, SavedTable } from "./export.ts";
export type { ExportFormat } from "./export/choose.ts";
export const planForgetting = lazily(async () => (await import("./forget.ts")).planForgetting);
export type { ForgetOptions, ForgetPreview, PlannedForget } from "./forget.ts";
export const guardMigration = lazily(
  async () => (await import("./guard-migration.ts")).guardMigration,
);
export { isKept } from "./guard-side.ts";
export type { GuardedSide } from "./guard-side.ts";
export type { GuardedMigration, GuardMigrationOptions } from "./guard-migration.ts";
export const endHold = lazily(async () => (await import("./hold.ts")).endHold);
export const holdSnapshots = lazily(async () => (await import("./hold.ts")).holdSnapshots);
export const readHolds = lazily(async () => (await import("./hold.ts")).readHolds);
export type { AddHoldOptions, HoldLine, ReleaseHoldOptions } from "./hold.ts";
export const init = lazily(async () => (await import("./init.ts")).init);
export type { InitializedDestination, InitOptions, InitResult } from "./init.ts";
export const addRepositoryKey = lazily(async () => (await import("./key.ts")).addRepositoryKey);
export const changeRepositoryPassword = lazily(
  async () => (await import("./key.ts")).changeRepositoryPassword,
);
export const listRepositoryKeys = lazily(async () => (await import("./key.ts")).listRepositoryKeys);
export const planKeyAdoption = lazily(async () => (await import("./key.ts")).planKeyAdoption);
export const planKeyRemoval = lazily(async () => (await import("./key.ts")).planKeyRemoval);
export const wrapPassword = lazily(async () => (await import("./key.ts")).wrapPassword);
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
export const escrowKey = lazily(async () => (await import("./key-copies.ts")).escrowKey);
export const proveKey = lazily(async () => (await import("./key-copies.ts")).proveKey);
export const readSheet = lazily(async () => (await import("./key-copies.ts")).readSheet);
export const savePassword = lazily(async () => (await import("./key-copies.ts")).savePassword);
export const unwrapPassword = lazily(async () => (await import("./key-copies.ts")).unwrapPassword);
export type {
  EscrowedKey,
  EscrowOptions,
  KeyCopy,
  KeyProof,
  UnwrappedPassword,
} from "./key-copies.ts";
export { loadPolicy } from "./load-policy.ts";
export const listEntries = lazily(async () => (await import("./ls.ts")).listEntries);
export type { LsLine, LsOptions, LsResult } from "./ls.ts";
export const drillDump = lazily(async () => (await import("./portable/drill-dump.ts")).drillDump);
export type { DrillDumpOptions, DrillResult } from "./portable/drill-dump.ts";
export { localDumpPolicy } from "./portable/local-policy.ts";
export const roleSql = lazily(async () => (await import("./role-sql.ts")).roleSql);
export type { RoleSqlOptions } from "./role-sql.ts";
export const connectProject = lazily(
  async () => (await import("./connect-project.ts")).connectProject,
);
export type { ConnectedProject, ConnectProjectOptions } from "./connect-project.ts";
export { connectionUrl } from "./open.ts";
export type { Connection, UsedConnection } from "./used-connection.ts";
export const planProviderRecovery = lazily(
  async () => (await import("./recover-provider.ts")).planProviderRecovery,
);
export const followProviderRecovery = lazily(
  async () => (await import("./recover-provider.ts")).followProviderRecovery,
);
export type {
  FollowedRecovery,
  FollowProviderOptions,
  PlannedProviderRecovery,
  ProviderRecovery,
  ProviderRecoveryPreview,
  RecoverProviderOptions,
} from "./recover-provider.ts";
export const planRecoveryOfVersions = lazily(
  async () => (await import("./recover-versions.ts")).planRecoveryOfVersions,
);
export type {
  PlannedRecoveryOfVersions,
  RecoverVersionsOfOptions,
  RecoveryOfVersions,
} from "./recover-versions.ts";
export const diffProject = lazily(async () => (await import("./project-diff.ts")).diffProject);
export type { ProjectChange } from "./compare-project.ts";
export type { DiffProjectOptions, ProjectDiff } from "./project-diff.ts";
export const watchProviders = lazily(async () => (await import("./provider.ts")).watchProviders);
export type { ProviderLine, ProvidersResult, WatchProvidersOptions } from "./provider.ts";
export const planRepositoryPrune = lazily(
  async () => (await import("./prune.ts")).planRepositoryPrune,
);
export type { PlannedPrune, PruneRepositoryOptions, PruneResult } from "./prune.ts";
export const planRekey = lazily(async () => (await import("./rekey.ts")).planRekey);
export type { PlannedRekey, RekeyOptions, RekeyPreview, RekeyResult } from "./rekey.ts";
export const planItemRelease = lazily(async () => (await import("./release.ts")).planItemRelease);
export { RELEASE_KINDS } from "./release-kinds.ts";
export type {
  ItemKind,
  ListedItem,
  PlannedRelease,
  ReleasedItems,
  ReleaseItemsOptions,
  ReleasePreview,
} from "./release.ts";
export const planRepair = lazily(async () => (await import("./repair.ts")).planRepair);
export type { PlannedRepair, RepairOptions, RepairPlan, RepairResult } from "./repair.ts";
export const planDatabaseRestore = lazily(
  async () => (await import("./restore.ts")).planDatabaseRestore,
);
export type {
  PlannedRestore,
  RestoredDatabase,
  RestoreDatabaseOptions,
  RestorePreview,
} from "./restore.ts";
export const planRowsRestore = lazily(
  async () => (await import("./restore-rows.ts")).planRowsRestore,
);
export type {
  PlannedRowsRestore,
  RestoredRows,
  RestoreRowsOptions,
  RowsPreview,
} from "./restore-rows.ts";
export const planSnapshotRewrite = lazily(
  async () => (await import("./rewrite.ts")).planSnapshotRewrite,
);
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
export const listSnapshots = lazily(async () => (await import("./snapshots.ts")).listSnapshots);
export type { ListedSnapshot, ListSnapshotsOptions, SnapshotLine } from "./snapshots.ts";
export const readStatus = lazily(async () => (await import("./status.ts")).readStatus);
export type { StatusOptions } from "./status.ts";
export type {
  PlanStatus,
  ProjectStatus,
  ProviderStatus,
  Status,
  StatusLock,
} from "./status/types.ts";
export const planProjectApply = lazily(
  async () => (await import("./apply-project.ts")).planProjectApply,
);
export type {
  AppliedProject,
  ApplyProjectOptions,
  PlannedProjectApply,
  ProjectApplyPreview,
} from "./apply-project.ts";
