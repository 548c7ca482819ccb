import type { AppError, Clock, Log, RandomBytes } from "../kernel/index.ts";
import type { ObjectStore } from "../objectstore/index.ts";

/** Everything that an operation needs from outside; built by main.ts, by the demo and by tests. */
export interface OperationContext {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** The OS user, for audit records and snapshots. */
  readonly actor: string;
  readonly hostname: string;
  readonly pid: number;
  /** Looks one environment variable up; only references of the policy are. */
  readonly env: (name: string) => string | undefined;
  /** For a command of the user's: our own environment, without these variables. */
  readonly commandEnvironment?: (without: readonly string[]) => Readonly<Record<string, string>>;
  /** Folders that are searched for PostgreSQL's client programs, first to last. */
  readonly toolDirectories: readonly string[];
  /** Below it each policy has a folder with its audit log, unless the policy names one. */
  readonly stateDirectory: string;
  /** Version of Sparekeep. */
  readonly version: string;
  /** Told whenever a store did not answer and is asked again. */
  readonly onStoreRetry?: (error: AppError) => void;
  /** Tests only: a store in place of the one that a location names. */
  readonly storeAt?: (location: string) => ObjectStore | undefined;
  /** Tests only: the cost of a new repository's key. */
  readonly keyCost?: { readonly N: number; readonly r: number; readonly p: number };
}

/** How far a long operation is. One shape for all of them, drawn by `cli/progress.ts`. */
export interface Progress {
  /** `tables`, `indexes`, …: changes rarely. */
  readonly step: string;
  readonly doneBytes: number;
  /** An estimate at times: `doneBytes` may pass it. 0 when unknown. */
  readonly totalBytes: number;
  /** In place of bytes, where a step counts objects: definitions, indexes, snapshots. */
  readonly objects?: { readonly done: number; readonly total: number };
  readonly rows?: bigint;
  /** What is being worked on: foreign text, to be shown sanitised. */
  readonly current?: string;
}

export type OnProgress = (progress: Progress) => void;
