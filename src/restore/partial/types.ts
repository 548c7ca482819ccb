import type { Secret } from "../../kernel/index.ts";
import type { Manifest, NamedTable, TableManifest } from "../../manifest/index.ts";
import type { ClientTools } from "../../postgres/index.ts";
import type { Snapshot, SnapshotReader } from "../../repository/index.ts";

/** What of a snapshot is restored into a database that lives: docs/spec/partial-restore.md. */

/** Which rows of a table; shared by the partitions of a table that was named as one. */
export interface RowChoice {
  readonly table: NamedTable;
  /** Values of the key's columns, as PostgreSQL reads them. */
  readonly keys?: readonly (readonly string[])[];
  /** SQL over the columns of the snapshot's table. */
  readonly condition?: string;
}

export interface ChosenTable {
  readonly table: TableManifest;
  /** Absent: all of them. */
  readonly rows?: RowChoice;
}

export type PartialForm =
  | { readonly kind: "merge"; readonly deleteExtra: boolean }
  | { readonly kind: "schema"; readonly schema: string };

export interface PartialOptions {
  readonly reader: Pick<SnapshotReader, "find" | "read">;
  readonly snapshot: Snapshot;
  readonly manifest: Manifest;
  /** The database that lives; it may be the source itself. */
  readonly targetUrl: Secret;
  /** Asked for only where definitions are read: rows can be merged on a machine without any. */
  readonly tools: () => Promise<ClientTools>;
  readonly chosen: readonly ChosenTable[];
  /** Rows that refer to the chosen ones come along. */
  readonly withChildren: boolean;
  readonly form: PartialForm;
  readonly trustSource: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PartialProgress) => void;
}

export interface PartialProgress {
  readonly step: "stage" | "compare" | "execute";
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly current?: string;
}

export type RowAction = "insert" | "update" | "delete";

export interface RowSample {
  readonly action: RowAction;
  /** `column=value` of the key, each value cut to 100 characters. */
  readonly key: string;
  /** Of an update: the columns that differ. Values are not shown: rows may hold what no terminal should. */
  readonly columns?: readonly string[];
}

/** Counts are of rows. */
export interface PlannedTable {
  readonly table: string;
  /** Where the rows go. */
  readonly into: string;
  /** Why a table is here that nobody named. */
  readonly because?: string;
  readonly rows: bigint;
  readonly inserts: bigint;
  readonly updates: bigint;
  readonly unchanged: bigint;
  /** Where all of a table was asked for: rows of the target under other keys; they stay, unless `deletes` counts them. */
  readonly onlyInTarget?: bigint;
  readonly deletes: bigint;
  readonly samples: readonly RowSample[];
}

/** What stands in the way; with one of them nothing is executed. Codes: docs/spec/partial-restore.md. */
export interface MergeConflict {
  readonly code:
    | "column_missing"
    | "column_added"
    | "type_changed"
    | "null_refused"
    | "check_refused"
    | "key_not_unique"
    | "unique_taken"
    | "parent_missing"
    | "parent_differs"
    | "identity_differs";
  readonly table: string;
  readonly message: string;
  /** Rows concerned; absent where it is the table itself. */
  readonly rows?: bigint;
  /** Keys of a few of them. */
  readonly samples: readonly string[];
}

/** A foreign key, and the rows that had no parent before anything was restored. */
export interface StandingOrphans {
  readonly foreignKey: string;
  readonly rows: bigint;
}

export interface PartialPlan extends AsyncDisposable {
  readonly database: string;
  /** As far as the server tells: the very database that the snapshot was taken of. */
  readonly targetIsSource: boolean;
  readonly tables: readonly PlannedTable[];
  readonly conflicts: readonly MergeConflict[];
  readonly notes: readonly string[];
  readonly steps: readonly string[];
  /** Of rows in the target's temporary tables, as the snapshot holds them; they take about as much room again. */
  readonly stagedBytes: number;
  /** Once, on the session that made the plan; its staging ends with it. */
  execute(): Promise<PartialResult>;
}

export interface MergedTable {
  readonly table: string;
  readonly into: string;
  readonly inserted: bigint;
  readonly updated: bigint;
  readonly deleted: bigint;
}

export interface PartialResult {
  readonly outcome: "complete" | "incomplete";
  readonly tables: readonly MergedTable[];
  readonly foreignKeysProven: number;
  /** Stood before, and were not made more. */
  readonly orphans: readonly StandingOrphans[];
}
