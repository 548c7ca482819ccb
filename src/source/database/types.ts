import type { Bytes, Clock, Log, Secret } from "../../kernel/index.ts";
import type { DatabaseManifest, NamedTable, TableExport } from "../../manifest/index.ts";
import type { ClientTools } from "../../postgres/index.ts";
import type { SnapshotWriter } from "../../repository/index.ts";

export interface DatabaseSource {
  readonly name: string;
  readonly url: Secret;
}

/** Beyond it a capture ends with `source.budget_spent`. */
export interface CaptureBudget {
  readonly durationMs: number;
  /** Transactions, as PostgreSQL's `age(xid)` counts them. */
  readonly xminAge: number;
  readonly lookEveryMs: number;
}

export interface CaptureOptions {
  readonly source: DatabaseSource;
  readonly tools: ClientTools;
  /** Definitions and roles, no rows, no large objects, no values of sequences. */
  readonly schemaOnly?: boolean;
  /** COPY connections besides the one that holds the snapshot. */
  readonly connections: number;
  /** Tables and leaves above this (heap and TOAST) are read in parts by ctid. */
  readonly splitBytes: number;
  readonly rowHashKey: Bytes;
  /** Rows of these tables alone; everything where left out. */
  readonly only?: CaptureOnly;
  /** Secrets of Vault are stored as its own view opens them. */
  readonly vault?: "decrypted";
  /** Of everything the rows of these are left to other plans. */
  readonly leaves?: readonly LeftToPlan[];
  /** How long a read waits for another session's lock before the table is an issue; tried three times. */
  readonly lockTimeoutMs?: number;
  /** Of all rows and large objects together; unbounded where left out. */
  readonly readBytesPerSecond?: number;
  /** How long others wait for a lock of ours before it is given up; 5 s. */
  readonly lockPatienceMs?: number;
  /** By default a day, and 200,000,000 transactions. */
  readonly budget?: CaptureBudget;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CaptureProgress) => void;
}

export interface LeftToPlan extends NamedTable {
  readonly plan: string;
}

export interface CaptureOnly {
  readonly tables: readonly NamedTable[];
  /** In which the rows of each are stored as well, from the stream that is captured. */
  readonly formats: readonly TableExport["format"][];
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
  readonly code: CaptureIssueCode;
  readonly object: string;
  readonly message: string;
  readonly hint?: string;
}

/** Closed list; each has its meaning in docs/spec/capture.md. */
export type CaptureIssueCode =
  | "table_rewritten"
  | "table_dropped"
  | "table_changed"
  | "table_locked"
  | "table_yielded"
  | "table_unreadable"
  | "permission_denied"
  | "row_security_hidden"
  | "value_too_large"
  | "sequence_unreadable"
  | "large_object_unreadable"
  | "table_missing"
  | "table_not_captured"
  | "export_failed"
  | "vault_unread"
  | "reference_left_out";

export interface CaptureResult {
  readonly database: DatabaseManifest;
  readonly issues: readonly CaptureIssue[];
  /** What was done with less, or given way to; nothing is missing for it. */
  readonly notices?: readonly string[];
}

/**
 * Writes `database/…` into the open snapshot: schema archive, roles, tables, sequences, large objects, all under one
 * exported snapshot. Does not commit the snapshot and does not write the manifest; `operation/backup` does.
 */
export type CaptureDatabase = (
  writer: SnapshotWriter,
  options: CaptureOptions,
) => Promise<CaptureResult>;
