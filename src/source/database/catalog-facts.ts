/** What the catalog says of every object, under the snapshot, so that a restore can tell what is not as it was. */
import { AppError, throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { DatabaseManifest, StoredFile } from "../../manifest/index.ts";
import { CATALOG_FACTS } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import type { CaptureContext } from "./context.ts";
import { openSession, underSnapshot } from "./snapshot.ts";

const FACTS_PATH = ["database", "catalog.facts"];

export interface SavedFacts {
  readonly catalog?: StoredFile;
  readonly leftOut: DatabaseManifest["leftOut"];
}

/**
 * Definitions are worded by the server from its catalogs of now: DDL in the middle can make that fail, and so can a
 * damaged catalog. The rows are no worse for it; the point says that it cannot be compared.
 */
export async function saveCatalogFacts(context: CaptureContext): Promise<SavedFacts> {
  try {
    await using session = await openSession(context.session, "catalog");
    return await underSnapshot(session, context.snapshot.id, async () => {
      const content = readAll(session, context.signal);
      const metadata = { kind: "file", modifiedAt: context.takenAt } as const;
      const { sizeBytes, sha256 } = await context.writer.saveFile(FACTS_PATH, content, metadata);
      return { catalog: { path: FACTS_PATH.join("/"), sizeBytes, sha256 }, leftOut: [] };
    });
  } catch (error) {
    throwIfAborted(context.signal);
    if (!(error instanceof AppError) || !ONE_STATEMENT.has(error.kind)) throw error;
    const reason = `${error.message}; a restore of this point cannot compare definitions`;
    return { leftOut: [{ object: "catalog facts", reason }] };
  }
}

/** A server that is lost, full or ours to leave is not a matter of one statement. */
const ONE_STATEMENT: ReadonlySet<string> = new Set([
  "auth",
  "not-found",
  "incompatible",
  "corrupt",
  "locked",
]);

async function* readAll(
  session: Connection,
  signal: AbortSignal,
): AsyncGenerator<Bytes, void, undefined> {
  for (const { copy } of CATALOG_FACTS) yield* session.copyOut(copy, { signal, reuse: true });
}
