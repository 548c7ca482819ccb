import { quoteIdentifier } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import { describeEntry, extensionOf } from "./archive/sort.ts";
import type { TocEntry } from "./archive/toc.ts";
import { FRESH_SETTINGS, orIssue, rethrowFatal } from "./context.ts";
import type { Work } from "./context.ts";
import { restoreError } from "./errors.ts";
import { inTransaction } from "./ledger.ts";
import { onEitherPath } from "./search-path.ts";

/** Definitions of the archive, run by the builder (R3). */

const BATCH_ENTRIES = 100;

/** Need a superuser, and bring nothing that reaches beyond the database. */
const SUPERUSER_EXTENSIONS: ReadonlySet<string> = new Set([
  "pg_stat_statements",
  "vector",
  "postgis",
]);

export async function restorePreData(work: Work): Promise<void> {
  const entries = work.archive.preData;
  let done = 0;
  await restoreInOrder(work, entries, (count) => {
    done += count;
    work.report({ step: "schema", doneBytes: done, totalBytes: entries.length });
  });
}

/** In the archive's order, on the one connection of the serial steps. */
export async function restoreInOrder(
  work: Work,
  entries: readonly TocEntry[],
  onDone: (count: number) => void,
): Promise<void> {
  for (const batch of batches(entries)) {
    const left = batch.filter((entry) => !work.ledger.has(itemOf(entry)) && !isLeft(work, entry));
    const [only] = left;
    await work.builder.query(FRESH_SETTINGS);
    if (only?.kind === "EXTENSION") await restoreExtension(work, only);
    else if (left.length > 0) await restoreBatch(work, left);
    onDone(batch.length);
  }
}

/** Who made an extension alone may comment on it; what it says of itself came with it. */
function isLeft(work: Work, entry: TocEntry): boolean {
  if (entry.kind !== "COMMENT" || !entry.tag.startsWith("EXTENSION ")) return false;
  return installsByAdmin(work, entry.tag.slice("EXTENSION ".length));
}

function installsByAdmin({ target }: Work, extension: string): boolean {
  const offered = target.extensions.get(extension);
  return offered?.trusted === false && target.superuser && SUPERUSER_EXTENSIONS.has(extension);
}

/** Neighbours of one owner share a transaction; the archive's order stays. */
function batches(entries: readonly TocEntry[]): readonly (readonly TocEntry[])[] {
  const result: TocEntry[][] = [];
  for (const entry of entries) {
    const last = result.at(-1);
    const [first] = last ?? [];
    const joins =
      last !== undefined &&
      last.length < BATCH_ENTRIES &&
      first?.owner === entry.owner &&
      first.kind !== "EXTENSION" &&
      entry.kind !== "EXTENSION";
    if (joins) last.push(entry);
    else result.push([entry]);
  }
  return result;
}

async function restoreBatch(work: Work, batch: readonly TocEntry[]): Promise<void> {
  try {
    await inTransaction(work.builder, async () => {
      await work.builder.query(batch.map(textOf).join("\n"));
      const owner = batch[0]?.owner ?? "";
      if (owner !== "") await work.ledger.recordOwned(work.builder, owner);
      for (const entry of batch) await work.ledger.record(work.builder, itemOf(entry));
    });
  } catch (error) {
    rethrowFatal(error);
    for (const entry of batch) {
      await orIssue(work, { code: "entry_failed", object: describeEntry(entry) }, () =>
        restoreEntry(work, work.builder, entry),
      );
    }
  }
}

/** One entry in a transaction of its own. */
export async function restoreEntry(
  work: Work,
  connection: Connection,
  entry: TocEntry,
): Promise<void> {
  await onEitherPath(work, connection, async () => {
    await connection.query(textOf(entry));
    if (entry.owner !== "") await work.ledger.recordOwned(connection, entry.owner);
    await work.ledger.record(connection, itemOf(entry));
  });
}

export function itemOf(entry: TocEntry): string {
  return `entry:${entry.dumpId}`;
}

const NEEDS_ACCESS_METHOD: ReadonlySet<string> = new Set(["TABLE", "MATERIALIZED VIEW"]);

function textOf(entry: TocEntry): string {
  // A definition that is a remark alone ("-- *not* creating schema") ends with its line.
  const text = `${entry.definition}\n`;
  if (!NEEDS_ACCESS_METHOD.has(entry.kind)) return text;
  const method = entry.accessMethod ?? "heap";
  return `SET LOCAL default_table_access_method = ${quoteIdentifier(method)};\n${text}`;
}

/** Trusted extensions install for the database's owner; a few others by the admin, into a database without functions. */
async function restoreExtension(work: Work, entry: TocEntry): Promise<void> {
  const extension = extensionOf(entry);
  const object = describeEntry(entry);
  const offered = work.target.extensions.get(extension?.name ?? "");
  if (extension === undefined || offered === undefined) {
    work.issues.push({
      code: "extension_missing",
      object,
      message: `extension ${entry.tag} is not installed at the target server`,
      hint: `Install the package of extension ${entry.tag} on the target server, then restore again.`,
    });
    return;
  }
  const byAdmin = installsByAdmin(work, extension.name);
  await orIssue(work, { code: "entry_failed", object }, async () => {
    if (!byAdmin) return await restoreEntry(work, work.builder, entry);
    await refuseFunctions(work);
    const schema =
      extension.schema === undefined ? "" : ` WITH SCHEMA ${quoteIdentifier(extension.schema)}`;
    await work.admin.query(
      `CREATE EXTENSION IF NOT EXISTS ${quoteIdentifier(extension.name)}${schema}`,
    );
    await work.ledger.record(work.builder, itemOf(entry));
  });
}

/** An extension's script runs as superuser: no function or operator of the source may be there for it to find. */
async function refuseFunctions(work: Work): Promise<void> {
  const [row] = await work.admin.query<{ found: boolean }>(
    `SELECT EXISTS (
       SELECT FROM pg_proc AS p WHERE p.oid >= 16384
          AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))
         AS found`,
  );
  if (row?.found === false) return;
  throw restoreError("object_refused", {
    message: "functions of the source stand before an extension that a superuser installs",
  });
}
