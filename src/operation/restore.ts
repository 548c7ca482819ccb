/*
 * effects
 *   reads         indexes, one snapshot, the blobs of its database, or of the tables named and needed; the target
 *   writes        audit records; the target database, and roles of its server; with --table temporary tables, then rows of a database that lives, or a schema in it
 *   locks         none in the repository; with --merge the tables against writers, while it executes
 *   leaves behind interrupted: the schema sparekeep_restore in the target, from which the same command goes on; with --table nothing
 *   exit codes    0; 3 incomplete, or conflicts with --dry-run; 1 target not reachable, or conflicts; 2 target refused, plan stale or not confirmed; 10 no repository; 11 tables held by others; 12 wrong password; 20; 130
 */
import type { Secret } from "../kernel/index.ts";
import type { Manifest } from "../manifest/index.ts";
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { describeTarget, findClientTools, parseTarget } from "../postgres/index.ts";
import { planRestore } from "../restore/index.ts";
import type { RestoreProgress, RestoreResult } from "../restore/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext, Progress } from "./context.ts";
import { requireNoneErased } from "./erased.ts";
import { openPoint, requireRows } from "./open-point.ts";
import { recordedView } from "./open.ts";
import type { View } from "./open.ts";
import { describeSnapshot } from "./snapshots.ts";
import type { SnapshotLine } from "./snapshots.ts";
import { usedConnection } from "./used-connection.ts";
import type { UsedConnection } from "./used-connection.ts";

export interface RestoreDatabaseOptions extends View {
  readonly policy: Policy;
  readonly destination?: string;
  readonly snapshot: string;
  /** Connection string of the database to restore into. */
  readonly target: Secret;
  readonly create: boolean;
  readonly trustSource: boolean;
  readonly connections?: number;
  readonly onProgress?: OnProgress;
}

export interface RestorePreview {
  readonly snapshot: SnapshotLine;
  /** `host:port/database`. */
  readonly target: string;
  /** What is typed to confirm. */
  readonly database: string;
  readonly steps: readonly string[];
  readonly withheld: readonly { readonly object: string; readonly reason: string }[];
  readonly resumes: boolean;
}

export interface RestoredDatabase extends RestoreResult, UsedConnection {
  readonly snapshot: string;
  readonly target: string;
}

/** Destructive work in two steps (I7): what is shown is what is executed, once. */
export interface PlannedRestore {
  readonly preview: RestorePreview;
  readonly manifest: Manifest;
  execute(): Promise<RestoredDatabase>;
}

const CONNECTIONS = 2;

export async function planDatabaseRestore(
  context: OperationContext,
  options: RestoreDatabaseOptions,
): Promise<PlannedRestore> {
  const { signal, clock, log } = context;
  const destination = destinationNamed(options.policy, options.destination);
  const connection = parseTarget(options.target);
  const target = describeTarget(connection);
  const record = (step: string, snapshot: string): Promise<void> =>
    recordAccess(context, options.policy, "restore", {
      step,
      destination: destination.name,
      snapshot,
      target,
      ...recordedView(options),
    });
  await record("plan", options.snapshot);
  const point = await openPoint(context, destination, options);
  requireRows(point);
  const { repository, snapshot, reader, manifest } = point;
  await requireNoneErased(repository, snapshot, manifest, signal);
  const { versionNum } = manifest.database.server;
  const { onProgress } = options;
  const plan = await planRestore({
    reader,
    snapshot,
    manifest,
    targetUrl: options.target,
    create: options.create,
    tools: await findClientTools(context.toolDirectories, versionNum, { signal }),
    connections: options.connections ?? CONNECTIONS,
    trustSource: options.trustSource,
    clock,
    random: context.random,
    log,
    signal,
    ...(onProgress === undefined ? {} : { onProgress: (progress) => onProgress(shown(progress)) }),
  });
  const { steps, withheld, resumes } = plan;
  const { database } = connection;
  return {
    preview: { snapshot: describeSnapshot(snapshot), target, database, steps, withheld, resumes },
    manifest,
    execute: async () => {
      await record("execute", snapshot.id);
      const result = await plan.execute();
      return { ...result, snapshot: snapshot.id, target, ...usedConnection(repository) };
    },
  };
}

/** Definitions and indexes are counted, the rest is measured. */
function shown({ step, doneBytes, totalBytes, current }: RestoreProgress): Progress {
  const named = current === undefined ? { step } : { step, current };
  if (step === "tables" || step === "verify") return { ...named, doneBytes, totalBytes };
  const objects = { done: doneBytes, total: totalBytes };
  return { ...named, doneBytes: 0, totalBytes: 0, ...(totalBytes === 0 ? {} : { objects }) };
}
