/*
 * effects
 *   reads         indexes, one snapshot, the blobs of its definitions and of the tables named or needed; the target
 *   writes        audit records; in the target temporary tables while it plans, then rows, or a schema of its own
 *   locks         none in the repository; the merged tables against writers, while it executes
 *   leaves behind nothing: one transaction, and staging that ends with its session
 *   exit codes    0; 3 conflicts with --dry-run, or rows without a parent that stood before; 1 conflicts, target not reachable; 2 target refused, plan stale; 10 no repository; 11 tables held by others; 12 wrong password; 20; 130
 */
import type { Secret } from "../kernel/index.ts";
import { destinationNamed, tableNameText } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { describeTarget, findClientTools, parseTarget } from "../postgres/index.ts";
import { planPartialRestore } from "../restore/index.ts";
import type {
  ChosenTable,
  PartialForm,
  PartialOptions,
  PartialPlan,
  PartialProgress,
  PartialResult,
} from "../restore/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext, Progress } from "./context.ts";
import { orErased } from "./erased.ts";
import { openPoint, requireRows } from "./open-point.ts";
import type { OpenPoint } from "./open-point.ts";
import { recordedView } from "./open.ts";
import type { View } from "./open.ts";
import { chooseRows, readRowNames } from "./rows/choose.ts";
import type { NamedRows } from "./rows/choose.ts";
import { describeSnapshot } from "./snapshots.ts";
import type { SnapshotLine } from "./snapshots.ts";
import { usedConnection } from "./used-connection.ts";
import type { UsedConnection } from "./used-connection.ts";

export interface RestoreRowsOptions extends View, NamedRows {
  readonly policy: Policy;
  readonly destination?: string;
  readonly snapshot: string;
  /** Connection string of a database that lives; the source's own is allowed. */
  readonly target: Secret;
  readonly form: PartialForm;
  readonly withChildren: boolean;
  readonly trustSource: boolean;
  readonly onProgress?: OnProgress;
}

export interface RowsPreview extends Omit<PartialPlan, "execute" | typeof Symbol.asyncDispose> {
  readonly snapshot: SnapshotLine;
  readonly form: PartialForm;
  /** `host:port/database`. */
  readonly target: string;
}

export interface RestoredRows extends PartialResult, UsedConnection {
  readonly snapshot: string;
  readonly target: string;
}

/** Destructive work in two steps (I7): what is shown is what is executed, once, on the session that planned it. */
export interface PlannedRowsRestore extends AsyncDisposable {
  readonly preview: RowsPreview;
  execute(): Promise<RestoredRows>;
}

export async function planRowsRestore(
  context: OperationContext,
  options: RestoreRowsOptions,
): Promise<PlannedRowsRestore> {
  const names = readRowNames(options);
  const destination = destinationNamed(options.policy, options.destination);
  const target = describeTarget(parseTarget(options.target));
  const record = (step: string, snapshot: string): Promise<void> =>
    recordAccess(context, options.policy, "restore", {
      step,
      destination: destination.name,
      snapshot,
      target,
      tables: names.map(tableNameText).join(", "),
      // How many, not which: values may be personal, and the log is kept for ever.
      narrowedBy: String(options.keys.length + options.conditions.length),
      ...recordedForm(options.form),
      ...recordedView(options),
    });
  await record("plan", options.snapshot);
  const point = await openPoint(context, destination, options);
  requireRows(point);
  const { repository, snapshot, manifest } = point;
  const chosen = chooseRows(manifest, names, options);
  const plan = await planPartialRestore(partialOptions(context, options, { ...point, chosen }));
  const { database, targetIsSource, tables, conflicts, notes, steps, stagedBytes } = plan;
  return {
    preview: {
      snapshot: describeSnapshot(snapshot),
      form: options.form,
      target,
      database,
      targetIsSource,
      tables,
      conflicts,
      notes,
      steps,
      stagedBytes,
    },
    execute: async () => {
      await record("execute", snapshot.id);
      const result = await plan.execute();
      return { ...result, snapshot: snapshot.id, target, ...usedConnection(repository) };
    },
    [Symbol.asyncDispose]: () => plan[Symbol.asyncDispose](),
  };
}

function recordedForm(form: PartialForm): Readonly<Record<string, string>> {
  if (form.kind === "schema") return { intoSchema: form.schema };
  return { merge: form.deleteExtra ? "insert, update, delete" : "insert, update" };
}

interface Opened extends OpenPoint {
  readonly chosen: readonly ChosenTable[];
}

function partialOptions(
  { signal, toolDirectories }: OperationContext,
  options: RestoreRowsOptions,
  { repository, snapshot, reader, manifest, chosen }: Opened,
): PartialOptions {
  const { onProgress } = options;
  const { versionNum } = manifest.database.server;
  return {
    reader: {
      find: (at, path, wait) =>
        orErased(repository, at, path.map(String).join("/"), signal, () =>
          reader.find(at, path, wait),
        ),
      read: (entry, wait) => reader.read(entry, wait),
    },
    snapshot,
    manifest,
    targetUrl: options.target,
    tools: () => findClientTools(toolDirectories, versionNum, { signal }),
    chosen,
    withChildren: options.withChildren,
    form: options.form,
    trustSource: options.trustSource,
    signal,
    ...(onProgress === undefined ? {} : { onProgress: (progress) => onProgress(shown(progress)) }),
  };
}

/** Bytes are measured, tables are counted. */
function shown({ step, doneBytes, totalBytes, current }: PartialProgress): Progress {
  const named = current === undefined ? { step } : { step, current };
  if (step === "stage") return { ...named, doneBytes, totalBytes };
  return { ...named, doneBytes: 0, totalBytes: 0, objects: { done: doneBytes, total: totalBytes } };
}
