import { errorTable } from "../kernel/index.ts";

export const postgresError = errorTable("postgres", {
  invalid_url: {
    kind: "config",
    meaning:
      "A connection string that cannot be read, or that leaves out what must not be guessed.",
  },
  weak_tls: {
    kind: "config",
    meaning: "An sslmode weaker than verify-full towards a server that is not on this machine.",
    hint: "Use sslmode=verify-full, with sslrootcert naming the provider's certificate where it is not a public one.",
  },
  transaction_pooler: {
    kind: "config",
    meaning:
      "An address of Supabase's pooler in transaction mode, where a session does not stay the same and no snapshot holds.",
    hint: "Use the session pooler (port 5432 of the same host), or the project's own address db.REF.supabase.co:5432.",
  },
  tls_failed: {
    kind: "auth",
    meaning:
      "The server offers no TLS, or its certificate does not prove that it is the server named.",
    hint: "Check the host name, and name the provider's certificate by sslrootcert.",
  },
  unreachable: {
    kind: "unavailable",
    meaning: "No PostgreSQL server answers at that address, or it does not accept sessions now.",
    hint: "Check that the server runs and that host and port are right.",
  },
  authentication_failed: {
    kind: "auth",
    meaning: "The server refused the role or its password.",
    hint: "Check the role and the password of the connection string, and pg_hba.conf on the server.",
  },
  database_not_found: {
    kind: "not-found",
    meaning: "The server has no such database.",
    hint: "Check the database name of the connection string.",
  },
  settings_refused: {
    kind: "incompatible",
    meaning: "The session does not keep the fixed settings that captures and restores depend on.",
    hint: "Connect to the server directly, not through a pooler in transaction mode.",
  },
  session_not_held: {
    kind: "incompatible",
    meaning:
      "A pooler between here and the server serves one session by several of its backends, or several sessions by one: no setting and no snapshot holds there.",
    hint: "Connect to the server itself, or to a pooler in session mode (Supabase: port 5432).",
  },
  server_too_old: {
    kind: "incompatible",
    meaning: "A PostgreSQL server older than version 13.",
    hint: "Upgrade the server to a version that PostgreSQL still supports.",
  },
  connection_lost: {
    kind: "unavailable",
    meaning: "An open session ended before its statement did.",
    hint: "Look for a restart or a crash in the server's log, then run again.",
  },
  too_many_connections: {
    kind: "unavailable",
    meaning: "The server has no free connection slot for this role.",
    hint: "Ask for fewer connections, or raise max_connections or the role's limit.",
  },
  disk_full: {
    kind: "exhausted",
    meaning: "The server has no disk space left.",
    hint: "Free disk space on the server, then run again.",
  },
  out_of_memory: {
    kind: "exhausted",
    meaning: "The server has no memory left for the statement.",
    hint: "Ask for fewer connections, or give the server more memory.",
  },
  permission_denied: {
    kind: "auth",
    meaning: "The role may not do this.",
    hint: "Grant the role the right that is named, for reading best by membership in pg_read_all_data.",
  },
  row_security: {
    kind: "auth",
    meaning: "Row-level security would hide rows from the role, so the read was refused.",
    hint: "Give the role BYPASSRLS.",
  },
  lock_timeout: {
    kind: "locked",
    meaning: "Another session held a lock for longer than the statement may wait.",
    hint: "Wait for the session that holds the lock, or end it.",
  },
  deadlock: {
    kind: "locked",
    meaning: "The server ended the statement, since it and another session waited for each other.",
    hint: "Run again when no migration is under way.",
  },
  timeout: {
    kind: "unavailable",
    meaning: "A statement took longer than it may.",
    hint: "Run again when the server is less busy.",
  },
  recovery_conflict: {
    kind: "unavailable",
    meaning:
      "A standby ended the statement, since what it reads stands in the way of what it has to replay.",
    hint: "Turn on hot_standby_feedback on the standby or raise its max_standby_streaming_delay, or read the primary.",
  },
  relation_not_found: {
    kind: "not-found",
    meaning: "A table, column, schema or other object that the statement names does not exist.",
  },
  value_too_large: {
    kind: "incompatible",
    meaning: "A value or a row that outgrows what the server can send in one message.",
  },
  server_damaged: {
    kind: "corrupt",
    meaning: "The server reports damaged data of its own.",
    hint: "Check the server's storage; take a copy of its data directory before anything else.",
  },
  statement_failed: {
    kind: "incompatible",
    meaning: "The server refused a statement for a reason without a code of its own here.",
  },
  copy_incomplete: {
    kind: "corrupt",
    meaning: "A COPY whose stream ended without everything that marks its end.",
    hint: "Run again; where it stays, look for a proxy between here and the server.",
  },
  client_tools_missing: {
    kind: "not-found",
    meaning: "pg_dump, pg_restore and psql were not found together in any folder searched.",
  },
  client_tools_too_old: {
    kind: "incompatible",
    meaning: "Every pg_dump found is older than the server.",
  },
  client_tools_unreadable: {
    kind: "incompatible",
    meaning: "A program whose version could not be read.",
    hint: "Reinstall the PostgreSQL client programs.",
  },
  program_failed: {
    kind: "incompatible",
    meaning: "A PostgreSQL client program ended with an error.",
  },
  invalid_lsn: {
    kind: "corrupt",
    meaning: "Text that is no WAL position.",
  },
});
