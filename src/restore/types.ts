import type { Clock, Log, RandomBytes, Secret } from "../kernel/index.ts";
import type { Manifest } from "../manifest/index.ts";
import type { ClientTools } from "../postgres/index.ts";
import type { Snapshot, SnapshotReader } from "../repository/index.ts";

export interface RestoreOptions {
  readonly reader: SnapshotReader;
  readonly snapshot: Snapshot;
  readonly manifest: Manifest;
  /** Any database of the target server; the database named in it is the one restored into. */
  readonly targetUrl: Secret;
  /** Create the database named in `targetUrl` (it must not exist). Otherwise it must exist and be empty. */
  readonly create: boolean;
  readonly tools: ClientTools;
  readonly connections: number;
  /** Lets objects be built by a superuser, which lets hostile functions of the source reach files and programs. Off unless the user said `--trust-source`. */
  readonly trustSource: boolean;
  readonly clock: Clock;
  /** Names and protects the temporary role that builds. */
  readonly random: RandomBytes;
  readonly log: Log;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: RestoreProgress) => void;
}

export interface RestoreProgress {
  readonly step: "prepare" | "schema" | "tables" | "indexes" | "finish" | "verify";
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly current?: string;
}

export interface RestorePlan {
  /** What will be done, line by line, as `--dry-run` prints it. */
  readonly steps: readonly string[];
  /** Not restored, or left switched off until released (I5), each with its reason. */
  readonly withheld: readonly { readonly object: string; readonly reason: string }[];
  /** Resumes an interrupted restore of the same snapshot. */
  readonly resumes: boolean;
  execute(): Promise<RestoreResult>;
}

/** Something that the target should hold and does not. Codes: docs/spec/restore.md. */
export interface RestoreIssue {
  readonly code: string;
  readonly object: string;
  readonly message: string;
  readonly hint?: string;
  /** Code of the error behind it, where there was one. */
  readonly cause?: string;
}

export interface RestoreResult {
  readonly outcome: "complete" | "incomplete";
  readonly issues: readonly RestoreIssue[];
  /** The plan's, and what turned up on the way (grants on objects of the system, settings). */
  readonly withheld: RestorePlan["withheld"];
  readonly tables: number;
  readonly rows: bigint;
  readonly durationMs: number;
  readonly steps: readonly { readonly step: string; readonly durationMs: number }[];
  readonly verified: { readonly tables: number; readonly rows: bigint };
  readonly catalog: CatalogComparison;
  /** Ids that could not be kept, each with the new one: what stores the old one as data has to be changed. */
  readonly newIds: readonly {
    readonly object: string;
    readonly from: string;
    readonly to: string;
  }[];
}

/** The catalog that was captured against the one that stands; `ours` are issues too (docs/spec/catalog.md). */
export interface CatalogComparison {
  readonly compared: boolean;
  /** Why it was not. */
  readonly reason?: string;
  readonly counts: Record<"ours" | "platform" | "equivalent" | "withheld", number>;
  /** The first ones, of every class. */
  readonly differences: readonly CatalogDifference[];
}

export interface CatalogDifference {
  readonly class: "ours" | "platform" | "equivalent" | "withheld";
  readonly object: string;
  readonly message: string;
}

/** Destructive verbs plan, show the plan and execute that plan once (I7). Planning writes nothing. */
export type PlanRestore = (options: RestoreOptions) => Promise<RestorePlan>;
