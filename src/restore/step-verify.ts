import { fromHex } from "../kernel/index.ts";
import { createRowHasher } from "../manifest/index.ts";
import type { RowSum, TableManifest } from "../manifest/index.ts";
import { quoteIdentifier, quoteQualified, UNENCODED } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import { isFurniture, orIssue } from "./context.ts";
import { OWNERS_BEGUN } from "./ledger.ts";
import type { Work } from "./context.ts";
import { sharedColumns, tellLost } from "./older-table.ts";
import { queueOf, runOnSessions } from "./pool.ts";
import { verifyLargeObject, nameOf } from "./step-large-objects.ts";
import { columnList, isUnencoded, tableBytes } from "./step-tables.ts";

/** Every table read back by the same COPY that read the source, its count and hash against the manifest's (R9, R10). */

export interface Verified {
  readonly tables: number;
  readonly rows: bigint;
}

export async function verifyContents(
  work: Work,
  tables: readonly TableManifest[],
): Promise<Verified> {
  const { largeObjects } = work.options.manifest.database;
  const resumedLate = work.builderRole !== undefined && work.ledger.has(OWNERS_BEGUN);
  if (resumedLate) await letRead(work, work.builderRole);
  const totalBytes = tableBytes(tables);
  const verified = { tables: 0, rows: 0n };
  let doneBytes = 0;
  const largestFirst = tables.toSorted((a, b) => tableBytes([b]) - tableBytes([a]));
  await runOnSessions(
    work,
    queueOf(largestFirst),
    async (connection, table, signal) => {
      const object = `TABLE ${table.schema}.${table.name}`;
      await orIssue(work, { code: "table_unread", object }, async () => {
        if (isFurniture(work, table) && (await sharedColumns(connection, table)) !== undefined)
          return await countOnly(work, connection, table);
        const sum = await readBack(work, connection, table, signal, (sizeBytes) => {
          doneBytes += sizeBytes;
          work.report({ step: "verify", doneBytes, totalBytes, current: object });
        });
        const differs = difference(table, sum);
        if (differs === undefined) {
          verified.tables += 1;
          verified.rows += sum.rows;
        } else work.issues.push({ object, ...differs });
      });
    },
    tables.length,
  );
  await tellLost(work);
  for (const object of largeObjects) {
    await orIssue(work, { code: "hash_differs", object: nameOf(object) }, () =>
      verifyLargeObject(resumedLate ? work.admin : work.builder, object),
    );
  }
  return verified;
}

/** Without all its columns a table has another hash: what was left out is an issue of its own. */
async function countOnly(work: Work, connection: Connection, table: TableManifest): Promise<void> {
  const [row] = await connection.query<{ rows: string }>(
    `SELECT count(*)::text AS rows FROM ONLY ${quoteQualified(table.schema, table.name)}`,
  );
  if (row?.rows === table.rows) return;
  work.issues.push({
    code: "count_differs",
    object: `TABLE ${table.schema}.${table.name}`,
    message: `${row?.rows ?? "no"} rows where ${table.rows} were saved`,
    hint: "Treat this table as not restored.",
  });
}

/** Resumed after the owners were set: the builder reads as a reader. Goes with the builder. */
async function letRead(work: Work, builderRole: string): Promise<void> {
  if (work.target.versionNum < 140_000) return;
  await work.admin.query(`GRANT pg_read_all_data TO ${quoteIdentifier(builderRole)}`);
}

async function readBack(
  work: Work,
  connection: Connection,
  table: TableManifest,
  signal: AbortSignal,
  onBytes: (sizeBytes: number) => void,
): Promise<RowSum> {
  const hasher = createRowHasher(fromHex(work.options.manifest.rowHashKey), table.format);
  const format = table.format === "binary" ? " WITH (FORMAT binary)" : "";
  // Until the next table's work, which puts the session right first.
  if (isUnencoded(work)) await connection.query(`SET client_encoding = '${UNENCODED}'`);
  const sql = `COPY ${sourceOf(table)} TO STDOUT${format}`;
  for await (const chunk of connection.copyOut(sql, { signal, reuse: true })) {
    hasher.update(chunk);
    onBytes(chunk.byteLength);
  }
  return hasher.finish();
}

function sourceOf(table: TableManifest): string {
  const name = quoteQualified(table.schema, table.name);
  if (table.condition === undefined) return `${name}${columnList(table)}`;
  const columns = table.columns.map((column) => quoteIdentifier(column.name)).join(", ");
  return `(SELECT ${columns} FROM ONLY ${name} ${table.condition})`;
}

function difference(
  table: TableManifest,
  sum: RowSum,
): { code: string; message: string; hint: string } | undefined {
  const hint = "Treat this table as not restored.";
  if (String(sum.rows) !== table.rows) {
    return {
      code: "count_differs",
      message: `${sum.rows} rows where ${table.rows} were saved`,
      hint,
    };
  }
  if (sum.hash !== table.rowHash) {
    return { code: "hash_differs", message: "rows other than those that were saved", hint };
  }
  return undefined;
}
