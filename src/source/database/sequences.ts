/**
 * Sequence values. A sequence honours no snapshot: a read always shows its present value. It is read after the
 * snapshot was taken, so it is at or above every value that a captured row was given.
 */
import type { SequenceManifest } from "../../manifest/index.ts";
import { quoteQualified } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { AppError } from "../../kernel/index.ts";
import type { ControlSession } from "./control.ts";
import { captureIssue, displayName } from "./issues.ts";
import type { CaptureIssue } from "./types.ts";

interface SequenceRow extends Record<string, unknown> {
  readonly schema: string;
  readonly name: string;
  readonly readable: boolean;
}

/** An extension's own sequences come with it, unless it says that their values belong to a dump. */
const SEQUENCES = String.raw`
  SELECT n.nspname::text AS schema, c.relname::text AS name,
         coalesce(has_schema_privilege(n.oid, 'USAGE')
                  AND has_sequence_privilege(c.oid, 'SELECT'), true) AS readable
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                         AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    LEFT JOIN pg_extension e ON e.oid = d.refobjid
   WHERE c.relkind = 'S' AND c.relpersistence <> 't'
     AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
     AND (e.oid IS NULL OR c.oid = ANY (e.extconfig))
   ORDER BY 1, 2`;

export function listSequences(session: Connection): Promise<readonly SequenceRow[]> {
  return session.query<SequenceRow>(SEQUENCES);
}

export interface ReadSequences {
  readonly sequences: readonly SequenceManifest[];
  readonly issues: readonly CaptureIssue[];
}

/** One statement for this many: each takes a lock until the statement ends. */
const BATCH = 200;

export async function readSequences(
  control: ControlSession,
  listed: readonly SequenceRow[],
): Promise<ReadSequences> {
  const sequences: SequenceManifest[] = [];
  const issues = listed
    .filter((one) => !one.readable)
    .map((one) => unreadable(one, "no right to read"));
  const readable = listed.filter((one) => one.readable);
  for (let at = 0; at < readable.length; at += BATCH) {
    const batch = readable.slice(at, at + BATCH);
    const values = await readBatch(control, batch).catch((error: unknown) => {
      if (!isOfOneSequence(error)) throw error;
      return undefined;
    });
    if (values !== undefined) sequences.push(...values);
    else await readOneByOne(control, batch, sequences, issues);
  }
  return { sequences, issues };
}

function unreadable(sequence: SequenceRow, why: string): CaptureIssue {
  const name = displayName(sequence);
  return captureIssue("sequence_unreadable", name, `${why} sequence ${name}`);
}

function isOfOneSequence(error: unknown): error is AppError {
  return (
    error instanceof AppError &&
    ["postgres.relation_not_found", "postgres.permission_denied", "postgres.lock_timeout"].includes(
      error.code,
    )
  );
}

async function readOneByOne(
  control: ControlSession,
  batch: readonly SequenceRow[],
  sequences: SequenceManifest[],
  issues: CaptureIssue[],
): Promise<void> {
  for (const one of batch) {
    try {
      sequences.push(...(await readBatch(control, [one])));
    } catch (error) {
      if (!isOfOneSequence(error)) throw error;
      issues.push(unreadable(one, `${error.message}:`));
    }
  }
}

function readBatch(
  control: ControlSession,
  batch: readonly SequenceRow[],
): Promise<readonly SequenceManifest[]> {
  const selects = batch.map(
    (one, i) =>
      `SELECT ${i} AS i, last_value::text AS value, is_called FROM ${quoteQualified(one.schema, one.name)}`,
  );
  return control.run(async (session) => {
    const rows = await session.query<{ i: number; value: string; is_called: boolean }>(
      selects.join(" UNION ALL "),
    );
    return rows.flatMap((row) => {
      const one = batch[row.i];
      if (one === undefined) return [];
      const { schema, name } = one;
      return [{ schema, name, lastValue: row.value, isCalled: row.is_called }];
    });
  });
}
