import type { Bytes, Secret } from "../kernel/index.ts";

export interface ConnectOptions {
  /** A connection URI or libpq keyword string; environment variables are not read. */
  readonly url: Secret;
  /** Shown in `pg_stat_activity`, always `sparekeep <what>`. */
  readonly applicationName: string;
  /** Capture sessions are READ ONLY (I4). */
  readonly readOnly: boolean;
  /** 0 is none. Defaults: the values of `connect.ts`, never the role's own. */
  readonly statementTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** One session with fixed settings that keep COPY text the same everywhere (datestyle ISO, timezone UTC, row_security off, …). */
export interface Connection extends AsyncDisposable {
  /** `server_version_num`, 150018. */
  readonly versionNum: number;
  /** The process that serves it; of a session through a pooler the one behind. */
  readonly backendPid: number;
  /** Through a pooler, which was shown to keep the session on that process. */
  readonly pooled: boolean;
  query<Row extends Record<string, unknown>>(
    sql: string,
    values?: readonly unknown[],
    options?: WaitOptions,
  ): Promise<readonly Row[]>;
  /**
   * The bytes of COPY … TO STDOUT, CopyData frames taken off, in large chunks, with back-pressure. Ends only after the
   * server has said that the COPY is complete. No other statement may run on the session meanwhile.
   */
  copyOut(sql: string, options?: CopyOutOptions): AsyncIterable<Bytes>;
  /** Resolves with the row count of the command tag once the server has acknowledged; aborts the COPY when `rows` throws. */
  copyIn(sql: string, rows: AsyncIterable<Bytes>, options?: WaitOptions): Promise<bigint>;
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface CopyOutOptions extends WaitOptions {
  /** Called once after the last chunk, with the server's own row count. */
  readonly onEnd?: (rows: bigint) => void;
  /** Each chunk is valid only until the next one is asked for: its memory is used again. */
  readonly reuse?: boolean;
}

export type Connect = (options: ConnectOptions) => Promise<Connection>;

export interface ClientTools {
  readonly pgDump: string;
  readonly pgRestore: string;
  readonly psql: string;
  readonly initdb?: string;
  readonly pgCtl?: string;
  readonly postgres?: string;
  /** Major version of all of them. */
  readonly major: number;
}
