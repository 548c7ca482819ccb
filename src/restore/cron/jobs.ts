import { collectBytes } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { createCopyTextReader, isOfCron, jobTableOf, partPath } from "../../manifest/index.ts";
import type { TocEntry } from "../archive/toc.ts";
import type { Findings } from "../context.ts";
import { restoreError } from "../errors.ts";
import { spell } from "../release/items.ts";
import { countingFile } from "../snapshot-file.ts";
import type { RestoreOptions } from "../types.ts";

/**
 * The jobs of pg_cron as the snapshot holds them: the rows of `cron.job`. They are never copied into the target, where
 * they would run: they come back by `cron.schedule`, switched off (docs/spec/release.md).
 */
export interface CronJob {
  /** `cron job nightly`: what `release --item` takes. */
  readonly id: string;
  /** Of the source; the target gives its own. */
  readonly jobid: string;
  readonly schedule: string;
  readonly command: string;
  readonly database: string;
  readonly username: string;
  readonly active: boolean;
  readonly name: string | undefined;
}

/** Where the archive makes the table itself it is no extension's, whatever its columns: rows like any others. */
export function isOwnJobTable(entries: readonly TocEntry[]): boolean {
  return entries.some(
    ({ kind, schema, tag }) => kind === "TABLE" && schema === "cron" && tag === "job",
  );
}

/** A table or sequence of pg_cron, in a restore: never filled by us. */
export function isCron(
  { options, archive }: Findings,
  object: { readonly schema: string; readonly name: string },
): boolean {
  return isOfCron(options.manifest.database, object) && !isOwnJobTable(archive.preData);
}

type Source = Pick<RestoreOptions, "reader" | "snapshot" | "manifest" | "signal">;

/** More than any real list of jobs. */
const MAX_BYTES = 64 * 1024 * 1024;

export async function readJobs(source: Source): Promise<readonly CronJob[]> {
  const table = jobTableOf(source.manifest.database);
  if (table === undefined) return [];
  const sizeBytes = table.parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  if (sizeBytes > MAX_BYTES || table.format !== "text") {
    throw restoreError("object_refused", {
      message: `cron.job of ${sizeBytes} bytes in ${table.format}, which is no list of jobs`,
    });
  }
  const rows: (readonly (string | null)[])[] = [];
  for (const part of table.parts) {
    const file = countingFile(source, part, source.signal, partPath(table, part));
    rows.push(...parseRows(await collectBytes(file), table.columns.length));
  }
  const names = table.columns.map(({ name }) => name);
  return withIds(rows.map((row) => jobOf(names, row)));
}

function parseRows(bytes: Bytes, columns: number): readonly (readonly (string | null)[])[] {
  const rows: (string | null)[][] = [];
  let row: (string | null)[] = [];
  let pieces: Bytes[] = [];
  const reader = createCopyTextReader(columns, {
    // The reader's own memory is used again: a copy.
    value: (chunk, start, end) => void pieces.push(Uint8Array.from(chunk.subarray(start, end))),
    endValue: (isNull) => {
      row.push(isNull ? null : Buffer.concat(pieces).toString("utf8"));
      pieces = [];
    },
    endRow: () => {
      rows.push(row);
      row = [];
    },
  });
  reader.push(bytes);
  reader.finish();
  return rows;
}

type Unnamed = Omit<CronJob, "id">;

function jobOf(names: readonly string[], row: readonly (string | null)[]): Unnamed {
  const value = (name: string): string | null => row[names.indexOf(name)] ?? null;
  const text = (name: string): string => {
    const found = value(name);
    if (found === null)
      throw restoreError("object_refused", { message: `cron.job without ${name}` });
    return found;
  };
  return {
    jobid: text("jobid"),
    schedule: text("schedule"),
    command: text("command"),
    database: text("database"),
    username: text("username"),
    active: text("active") === "t",
    name: value("jobname") ?? undefined,
  };
}

/** Jobs of several users may share a name; some have none. */
function withIds(jobs: readonly Unnamed[]): readonly CronJob[] {
  const counts = new Map<string, number>();
  for (const { name } of jobs)
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  return jobs.map((job) => {
    const { name, jobid, username } = job;
    if (name === undefined) return { ...job, id: `cron job #${jobid}` };
    const shared = (counts.get(name) ?? 0) > 1;
    return { ...job, id: `cron job ${spell(name)}${shared ? ` of ${spell(username)}` : ""}` };
  });
}
