import { toAppError } from "../kernel/index.ts";
import type { AppError, Secret } from "../kernel/index.ts";
import { connect } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import type { Platform } from "../manifest/index.ts";
import type { SortedArchive, Withheld } from "./archive/sort.ts";
import type { Ledger } from "./ledger.ts";
import type { RolePlan } from "./roles.ts";
import type { TargetFacts } from "./target.ts";
import type { RestoreIssue, RestoreOptions, RestoreProgress } from "./types.ts";

/** What a plan has found out, without having written anything. */
export interface Findings {
  readonly options: RestoreOptions;
  readonly archive: SortedArchive;
  /** Of the target's platform, where it is one's. */
  readonly platform: Platform | undefined;
  /** Name of the database as the archive writes it. */
  readonly archiveDatabase: string;
  readonly target: TargetFacts;
  readonly roles: RolePlan;
}

/** What the steps of an execution share. */
export interface Work extends Findings {
  /** The login that the user named, in the target database. */
  readonly admin: Connection;
  /** The one connection of the serial steps. */
  readonly builder: Connection;
  readonly builderUrl: Secret;
  /** Undefined where the admin builds. */
  readonly builderRole: string | undefined;
  readonly ledger: Ledger;
  readonly issues: RestoreIssue[];
  readonly withheld: Withheld[];
  readonly signal: AbortSignal | undefined;
  readonly report: (progress: RestoreProgress) => void;
}

/**
 * What ends a restore; everything else that one object meets is an issue of that object. Damaged data of the snapshot
 * too: whoever restores at night wants the other tables.
 */
const FATAL_KINDS: ReadonlySet<string> = new Set([
  "unavailable",
  "exhausted",
  "cancelled",
  "bug",
  "locked",
]);

export function rethrowFatal(thrown: unknown): AppError {
  const error = toAppError(thrown);
  if (FATAL_KINDS.has(error.kind)) throw error;
  return error;
}

/** A table that the target's platform made: it gets rows, and is not ours to truncate, to own or to analyse. */
export function isFurniture(work: Findings, { schema }: { readonly schema: string }): boolean {
  return work.platform?.isSchema(schema) === true;
}

/** Runs one object's work; an error that concerns this object alone becomes an issue, and `false` comes back. */
export async function orIssue(
  work: Work,
  issue: { readonly code: string; readonly object: string; readonly hint?: string },
  run: () => Promise<void>,
): Promise<boolean> {
  try {
    await run();
    return true;
  } catch (thrown) {
    const error = rethrowFatal(thrown);
    const hint = issue.hint ?? error.hint;
    work.issues.push({
      ...issue,
      message: error.message,
      cause: error.code,
      ...(hint === undefined ? {} : { hint }),
    });
    return false;
  }
}

const MAINTENANCE_MEMORY = "256MB";

/** Settings of the session alone; the server keeps its own. */
const BUILDER_SETTINGS = `
SET synchronous_commit = off;
SET maintenance_work_mem = '${MAINTENANCE_MEMORY}';
SET check_function_bodies = off;
SET default_tablespace = ''`;

/**
 * What a function of the source may have changed for the session that it ran in: put right before the next object's
 * work, so that no text is misread. (It cannot have become anybody who the builder may not be.)
 */
export const FRESH_SETTINGS = `
SET SESSION AUTHORIZATION DEFAULT;
SET ROLE NONE;
SET search_path = '';
SET row_security = off;
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET timezone = 'UTC';
SET lc_monetary = 'C';
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET xmloption = content;
SET check_function_bodies = off`;

export async function openBuilder(
  url: Secret,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  const connection = await connect({
    url,
    applicationName: "sparekeep restore",
    readOnly: false,
    statementTimeoutMs: 0,
    lockTimeoutMs: 0,
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    await connection.query(BUILDER_SETTINGS);
    return connection;
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}

/** A superuser's session never looks a name up outside the system's own schema (R4). */
export async function openAdmin(url: Secret, signal: AbortSignal | undefined): Promise<Connection> {
  const connection = await connect({
    url,
    applicationName: "sparekeep restore admin",
    readOnly: false,
    statementTimeoutMs: 0,
    lockTimeoutMs: 60_000,
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    await connection.query("SET search_path = pg_catalog, pg_temp");
    return connection;
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}
