/** As the description names them; another word is refused. */
export const PROJECT_STATUSES = [
  "INACTIVE",
  "ACTIVE_HEALTHY",
  "ACTIVE_UNHEALTHY",
  "COMING_UP",
  "UNKNOWN",
  "GOING_DOWN",
  "INIT_FAILED",
  "REMOVED",
  "RESTORING",
  "UPGRADING",
  "PAUSING",
  "RESTORE_FAILED",
  "RESTARTING",
  "PAUSE_FAILED",
  "RESIZING",
] as const;
export type ProjectStatus = (typeof PROJECT_STATUSES)[number];

export interface Project {
  readonly ref: string;
  readonly name: string;
  readonly region: string;
  readonly organization: string;
  readonly createdAt: Date;
  readonly status: ProjectStatus;
  readonly database: {
    readonly host: string;
    readonly version: string;
    readonly engine: string;
    readonly releaseChannel: string;
  };
}

export const BACKUP_STATUSES = [
  "COMPLETED",
  "FAILED",
  "PENDING",
  "REMOVED",
  "ARCHIVED",
  "CANCELLED",
] as const;
export type BackupStatus = (typeof BACKUP_STATUSES)[number];

export interface ProviderBackup {
  readonly physical: boolean;
  readonly status: BackupStatus;
  readonly at: Date;
}

/** What the provider says that it holds. */
export interface ProviderBackups {
  readonly region: string;
  readonly walArchived: boolean;
  readonly pitr: boolean;
  /** Newest first. */
  readonly backups: readonly ProviderBackup[];
  /** Bounds of point-in-time recovery; absent where there is none yet. */
  readonly earliest?: Date;
  readonly latest?: Date;
}

export interface EdgeFunction {
  readonly slug: string;
  readonly name: string;
  readonly status: "ACTIVE" | "REMOVED" | "THROTTLED";
  readonly version: number;
  readonly verifyJwt?: boolean;
  readonly importMap?: boolean;
  readonly entrypointPath?: string;
  readonly importMapPath?: string;
  readonly bundleSha256?: string;
}

/** A secret of Edge Functions: the API gives a digest in place of its value. */
export interface EdgeSecret {
  readonly name: string;
  readonly digest: string;
}

export interface SourceFile {
  /** As deployed, `/`-separated; not checked: it may point outside. */
  readonly path: string;
  readonly bytes: Uint8Array;
}
