import type { Bytes } from "../../kernel/index.ts";
import { runClientProgram } from "../../postgres/index.ts";
import { restoreError } from "../errors.ts";
import { readWhole } from "../snapshot-file.ts";
import type { SnapshotSource } from "../snapshot-file.ts";
import type { RestoreOptions } from "../types.ts";
import { parseArchiveToc } from "./toc.ts";
import type { ArchiveToc } from "./toc.ts";

interface ArchiveOptions extends SnapshotSource, Pick<RestoreOptions, "manifest" | "tools"> {
  readonly signal?: AbortSignal;
}

/**
 * The schema archive, read in full and proven readable to its end before anything is written: its size and SHA-256
 * against the manifest, and all of it through `pg_restore`, whose `--list` alone accepts an archive cut in half.
 */
export async function loadArchive(options: ArchiveOptions): Promise<ArchiveToc> {
  const bytes = await readWhole(options, options.manifest.database.schema, options.signal);
  const toc = parseArchiveToc(bytes);
  await proveReadable(options, bytes);
  return toc;
}

async function proveReadable(options: ArchiveOptions, bytes: Bytes): Promise<void> {
  const program = {
    program: options.tools.pgRestore,
    args: ["--file=-"],
    stdin: (async function* stream() {
      yield bytes;
    })(),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
  try {
    for await (const _text of runClientProgram(program)) {
      // Only that it reaches the end counts; we run the entries ourselves.
    }
  } catch (error) {
    if (options.signal?.aborted === true) throw error;
    throw restoreError("archive_damaged", {
      message: "schema archive that pg_restore cannot read to its end",
      cause: error,
    });
  }
}
