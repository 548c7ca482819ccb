/** Foreign errors of the driver, the server and the socket, wrapped once, here. */
import type { DatabaseError } from "pg";
import { AppError, isAbort, kernelError } from "../kernel/index.ts";
import type { ErrorDetail, Subject } from "../kernel/index.ts";
import { postgresError } from "./errors.ts";

type PostgresCode = keyof typeof postgresError.codes;

/** SQLSTATEs, and classes of them where all five characters do not matter (PostgreSQL documentation, Appendix A). */
const BY_STATE: Readonly<Record<string, PostgresCode>> = {
  "28": "authentication_failed",
  "3D": "database_not_found",
  "08": "unreachable",
  "57P03": "unreachable",
  "57P01": "connection_lost",
  "57P02": "connection_lost",
  "57P05": "connection_lost",
  "25P03": "connection_lost",
  "25P04": "connection_lost",
  "53300": "too_many_connections",
  "53100": "disk_full",
  "53": "out_of_memory",
  "42501": "permission_denied",
  "57014": "timeout",
  "55P03": "lock_timeout",
  "40P01": "deadlock",
  "42P01": "relation_not_found",
  "42703": "relation_not_found",
  "42704": "relation_not_found",
  "42883": "relation_not_found",
  "3F": "relation_not_found",
  XX001: "server_damaged",
  XX002: "server_damaged",
};

export function translateError(thrown: unknown, subject: Subject): AppError {
  if (thrown instanceof AppError) return thrown;
  if (isAbort(thrown)) return kernelError("cancelled", { message: "cancelled", cause: thrown });
  if (isDatabaseError(thrown)) {
    const code = codeOf(thrown);
    return postgresError(code, {
      message: cleanText(thrown.message),
      subject: { ...subject, ...(thrown.code === undefined ? {} : { sqlstate: thrown.code }) },
      cause: thrown,
    });
  }
  return translateSocketError(thrown, subject);
}

/** By what it carries: to name its class would load the driver for whoever only links to this layer. */
function isDatabaseError(thrown: unknown): thrown is DatabaseError {
  return thrown instanceof Error && thrown.name === "error" && "length" in thrown;
}

function codeOf(error: DatabaseError): PostgresCode {
  const state = error.code ?? "";
  // check_enable_rls is the one place that raises it; the text follows lc_messages, the routine does not.
  if (state === "42501" && error.routine === "check_enable_rls") return "row_security";
  // A standby's own; a serialization failure proper comes from elsewhere.
  if (state === "40001" && /^Process(RecoveryConflict)?Interrupt/.test(error.routine ?? "")) {
    return "recovery_conflict";
  }
  if (/invalid memory alloc request size|Cannot enlarge string buffer/.test(textOf(error))) {
    return "value_too_large";
  }
  if (POOL_IS_FULL.test(textOf(error))) return "too_many_connections";
  if (state === "54000" && error.routine === "enlargeStringInfo") return "value_too_large";
  return BY_STATE[state] ?? BY_STATE[state.slice(0, 2)] ?? "statement_failed";
}

/** Supavisor's and PgBouncer's own: they come without a SQLSTATE that would say so. */
const POOL_IS_FULL =
  /\bmax clients reached\b|\bno more connections allowed\b|\bquery_wait_timeout\b/i;

function textOf(error: DatabaseError): string {
  return `${error.message} ${error.detail ?? ""}`;
}

const TLS_CODES = /^(EPROTO|ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

function translateSocketError(thrown: unknown, subject: Subject): AppError {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  const detail = (text: string): ErrorDetail => ({ message: text, subject, cause: thrown });
  if (TLS_CODES.test(code) || /SSL connection/.test(message)) {
    const hint = tlsHint(message);
    return postgresError("tls_failed", {
      ...detail(`TLS towards the server: ${cleanText(message)}`),
      ...(hint === undefined ? {} : { hint }),
    });
  }
  if (["ECONNRESET", "EPIPE", "ERR_STREAM_DESTROYED"].includes(code)) {
    return postgresError("connection_lost", detail("connection to the server lost"));
  }
  if (code !== "" || message === "timeout expired") {
    return postgresError(
      "unreachable",
      detail(`server out of reach: ${cleanText(message || code)}`),
    );
  }
  return /Connection terminated|not queryable|connection error/.test(message)
    ? postgresError("connection_lost", detail("connection to the server lost"))
    : postgresError("statement_failed", detail(cleanText(message)));
}

function tlsHint(message: string): string | undefined {
  if (/does not support SSL/.test(message)) {
    return "Switch TLS on at the server (ssl = on, with a certificate of its name).";
  }
  return /protocol.version/i.test(message)
    ? "Let the server speak the TLS version that ssl_min_protocol_version of the connection string asks for."
    : undefined;
}

const MAX_TEXT = 500;

/** A server's text can be hostile: one line, bounded, without control characters. */
export function cleanText(text: string): string {
  const line = text.replaceAll(/\p{Cc}+/gu, " ").trim();
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
}
