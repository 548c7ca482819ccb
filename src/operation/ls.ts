/*
 * effects
 *   reads         indexes, one snapshot and its trees
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 1 no such snapshot or path; 10 no repository; 12 wrong password; 20 a tree is damaged
 */
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import type { Entry } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { orErased } from "./erased.ts";
import { openDestination, recordedView } from "./open.ts";
import type { View } from "./open.ts";
import { entryPath, pathText } from "./path-text.ts";
import { describeSnapshot } from "./snapshots.ts";
import type { SnapshotLine } from "./snapshots.ts";

export interface LsOptions extends View {
  readonly policy: Policy;
  readonly destination?: string;
  readonly snapshot: string;
  /** `/`-separated; everything when left out. */
  readonly path?: string;
  readonly recursive: boolean;
}

export interface LsLine {
  readonly path: string;
  readonly type: Entry["type"];
  readonly sizeBytes: number;
  readonly modifiedAt: string;
  /** Permission bits, as `0600`. */
  readonly mode: string;
}

export interface LsResult {
  readonly snapshot: SnapshotLine;
  /** Read while it is walked: a large snapshot never lies in memory. */
  readonly entries: AsyncIterable<LsLine>;
}

export async function listEntries(
  context: OperationContext,
  options: LsOptions,
): Promise<LsResult> {
  const destination = destinationNamed(options.policy, options.destination);
  await recordAccess(context, options.policy, "ls", {
    destination: destination.name,
    snapshot: options.snapshot,
    ...(options.path === undefined ? {} : { path: options.path }),
    ...recordedView(options),
  });
  const { signal } = context;
  const repository = await openDestination(context, destination, options);
  const snapshot = await repository.resolveSnapshot(options.snapshot, { signal });
  const reader = await repository.acquireReader({ signal });
  const below = entryPath(options.path ?? "");
  if (below.length > 0) {
    const path = options.path ?? "";
    await orErased(repository, snapshot, path, signal, () =>
      reader.find(snapshot, below, { signal }),
    );
  }
  const entries = reader.entries(snapshot, {
    ...(below.length === 0 ? {} : { below }),
    recursive: options.recursive,
    signal,
  });
  return { snapshot: describeSnapshot(snapshot), entries: lines(entries) };
}

async function* lines(entries: AsyncIterable<Entry>): AsyncIterable<LsLine> {
  for await (const entry of entries) {
    yield {
      path: pathText(entry.path),
      type: entry.type,
      sizeBytes: entry.sizeBytes,
      modifiedAt: entry.modifiedAt.toISOString(),
      mode: (entry.mode & 0o7777).toString(8).padStart(4, "0"),
    };
  }
}
