/*
 * effects
 *   reads         indexes, one snapshot, the blobs of its schema; catalogs of the target
 *   writes        audit records, one before each item; at the target what was chosen, and for as long a temporary role
 *   locks         none in the repository; at the target one advisory lock for as long as it writes
 *   leaves behind interrupted: the role sparekeep_release_* at the target, which the next release there removes
 *   exit codes    0; 3 something chosen was not released; 1 target not reachable; 2 item unknown or not possible; 10; 12; 20; 130
 */
import type { Secret } from "../kernel/index.ts";
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { describeTarget, findClientTools, parseTarget } from "../postgres/index.ts";
import { planRelease } from "../restore/index.ts";
import type { ItemKind, ListedItem, ReleaseResult } from "../restore/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { openPoint } from "./open-point.ts";
import { recordedView } from "./open.ts";
import type { View } from "./open.ts";
import { describeSnapshot } from "./snapshots.ts";
import type { SnapshotLine } from "./snapshots.ts";
import { usedConnection } from "./used-connection.ts";
import type { UsedConnection } from "./used-connection.ts";

export type { ItemKind, ListedItem } from "../restore/index.ts";

export interface ReleaseItemsOptions extends View {
  readonly policy: Policy;
  readonly destination?: string;
  /** The one that was restored: its archive says what was left out. */
  readonly snapshot: string;
  readonly target: Secret;
  readonly items: readonly string[];
  readonly kinds: readonly ItemKind[];
}

export interface ReleasePreview {
  readonly snapshot: SnapshotLine;
  /** `host:port/database`. */
  readonly target: string;
  /** What is typed to confirm. */
  readonly database: string;
  readonly items: readonly ListedItem[];
  readonly chosen: readonly ListedItem[];
  readonly refused: readonly ListedItem[];
}

export interface ReleasedItems extends ReleaseResult, UsedConnection {
  readonly snapshot: string;
  readonly target: string;
}

export interface PlannedRelease {
  readonly preview: ReleasePreview;
  execute(): Promise<ReleasedItems>;
}

export async function planItemRelease(
  context: OperationContext,
  options: ReleaseItemsOptions,
): Promise<PlannedRelease> {
  const { signal } = context;
  const destination = destinationNamed(options.policy, options.destination);
  const connection = parseTarget(options.target);
  const target = describeTarget(connection);
  const record = (step: string, snapshot: string, item?: string): Promise<void> =>
    recordAccess(context, options.policy, "release", {
      step,
      destination: destination.name,
      snapshot,
      target,
      ...(item === undefined ? {} : { item }),
      ...recordedView(options),
    });
  await record("plan", options.snapshot);
  const point = await openPoint(context, destination, options);
  const { repository, snapshot, reader, manifest } = point;
  const { versionNum } = manifest.database.server;
  const plan = await planRelease({
    reader,
    snapshot,
    manifest,
    targetUrl: options.target,
    tools: await findClientTools(context.toolDirectories, versionNum, { signal }),
    random: context.random,
    signal,
    chosen: { items: options.items, kinds: options.kinds },
    onItem: (item) => record("execute", snapshot.id, item),
  });
  const { items, chosen, refused } = plan;
  const { database } = connection;
  return {
    preview: { snapshot: describeSnapshot(snapshot), target, database, items, chosen, refused },
    execute: async () => {
      const result = await plan.execute();
      return { ...result, snapshot: snapshot.id, target, ...usedConnection(repository) };
    },
  };
}
