/** What a capture could not read, as values: they make the run `incomplete`, never a shorter success. */
import { AppError } from "../../kernel/index.ts";
import { quoteIdentifier } from "../../postgres/index.ts";
import type { CaptureIssue, CaptureIssueCode } from "./types.ts";

export interface Named {
  readonly schema: string;
  readonly name: string;
}

/** `schema.table` for people; quoted only where it must be. */
export function displayName(object: Named): string {
  return `${displayPart(object.schema)}.${displayPart(object.name)}`;
}

function displayPart(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoteIdentifier(name);
}

const HINTS: Readonly<Record<CaptureIssueCode, string>> = {
  table_rewritten: "Run again when no migration and no TRUNCATE is under way.",
  table_dropped: "Run again when no migration is under way.",
  table_changed: "Run again when no migration is under way.",
  table_locked: "Run again when the session that holds the lock has ended.",
  table_yielded:
    "Run again when the migration is over; give the source more `lock_patience` only where the application can wait.",
  table_unreadable: "Read the server's message, repair the table, then run again.",
  permission_denied: "Grant the backup role SELECT on it, best by membership in pg_read_all_data.",
  row_security_hidden: "Give the backup role BYPASSRLS: ALTER ROLE … BYPASSRLS.",
  value_too_large: "Split the value: PostgreSQL cannot send it in one message.",
  sequence_unreadable: "Grant the backup role SELECT on it, then run again.",
  large_object_unreadable: "Grant the backup role SELECT on the large object.",
  table_missing: "Correct the name in the plan, or take it out.",
  table_not_captured: "Name the tables that hold the rows.",
  vault_unread:
    "Grant the backup role SELECT on vault.decrypted_secrets, or take vault out of the policy.",
  reference_left_out:
    "A restore could not make it hold: leave the other table out as well, or drop the foreign key.",
  export_failed:
    "Its rows are in the snapshot all the same; take the format out of the plan for this table.",
};

export function captureIssue(
  code: CaptureIssueCode,
  object: string,
  message: string,
): CaptureIssue {
  return { code, object, message, hint: HINTS[code] };
}

/** What an error of the server means for the one table that was read; anything else is not the table's alone. */
const BY_ERROR: Readonly<Record<string, CaptureIssueCode>> = {
  "postgres.permission_denied": "permission_denied",
  "postgres.row_security": "row_security_hidden",
  "postgres.lock_timeout": "table_locked",
  "postgres.deadlock": "table_locked",
  "postgres.relation_not_found": "table_changed",
  "postgres.value_too_large": "value_too_large",
  "postgres.timeout": "table_unreadable",
  "postgres.server_damaged": "table_unreadable",
  "postgres.statement_failed": "table_unreadable",
};

/** `undefined`: the whole run is over. */
export function tableIssue(error: unknown, table: Named): CaptureIssue | undefined {
  if (!(error instanceof AppError)) return undefined;
  const code = BY_ERROR[error.code];
  return code === undefined ? undefined : captureIssue(code, displayName(table), error.message);
}

/** Thrown inside a part's stream, so that the repository does not keep the part; caught where the part began. */
export class PartRefused extends Error {
  readonly issue: CaptureIssue;

  constructor(issue: CaptureIssue) {
    super(issue.message);
    this.name = "PartRefused";
    this.issue = issue;
  }
}
