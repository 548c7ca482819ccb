/*
 * effects
 *   reads         indexes, all snapshots, trees on the way to the paths
 *   writes        audit records; new trees, an index, new snapshots, the record of the erasure; with forget: removes the old
 *   locks         shared while it writes; exclusive while it removes
 *   leaves behind the data itself, until a prune
 *   exit codes    0; 3 an old snapshot stays; 1 no such path; 10 no repository; 11 locked; 12 wrong password; 20; 130
 */
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { executeRewrite, planRewrite } from "../repository/index.ts";
import type { RewriteResult, SnapshotWithPaths } from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { openDestination } from "./open.ts";
import { entryPath, pathText } from "./path-text.ts";
import { lockHooks, lockPresent, pointLocker } from "./point-lock.ts";
import { describeSnapshot } from "./snapshots.ts";
import type { SnapshotLine } from "./snapshots.ts";

export interface RewriteSnapshotsOptions {
  readonly policy: Policy;
  readonly destination?: string;
  /** Ids, their first digits, `latest`; or all of them. */
  readonly snapshots: readonly string[] | "all";
  /** As `ls` prints them. */
  readonly without: readonly string[];
  /** Goes into the record: a case number, no names. */
  readonly reason: string;
  readonly forget: boolean;
}

export interface RewriteLine {
  readonly snapshot: SnapshotLine;
  readonly paths: readonly {
    readonly path: string;
    readonly files: number;
    readonly sizeBytes: number;
  }[];
}

export interface RewritePreview {
  readonly destination: string;
  readonly rewrite: readonly RewriteLine[];
  readonly forget: boolean;
  readonly remains: ErasureRemains;
}

/** What stands between this and an erasure that is complete. */
export interface ErasureRemains {
  /** Snapshots here that were not named and hold it too. */
  readonly snapshots: readonly RewriteLine[];
  /** Destinations that may hold copies of these snapshots. */
  readonly copies: readonly string[];
  /** Packs that hold it until a prune; other files may share them. */
  readonly packs: number;
  /** Until then the store does not let all of them go; absent where none of them carries a lock. */
  readonly lockedUntil?: string;
}

export interface RewrittenPaths extends RewriteResult {
  readonly destination: string;
  readonly remains: ErasureRemains;
  /** Of a destination with a lock: the earliest end of what this run locked, as read back. */
  readonly lockedUntil?: string;
}

export interface PlannedRewrite {
  readonly preview: RewritePreview;
  execute(): Promise<RewrittenPaths>;
}

export async function planSnapshotRewrite(
  context: OperationContext,
  options: RewriteSnapshotsOptions,
): Promise<PlannedRewrite> {
  const { signal, hostname, actor, pid } = context;
  const { policy, reason, forget } = options;
  const destination = destinationNamed(policy, options.destination);
  // The paths are personal and the log is for ever: their number stands there, their keyed hashes in the record.
  const record = (step: string): Promise<void> =>
    recordAccess(context, policy, "rewrite", {
      step,
      destination: destination.name,
      snapshots: options.snapshots === "all" ? "all" : options.snapshots.join(" "),
      paths: String(options.without.length),
      reason,
      forget: String(forget),
    });
  await record("plan");
  const repository = await openDestination(context, destination);
  const named = new Set<string>();
  for (const reference of options.snapshots === "all" ? [] : options.snapshots) {
    named.add((await repository.resolveSnapshot(reference, { signal })).id);
  }
  const plan = await planRewrite(repository, {
    select: ({ id }) => options.snapshots === "all" || named.has(id),
    without: options.without.map(entryPath),
    signal,
  });
  const remains = {
    snapshots: plan.elsewhere.map(lineOf),
    copies: copiesOf(policy, destination.name),
    packs: plan.packs,
    ...(plan.lockedUntil === undefined ? {} : { lockedUntil: plan.lockedUntil.toISOString() }),
  };
  const rewrite = plan.rewrite.map(lineOf);
  return {
    preview: { destination: destination.name, rewrite, forget, remains },
    execute: async () => {
      await record("execute");
      const who = { hostname, username: actor, pid, signal };
      const locker = pointLocker(context, policy, destination, repository);
      const hooks = lockHooks(locker);
      const result = await executeRewrite(repository, plan, { ...who, reason, forget, ...hooks });
      const found = result.rewritten.map(({ to }) => to);
      const locked = await lockPresent(context, locker, repository, found);
      return { ...result, destination: destination.name, remains, ...locked };
    },
  };
}

function lineOf({ snapshot, matched }: SnapshotWithPaths): RewriteLine {
  return {
    snapshot: describeSnapshot(snapshot),
    paths: matched.map(({ path, files, sizeBytes }) => ({
      path: pathText(path.map((name) => Buffer.from(name))),
      files,
      sizeBytes,
    })),
  };
}

/** In both directions: what was copied from here, and what this was copied from. */
function copiesOf(policy: Policy, destination: string): readonly string[] {
  const from = policy.destinations[destination]?.copies ?? [];
  const to = Object.entries(policy.destinations)
    .filter(([, { copies }]) => copies?.includes(destination) === true)
    .map(([name]) => name);
  return [...new Set([...from, ...to])].sort();
}
