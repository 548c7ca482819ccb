import type { Bytes, Clock, Log, Secret } from "../../kernel/index.ts";
import type { DatabaseManifest } from "../../manifest/index.ts";
import type { ClientTools } from "../../postgres/index.ts";
import type { SnapshotWriter } from "../../repository/index.ts";

export interface DatabaseSource {
  readonly name: string;
  readonly url: Secret;
}

export interface CaptureOptions {
  readonly source: DatabaseSource;
  readonly tools: ClientTools;
  /** COPY connections besides the one that holds the snapshot. */
  readonly connections: number;
  /** Tables and leaves above this (heap and TOAST) are read in parts by ctid (engine-traps 6). */
  readonly splitBytes: number;
  readonly rowHashKey: Bytes;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CaptureProgress) => void;
}

export interface CaptureProgress {
  readonly step: "connect" | "schema" | "tables" | "large-objects" | "finish";
  readonly doneBytes: number;
  /** Estimate from relation sizes; not a promise. */
  readonly totalBytes: number;
  readonly rows: bigint;
  readonly tablesDone: number;
  readonly tablesTotal: number;
  readonly current?: string;
}

/** Something the snapshot should hold and does not: makes the run `incomplete` (I3). */
export interface CaptureIssue {
  /** `table_rewritten`, `table_dropped`, `permission_denied`, … closed list in the spec. */
  readonly code: string;
  readonly object: string;
  readonly message: string;
  readonly hint?: string;
}

export interface CaptureResult {
  readonly database: DatabaseManifest;
  readonly issues: readonly CaptureIssue[];
}

/**
 * Writes `database/…` into the open snapshot: schema archive, roles, tables, sequences, large objects, all under one
 * exported snapshot. Does not commit the snapshot and does not write the manifest; `operation/backup` does.
 */
export type CaptureDatabase = (
  writer: SnapshotWriter,
  options: CaptureOptions,
) => Promise<CaptureResult>;
