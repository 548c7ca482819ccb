import type { Connection } from "../postgres/index.ts";
import { rethrowFatal } from "./context.ts";
import type { Work } from "./context.ts";
import { inTransaction } from "./ledger.ts";

/**
 * Every statement names its objects in full, but functions that it calls may count on a search path. One object's work
 * in one transaction: first with an empty path, as `pg_restore` would; where that fails, with the source's own.
 */
export async function onEitherPath(
  work: Work,
  connection: Connection,
  run: () => Promise<void>,
): Promise<void> {
  try {
    await inTransaction(connection, run);
  } catch (error) {
    rethrowFatal(error);
    const retry = inTransaction(connection, async () => {
      await connection.query(`SET LOCAL search_path = ${sourcePath(work)}`);
      await run();
    });
    await retry.catch((second: unknown) => {
      rethrowFatal(second);
      throw error;
    });
  }
}

/** The catalog's list form is what SET takes; anything else must not reach the statement. */
const LIST = /^(\s*("([^"]|"")+"|[a-z_][a-z0-9_]*)\s*(,|$))+$/;

function sourcePath(work: Work): string {
  const setting = work.options.manifest.database.server.settings.find((text) =>
    text.startsWith("search_path="),
  );
  const path = setting?.slice("search_path=".length) ?? "";
  return LIST.test(path) ? path : "public";
}
