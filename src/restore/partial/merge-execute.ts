import { AppError } from "../../kernel/index.ts";
import { quoteIdentifier, quoteLiteral } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { restoreError } from "../errors.ts";
import { countChanged, isExtra, readExtras, sameKey } from "./classify.ts";
import type { Merging } from "./classify.ts";
import { firingTriggers } from "./refusals.ts";
import type { MergePart } from "./merge.ts";
import {
  countOrphans,
  foreignKeysAtRisk,
  foreignKeysOf,
  holdParents,
  proveForeignKeys,
  proveRows,
  proveUniques,
} from "./proof.ts";
import { countOf, onRolesPath, readOnly } from "./session.ts";
import { readTargetTable } from "./shape.ts";
import type { FiringTrigger } from "./shape.ts";
import { hasColumns, quoted, refKey, refText, staged } from "./stage.ts";
import type { PartialWork } from "./stage.ts";
import type { MergedTable, PartialResult } from "./types.ts";

/**
 * One transaction:
 * 1. the lock, for which others wait at most LOCK_WAIT_MS at a time
 * 2. the plan again: definitions, and every row that it looked at
 * 3. triggers off, rows, triggers on
 * 4. proofs; the first that fails throws, and nothing was done
 * 5. sequences, which no rollback takes back, so last and only forward
 */
export async function executeMerge(
  work: PartialWork,
  parts: readonly MergePart[],
): Promise<PartialResult> {
  const { connection } = work.session;
  const tables = parts.map(({ table }) => table);
  if (parts.every(isIdle)) {
    // "As it was" is a claim too.
    await readOnly(connection, async () => {
      for (const part of parts) await requireUnchanged(work, part);
    });
    return { outcome: "complete", tables: parts.map(untouched), foreignKeysProven: 0, orphans: [] };
  }
  await beginLocked(work, tables);
  try {
    for (const part of parts) await requireUnchanged(work, part);
    const before = await countOrphans(work, await foreignKeysAtRisk(work, tables));
    await connection.query("SET CONSTRAINTS ALL DEFERRED");
    for (const table of tables) await switchTriggers(work, table, "off");
    const done = await onRolesPath(work.session, () => writeRows(work, parts));
    await holdParents(work, tables);
    await connection.query("SET CONSTRAINTS ALL IMMEDIATE");
    for (const table of tables) await switchTriggers(work, table, "on");
    for (const table of tables) {
      await proveRows(work, table);
      await proveUniques(work, table);
    }
    const orphans = await proveForeignKeys(work, tables, before);
    for (const table of tables) await advanceSequences(work, table);
    await commit(connection);
    return {
      outcome: orphans.length === 0 ? "complete" : "incomplete",
      tables: done,
      foreignKeysProven: foreignKeysOf(tables).length,
      orphans,
    };
  } catch (error) {
    // A lost or cancelled session has rolled back by itself, and the first error is the one that counts.
    await connection.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

/** A session that is lost before the server's answer may have committed. */
export async function commit(connection: Pick<Connection, "query">): Promise<void> {
  try {
    await connection.query("COMMIT");
  } catch (cause) {
    if (!isLost(cause)) throw cause;
    throw restoreError("merge_outcome_unknown", {
      message: "connection that was lost while the merge was being committed",
      cause,
    });
  }
}

function isLost(thrown: unknown): boolean {
  return (
    thrown instanceof AppError &&
    (thrown.code === "postgres.connection_lost" || thrown.kind === "cancelled")
  );
}

function isIdle({ table, counts, extras }: MergePart): boolean {
  const deletes = table.deleteExtra ? (extras?.rows ?? 0n) : 0n;
  return counts.inserts + counts.updates + deletes === 0n;
}

function untouched({ table }: MergePart): MergedTable {
  const name = refText(table);
  return { table: name, into: name, inserted: 0n, updated: 0n, deleted: 0n };
}

export const LOCK_ATTEMPTS = 5;
const PAUSE_S = 1;

/** All at once and in one order, so that two of us never wait for each other. Between attempts others pass. */
async function beginLocked(work: PartialWork, tables: readonly Merging[]): Promise<void> {
  const { connection } = work.session;
  const names = tables.map((table) => `ONLY ${quoted(table)}`).toSorted();
  for (let attempt = 1; ; attempt += 1) {
    await connection.query("BEGIN");
    try {
      await connection.query(`LOCK TABLE ${names.join(", ")} IN SHARE ROW EXCLUSIVE MODE`);
      return;
    } catch (thrown) {
      await connection.query("ROLLBACK").catch(() => undefined);
      const waited = thrown instanceof AppError && thrown.code === "postgres.lock_timeout";
      if (!waited || attempt >= LOCK_ATTEMPTS) throw thrown;
      await connection.query(`SELECT pg_sleep(${PAUSE_S})`);
    }
  }
}

async function requireUnchanged(work: PartialWork, part: MergePart): Promise<void> {
  const { table, extras } = part;
  const target = await readTargetTable(work.session.connection, table);
  if (JSON.stringify(target) !== JSON.stringify(table.target)) {
    throw stale(`definition of table ${refText(table)}`);
  }
  const changed = await countChanged(work, table);
  if (changed > 0n) throw stale(`${changed} rows of ${refText(table)}`);
  if (!table.deleteExtra || extras === undefined) return;
  const now = await readExtras(work, table);
  if (now.rows === extras.rows && now.digest === extras.digest) return;
  throw stale(`rows of ${refText(table)} that are to be deleted`);
}

function stale(what: string): AppError {
  return restoreError("merge_stale", { message: `${what} changed since the plan was made` });
}

const ON: Readonly<Record<FiringTrigger["enabled"], string>> = {
  O: "ENABLE TRIGGER",
  A: "ENABLE ALWAYS TRIGGER",
  R: "ENABLE REPLICA TRIGGER",
  D: "DISABLE TRIGGER",
};

/** Back to exactly what each was; a rollback does the same. */
async function switchTriggers(
  { session }: PartialWork,
  table: Merging,
  to: "on" | "off",
): Promise<void> {
  for (const { name, enabled } of firingTriggers(session, table.target)) {
    const verb = to === "off" ? ON.D : ON[enabled];
    await session.connection.query(
      `ALTER TABLE ONLY ${quoted(table)} ${verb} ${quoteIdentifier(name)}`,
    );
  }
}

async function writeRows(
  work: PartialWork,
  parts: readonly MergePart[],
): Promise<readonly MergedTable[]> {
  const ordered = parentsFirst(parts);
  const done = new Map<string, MergedTable>();
  const deleted = new Map<string, bigint>();
  const replaced = new Map<string, bigint>();
  for (const { table } of ordered.toReversed()) {
    deleted.set(refKey(table), table.deleteExtra ? await deleteRows(work, table) : 0n);
    replaced.set(refKey(table), await takeOut(work, table));
  }
  for (const [at, { table, counts, extras }] of ordered.entries()) {
    const name = refText(table);
    const again = replaced.get(refKey(table)) ?? 0n;
    const merged: MergedTable = {
      table: name,
      into: name,
      updated: again + (counts.updates === 0n ? 0n : await updateRows(work, table)),
      inserted: (await insertRows(work, table)) - again,
      deleted: deleted.get(refKey(table)) ?? 0n,
    };
    const deletes = table.deleteExtra ? (extras?.rows ?? 0n) : 0n;
    if (
      merged.inserted !== counts.inserts ||
      merged.updated !== counts.updates ||
      merged.deleted !== deletes
    ) {
      throw restoreError("merge_unproven", {
        message: `${name}: ${merged.inserted} inserted, ${merged.updated} updated, ${merged.deleted} deleted, the plan said ${counts.inserts}, ${counts.updates}, ${deletes}`,
      });
    }
    done.set(refKey(table), merged);
    work.options.onProgress?.({
      step: "execute",
      doneBytes: at + 1,
      totalBytes: ordered.length,
      current: name,
    });
  }
  return parts.flatMap(({ table }) => done.get(refKey(table)) ?? []);
}

/** As far as that is possible: cycles are left as they are. Where foreign keys are enforced, it matters. */
function parentsFirst(parts: readonly MergePart[]): readonly MergePart[] {
  const ordered: MergePart[] = [];
  const seen = new Set<string>();
  const visit = (part: MergePart): void => {
    if (seen.has(refKey(part.table))) return;
    seen.add(refKey(part.table));
    for (const { parent } of part.table.target.outgoing) {
      const before = parts.find((one) => refKey(one.table) === refKey(parent));
      if (before !== undefined) visit(before);
    }
    ordered.push(part);
  };
  for (const part of parts) visit(part);
  return ordered;
}

async function deleteRows({ session }: PartialWork, table: Merging): Promise<bigint> {
  return await countOf(
    session.connection,
    `WITH done AS (DELETE FROM ONLY ${quoted(table)} AS t WHERE ${isExtra(table)} RETURNING 1)
     SELECT count(*)::text AS count FROM done`,
  );
}

/** Of what is replaced the standing row; it comes again with the inserts. */
async function takeOut({ session }: PartialWork, table: Merging): Promise<bigint> {
  return await countOf(
    session.connection,
    `WITH done AS (
       DELETE FROM ONLY ${quoted(table)} AS t USING ${table.stage} AS s, ${table.actions} AS a
        WHERE a.n = s.n AND a.action = 'r' AND ${sameKey(table)} RETURNING 1)
     SELECT count(*)::text AS count FROM done`,
  );
}

async function updateRows({ session }: PartialWork, table: Merging): Promise<bigint> {
  const fixed = new Set(
    table.target.columns.filter((column) => column.identityAlways).map((column) => column.name),
  );
  const set = table.manifest.columns
    .filter(({ name }) => !fixed.has(name))
    .map(({ name }) => `${quoteIdentifier(name)} = s.${staged(table, name)}`);
  return await countOf(
    session.connection,
    `WITH done AS (
       UPDATE ONLY ${quoted(table)} AS t SET ${set.join(", ")}
         FROM ${table.stage} AS s JOIN ${table.actions} AS a ON a.n = s.n AND a.action = 'u'
        WHERE ${sameKey(table)} RETURNING 1)
     SELECT count(*)::text AS count FROM done`,
  );
}

async function insertRows({ session }: PartialWork, table: Merging): Promise<bigint> {
  const names = table.manifest.columns.map(({ name }) => quoteIdentifier(name)).join(", ");
  const values = table.manifest.columns.map(({ name }) => `s.${staged(table, name)}`).join(", ");
  return await countOf(
    session.connection,
    `WITH done AS (
       INSERT INTO ${quoted(table)} (${names}) OVERRIDING SYSTEM VALUE
       SELECT ${values} FROM ${table.stage} AS s JOIN ${table.actions} AS a ON a.n = s.n AND a.action IN ('i', 'r')
        ORDER BY s.n RETURNING 1)
     SELECT count(*)::text AS count FROM done`,
  );
}

/** Read and set in one statement; the largest restored number is one that was given out before. */
async function advanceSequences({ session }: PartialWork, table: Merging): Promise<void> {
  for (const sequence of table.target.sequences) {
    if (!hasColumns(table, [sequence.column])) continue;
    const name = quoted(sequence);
    const [largest, beyond] = sequence.ascending ? ["max", "<"] : ["min", ">"];
    await session.connection.query(
      `SELECT setval(${quoteLiteral(name)}::regclass, restored.largest, true)
         FROM (SELECT ${largest}(s.${staged(table, sequence.column)})::bigint AS largest
                 FROM ${table.stage} AS s JOIN ${table.actions} AS a ON a.n = s.n AND a.action IN ('i', 'u', 'r')) AS restored,
              ${name} AS q, pg_sequences AS b
        WHERE b.schemaname = ${quoteLiteral(sequence.schema)} AND b.sequencename = ${quoteLiteral(sequence.name)}
          AND restored.largest BETWEEN b.min_value AND b.max_value
          AND (q.last_value ${beyond} restored.largest OR (q.last_value = restored.largest AND NOT q.is_called))`,
    );
  }
}
