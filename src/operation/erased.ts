import { AppError } from "../kernel/index.ts";
import type { Manifest } from "../manifest/index.ts";
import { erasuresOf } from "../repository/index.ts";
import type { Erasure, Repository, Snapshot } from "../repository/index.ts";
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
    throw erasedBy(erasure, snapshot, path, thrown);
  }
}

/** Before a restore touches its target: a database that lacks a file on purpose is not a damaged one. */
export async function requireNoneErased(
  repository: Repository,
  snapshot: Snapshot,
  { database }: Manifest,
  signal: AbortSignal,
): Promise<void> {
  const erasures = await erasuresOf(repository, snapshot, { signal });
  if (erasures.length === 0) return;
  const { schema, tables, largeObjects } = database;
  for (const { path } of [schema, ...tables.flatMap(({ parts }) => parts), ...largeObjects]) {
    const erasure = erasures.find((one) => one.covers(path.split("/")));
    if (erasure !== undefined) throw erasedBy(erasure, snapshot, path);
  }
}

function erasedBy(
  { at, by, reason, id }: Erasure,
  snapshot: Snapshot,
  path: string,
  cause?: unknown,
): AppError {
  return operationError("erased", {
    message: `${path}, erased from this snapshot on ${at.toISOString().slice(0, 10)} by ${by}: ${reason}`,
    subject: { snapshot: snapshot.id, record: id },
    cause,
  });
}
