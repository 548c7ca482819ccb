/**
 * `manifest.json` at the root of a snapshot: what it says that it contains. Written last, from what was really stored.
 * Counts and LSNs are decimal strings: they outgrow a JSON number.
 */

import type { PlatformName } from "./platform.ts";
import type { ProjectManifest } from "./project.ts";
import type { VaultManifest } from "./vault.ts";

export const MANIFEST_FORMAT = "sparekeep.manifest/1";
/** Of a point that holds the rows of some tables alone: whoever knows only the first must not take it for a whole. */
export const LIMITED_MANIFEST_FORMAT = "sparekeep.manifest/2";

export interface Manifest {
  readonly format: typeof MANIFEST_FORMAT | typeof LIMITED_MANIFEST_FORMAT;
  readonly plan: string;
  readonly startedAt: string;
  readonly completedAt: string;
  readonly tool: { readonly name: "sparekeep"; readonly version: string };
  /** Hex key of the row hash below; derived from the repository's master key, so the same in all its snapshots. */
  readonly rowHashKey: string;
  /** No rows, no large objects, no values of sequences: definitions and roles alone. Absent: everything. */
  readonly captures?: "schema";
  readonly database: DatabaseManifest;
  /** Of a Supabase project whose configuration was read. */
  readonly project?: ProjectManifest;
}

export interface DatabaseManifest {
  readonly source: string;
  readonly server: ServerIdentity;
  readonly snapshot: {
    /** `pg_current_snapshot()` of the exporting transaction: the base's position in the stream. */
    readonly pgSnapshot: string;
    readonly takenAt: string;
    /** `pg_current_wal_insert_lsn()` read after it was taken, `X/Y`; absent on a standby. */
    readonly insertLsnAfter?: string;
  };
  readonly clientTools: { readonly pgDump: string };
  /** Whose schemas and roles stand beside the customer's; absent on a server of one's own. */
  readonly platform?: PlatformName;
  /** Path of the `pg_dump --format=custom --schema-only` archive. */
  readonly schema: StoredFile;
  /** Facts of the catalog under the snapshot (docs/spec/catalog.md); absent where they could not be read. */
  readonly catalog?: StoredFile;
  readonly roles: readonly RoleManifest[];
  readonly tables: readonly TableManifest[];
  readonly sequences: readonly SequenceManifest[];
  readonly largeObjects: readonly LargeObjectManifest[];
  readonly materializedViews: readonly {
    readonly schema: string;
    readonly name: string;
    readonly populated: boolean;
    /** Refresh order, from 0. */ readonly order: number;
  }[];
  /** Whatever of the source is not in the snapshot, each with its reason. */
  readonly leftOut: readonly { readonly object: string; readonly reason: string }[];
  /** Secrets of Supabase's Vault, where the policy says `vault: decrypted`. */
  readonly vault?: VaultManifest;
  /** Tables whose rows the plan leaves to another one, each with the tables that stand for it. */
  readonly leftTo?: readonly (NamedTable & {
    readonly plan: string;
    readonly tables: readonly NamedTable[];
  })[];
  /** Format 2, always: what the capture was limited to. */
  readonly limitedTo?: Limits;
}

export interface NamedTable {
  readonly schema: string;
  readonly name: string;
}

export interface Limits {
  /** As the plan named them, each with the tables whose rows stand for it: itself, or partitions and children. */
  readonly named: readonly (NamedTable & { readonly tables: readonly NamedTable[] })[];
  /** From tables with rows to tables without all of theirs: a restore cannot make them hold. */
  readonly foreignKeys: readonly {
    readonly schema: string;
    readonly table: string;
    readonly name: string;
  }[];
}

export interface ServerIdentity {
  /** `pg_control_system().system_identifier`, decimal; absent where the role may not read it. */
  readonly systemIdentifier?: string;
  readonly databaseOid: number;
  readonly databaseName: string;
  /** `server_version_num`, 150018. */
  readonly versionNum: number;
  readonly version: string;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly localeProvider: "libc" | "icu" | "builtin";
  readonly icuLocale?: string;
  /** Owner of the database. */
  readonly owner: string;
  /** `ALTER DATABASE … SET`, as `name=value`. */
  readonly settings: readonly string[];
  /** `pg_database.datacl` as text, absent when default. */
  readonly acl?: string;
  readonly comment?: string;
  readonly connectionLimit?: number;
}

export interface StoredFile {
  /** `/`-separated true path inside the snapshot. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface RoleManifest {
  readonly name: string;
  readonly superuser: boolean;
  readonly inherit: boolean;
  readonly createRole: boolean;
  readonly createDb: boolean;
  readonly canLogin: boolean;
  readonly replication: boolean;
  readonly bypassRls: boolean;
  readonly connectionLimit: number;
  readonly validUntil?: string;
  readonly memberOf: readonly {
    readonly role: string;
    readonly adminOption: boolean;
    readonly inheritOption?: boolean;
    readonly setOption?: boolean;
    readonly grantor: string;
  }[];
  /** `pg_db_role_setting`: for all databases (`database` absent) or for the captured one. */
  readonly settings: readonly { readonly database?: string; readonly setting: string }[];
  readonly comment?: string;
}

export interface TableManifest {
  readonly schema: string;
  readonly name: string;
  readonly format: "text" | "binary";
  readonly unlogged: boolean;
  /** A configuration table of an extension: only the rows that this `WHERE …` of the extension selects are ours. */
  readonly condition?: string;
  /** Of a partition: the partitioned table above all others that it belongs to. */
  readonly partitionOf?: { readonly schema: string; readonly name: string };
  /** In COPY order, generated columns left out. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** GENERATED ALWAYS AS IDENTITY columns take COPY values as they are; listed for the reader. */
  readonly rows: string;
  /** Sum modulo 2^256 of the keyed row hashes, 64 hex digits. */
  readonly rowHash: string;
  /** Concatenated in order they are the table; restored in any order. A table without rows has none. */
  readonly parts: readonly TablePart[];
  /** Format 2: the same rows for other programs. */
  readonly exports?: readonly TableExport[];
}

export interface TableExport extends StoredFile {
  readonly format: "csv" | "jsonl";
}

export interface TablePart extends StoredFile {
  readonly rows: string;
  readonly rowHash: string;
}

export interface SequenceManifest {
  readonly schema: string;
  readonly name: string;
  /** Decimal, may be negative. */
  readonly lastValue: string;
  readonly isCalled: boolean;
}

export interface LargeObjectManifest extends StoredFile {
  readonly oid: number;
  readonly owner: string;
  /** `aclitem[]` as text, absent when default. */
  readonly acl?: string;
  readonly comment?: string;
}
