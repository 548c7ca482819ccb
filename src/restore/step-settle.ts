import type { SequenceManifest, TableManifest } from "../manifest/index.ts";
import { quoteLiteral, quoteQualified } from "../postgres/index.ts";
import { isFurniture, orIssue } from "./context.ts";
import type { Work } from "./context.ts";
import { isCron } from "./cron/jobs.ts";
import { inTransaction } from "./ledger.ts";
import { onEitherPath } from "./search-path.ts";
import { queueOf, runOnSessions } from "./pool.ts";

/** Sequences and planner statistics. */

export async function restoreSequences(work: Work): Promise<void> {
  for (const sequence of work.options.manifest.database.sequences) {
    // Ids are given by the target's own scheduler.
    if (isCron(work, sequence)) continue;
    // Named after their table, and left with it.
    if (typeof work.platform?.rowsOf(sequence.schema, sequence.name) === "object") continue;
    const item = `sequence:${JSON.stringify([sequence.schema, sequence.name])}`;
    if (work.ledger.has(item)) continue;
    const object = `SEQUENCE ${sequence.schema}.${sequence.name}`;
    await orIssue(work, { code: "sequence_failed", object }, () =>
      inTransaction(work.builder, async () => {
        await work.builder.query(setvalStatement(sequence));
        await work.ledger.record(work.builder, item);
      }),
    );
  }
}

function setvalStatement(sequence: SequenceManifest): string {
  const name = quoteLiteral(quoteQualified(sequence.schema, sequence.name));
  const value = quoteLiteral(sequence.lastValue);
  return `SELECT pg_catalog.setval(${name}::pg_catalog.regclass, ${value}::pg_catalog.int8, ${sequence.isCalled})`;
}

/** As the builder, while it owns the tables: ANALYZE computes index expressions with the owner's rights. */
export async function analyzeTables(work: Work, tables: readonly TableManifest[]): Promise<void> {
  const left = tables
    .filter((table) => table.condition === undefined && !isFurniture(work, table))
    .filter((table) => !work.ledger.has(analyzeItem(table)))
    .toSorted((a, b) => bytesOf(b) - bytesOf(a));
  if (left.length === 0) return;
  await runOnSessions(
    work,
    queueOf(left),
    async (connection, table) => {
      const object = `TABLE ${table.schema}.${table.name}`;
      await orIssue(work, { code: "analyze_failed", object }, () =>
        onEitherPath(work, connection, async () => {
          await connection.query(`ANALYZE ${quoteQualified(table.schema, table.name)}`);
          await work.ledger.record(connection, analyzeItem(table));
        }),
      );
    },
    left.length,
  );
}

function bytesOf(table: TableManifest): number {
  return table.parts.reduce((sum, part) => sum + part.sizeBytes, 0);
}

function analyzeItem(table: TableManifest): string {
  return `analyze:${JSON.stringify([table.schema, table.name])}`;
}
