/**
 * What every session of ours fixes, so that no setting of role or database leaks into text, hides rows or ends the
 * session early. Given at start, read back before the session is used.
 */
import { postgresError } from "./errors.ts";

export interface SessionLimits {
  readonly readOnly: boolean;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
}

/** Idle in a transaction on purpose: the session that holds an exported snapshot. Bounded all the same. */
const IDLE_IN_TRANSACTION_MS = 24 * 3_600_000;

const FIXED: Readonly<Record<string, string>> = {
  datestyle: "ISO, YMD",
  intervalstyle: "postgres",
  extra_float_digits: "3",
  bytea_output: "hex",
  timezone: "UTC",
  lc_monetary: "C",
  client_encoding: "UTF8",
  // A policy that would hide rows becomes an error, never a filter.
  row_security: "off",
  // Names in COPY text (regclass and its kin) come out qualified.
  search_path: "",
  standard_conforming_strings: "on",
  quote_all_identifiers: "off",
  array_nulls: "on",
  xmlbinary: "base64",
  xmloption: "content",
  transform_null_equals: "off",
  // Rows come in the order of the table, the same one every day: what did not change is found again.
  synchronize_seqscans: "off",
  max_parallel_workers_per_gather: "0",
  jit: "off",
  client_min_messages: "warning",
  default_transaction_isolation: "read committed",
  default_transaction_deferrable: "off",
  // Newer servers only.
  idle_session_timeout: "0",
  transaction_timeout: "0",
};

/**
 * A peer that vanished without a word (its machine lost power, a firewall forgot the connection) is noticed within two
 * minutes, not within the two hours of most systems: until then a dead session would hold its snapshot, and VACUUM back.
 * Not read back: over a unix socket all of them are 0. No `tcp_user_timeout`: it would end a session that is read slowly.
 */
const KEEPALIVE: Readonly<Record<string, string>> = {
  tcp_keepalives_idle: "60",
  tcp_keepalives_interval: "10",
  tcp_keepalives_count: "6",
};

/**
 * A server that computes, or waits for a lock, looks from time to time whether we are still there: a process of ours that
 * was killed leaves no session behind. Since PostgreSQL 14, and an error on systems that cannot tell.
 */
export const CHECK_CLIENT = `
  SELECT pg_catalog.set_config(name, '5s', false) FROM pg_catalog.pg_settings
   WHERE name OPERATOR(pg_catalog.=) 'client_connection_check_interval'`;

/** Settings that could end the session before it has set the others: they go into the start of the session itself. */
export function startupOptions(limits: SessionLimits): string {
  const early = { ...timeouts(limits), default_transaction_read_only: readOnly(limits) };
  return Object.entries(early)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" ");
}

function timeouts(limits: SessionLimits): Readonly<Record<string, string>> {
  return {
    statement_timeout: String(limits.statementTimeoutMs),
    lock_timeout: String(limits.lockTimeoutMs),
    idle_in_transaction_session_timeout: String(IDLE_IN_TRANSACTION_MS),
  };
}

function readOnly(limits: SessionLimits): string {
  return limits.readOnly ? "on" : "off";
}

/**
 * One statement that sets all that this server has. Everything is named with its schema: the role's search_path still
 * holds. It sets nothing and answers with nothing where another process serves it than $3, which the server (or a pooler
 * in its place) named at the start; null asks for none.
 */
export const APPLY_SETTINGS = `
  SELECT pg_catalog.set_config(s.name, ($2::pg_catalog.text[])[n.i], false)
    FROM pg_catalog.generate_subscripts($1::pg_catalog.text[], 1) AS n(i)
    JOIN pg_catalog.pg_settings AS s
      ON pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) ($1::pg_catalog.text[])[n.i]
   WHERE $3::pg_catalog.int4 IS NULL
      OR $3::pg_catalog.int4 OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()`;

export const READ_SETTINGS = `
  SELECT pg_catalog.lower(name) AS name, setting
    FROM pg_catalog.pg_settings
   WHERE pg_catalog.lower(name) OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[])`;

/** Everything that a session is given. */
export function appliedSettings(limits: SessionLimits): ReadonlyMap<string, string> {
  return new Map([...Object.entries(KEEPALIVE), ...wantedSettings(limits)]);
}

/** What of it is read back. */
export function wantedSettings(limits: SessionLimits): ReadonlyMap<string, string> {
  return new Map(
    Object.entries({
      ...FIXED,
      ...timeouts(limits),
      default_transaction_read_only: readOnly(limits),
    }),
  );
}

/** `found` holds only settings that the server knows; an older one lacks the newest. */
export function checkSettings(
  wanted: ReadonlyMap<string, string>,
  found: readonly { readonly name: string; readonly setting: string }[],
): void {
  for (const { name, setting } of found) {
    const want = wanted.get(name);
    if (want !== undefined && !sameSetting(want, setting)) {
      throw postgresError("settings_refused", {
        message: `setting ${name} stays ${JSON.stringify(setting)} in a new session`,
        subject: { setting: name },
      });
    }
  }
  if (found.length < MINIMUM_SETTINGS) {
    throw postgresError("settings_refused", {
      message: `server shows ${found.length} of the ${wanted.size} settings of a session`,
    });
  }
}

/** All but those that only newer servers know. */
const MINIMUM_SETTINGS = Object.keys(FIXED).length + 4 - 2;

function sameSetting(want: string, found: string): boolean {
  return want === found || (want === "" && found === '""');
}

const OLDEST_VERSION_NUM = 130_000;

/** `server_version_num` among the settings shown; a server that does not tell it is refused. */
export function supportedVersion(
  found: readonly { readonly name: string; readonly setting: string }[],
): number {
  const version = found.find((row) => row.name === "server_version_num")?.setting ?? "";
  if (!/^\d{5,6}$/.test(version)) {
    throw postgresError("settings_refused", { message: "server does not tell its version" });
  }
  const versionNum = Number(version);
  if (versionNum < OLDEST_VERSION_NUM) {
    throw postgresError("server_too_old", {
      message: `server of version ${Math.floor(versionNum / 10_000)}, the oldest one supported is 13`,
      subject: { versionNum },
    });
  }
  return versionNum;
}
