/** The schema, by PostgreSQL's own pg_dump under the exported snapshot, streamed into the repository. */
import type { StoredFile } from "../../manifest/index.ts";
import { clientProgramText, quoteIdentifier, runClientProgram } from "../../postgres/index.ts";
import type { CaptureContext } from "./context.ts";
import type { Relation } from "./relations.ts";

const ARCHIVE_PATH = ["database", "schema.dump"];
const VERSION_MAX_BYTES = 1_000;

export interface SchemaArchive {
  readonly file: StoredFile;
  /** What pg_dump left out or could not read, though it ended well. */
  readonly warnings: readonly string[];
}

/**
 * pg_dump locks every table that it describes (ACCESS SHARE) until it ends, seconds for a schema. It is named after the
 * session that holds the snapshot, so that its locks are known for ours.
 */
export async function saveSchemaArchive(
  context: CaptureContext,
  excluded: readonly Relation[],
): Promise<SchemaArchive> {
  const warnings: string[] = [];
  const applicationName = `sparekeep pg_dump for ${context.snapshot.holderPid}`;
  using held = context.locks.hold({ applicationName });
  const { tools, source } = context.options;
  const content = runClientProgram({
    program: tools.pgDump,
    args: [
      "--format=custom",
      "--schema-only",
      "--compress=0",
      "--no-sync",
      "--no-password",
      "--encoding=UTF8",
      `--snapshot=${context.snapshot.id}`,
      `--lock-wait-timeout=${context.session.lockTimeoutMs}`,
      ...excluded.map((table) => `--exclude-table=${pattern(table)}`),
    ],
    url: source.url,
    applicationName,
    settings: { timezone: "UTC", lc_monetary: "C", default_transaction_read_only: "on" },
    signal: AbortSignal.any([context.signal, held.signal]),
    onWarning: (text) => warnings.push(text),
  });
  const saving = context.writer.saveFile(ARCHIVE_PATH, content, {
    kind: "file",
    modifiedAt: context.takenAt,
  });
  const saved = await saving.catch((error: unknown) => {
    throw held.waited() ?? error;
  });
  const { sizeBytes, sha256 } = saved;
  return { file: { path: ARCHIVE_PATH.join("/"), sizeBytes, sha256 }, warnings };
}

/** Quoted, so that no character of a name is a wildcard. */
function pattern(table: Relation): string {
  return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`;
}

/** `pg_dump (PostgreSQL) 15.20`, for the manifest. */
export async function pgDumpVersion(context: CaptureContext): Promise<string> {
  const text = await clientProgramText(
    { program: context.options.tools.pgDump, args: ["--version"], signal: context.signal },
    VERSION_MAX_BYTES,
  );
  return text.trim();
}
