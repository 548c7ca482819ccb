import { AppError } from "../kernel/index.ts";
import { erasuresOf } from "../repository/index.ts";
import type { Repository, Snapshot } from "../repository/index.ts";
import { operationError } from "./errors.ts";
import { entryPath } from "./path-text.ts";

/** A path that is not there because it was erased is told as that, and not as lost. */
export async function orErased<Value>(
  repository: Repository,
  snapshot: Snapshot,
  path: string,
  signal: AbortSignal,
  find: () => Promise<Value>,
): Promise<Value> {
  try {
    return await find();
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "repository.path_not_found") throw thrown;
    const erasures = await erasuresOf(repository, snapshot, { signal });
    const erasure = erasures.find((one) => one.covers(entryPath(path)));
    if (erasure === undefined) throw thrown;
    const { at, by, reason, id } = erasure;
    throw operationError("erased", {
      message: `${path}, erased from this snapshot on ${at.toISOString().slice(0, 10)} by ${by}: ${reason}`,
      subject: { snapshot: snapshot.id, record: id },
      cause: thrown,
    });
  }
}
