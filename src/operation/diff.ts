/*
 * effects
 *   reads         indexes, two snapshots and their trees; no data
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 1 no such snapshot or path; 10 no repository; 12 wrong password; 20 a tree is damaged
 */
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { diffSnapshots } from "../repository/index.ts";
import type { DiffChange, DiffTotals } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { openDestination } from "./open.ts";
import { entryPath, pathText } from "./path-text.ts";
import { describeSnapshot } from "./snapshots.ts";
import type { SnapshotLine } from "./snapshots.ts";

export interface DiffPointsOptions {
  readonly policy: Policy;
  readonly destination?: string;
  readonly before: string;
  readonly after: string;
  /** `/`-separated; everything when left out. */
  readonly path?: string;
  /** Also entries whose metadata alone differ. */
  readonly metadata: boolean;
}

export interface DiffLine {
  readonly modifier: DiffChange["modifier"];
  readonly path: string;
  readonly type: DiffChange["type"];
  readonly beforeBytes?: number;
  readonly afterBytes?: number;
}

export interface DiffResult {
  readonly before: SnapshotLine;
  readonly after: SnapshotLine;
  /** Read while they are walked: to be walked once, to the end. */
  readonly changes: AsyncIterable<DiffLine>;
  /** After that. */
  totals(): DiffTotals;
}

export async function diffPoints(
  context: OperationContext,
  options: DiffPointsOptions,
): Promise<DiffResult> {
  const { signal } = context;
  const destination = destinationNamed(options.policy, options.destination);
  await recordAccess(context, options.policy, "diff", {
    destination: destination.name,
    before: options.before,
    after: options.after,
    ...(options.path === undefined ? {} : { path: options.path }),
  });
  const repository = await openDestination(context, destination);
  const before = await repository.resolveSnapshot(options.before, { signal });
  const after = await repository.resolveSnapshot(options.after, { signal });
  const below = entryPath(options.path ?? "");
  const diff = await diffSnapshots(repository, before, after, { below, signal });
  return {
    before: describeSnapshot(before),
    after: describeSnapshot(after),
    changes: lines(diff.changes, options.metadata),
    totals: () => diff.totals(),
  };
}

async function* lines(
  changes: AsyncIterable<DiffChange>,
  metadata: boolean,
): AsyncIterable<DiffLine> {
  for await (const { path, ...change } of changes) {
    if (change.modifier === "U" && !metadata) continue;
    yield { ...change, path: pathText(path) };
  }
}
