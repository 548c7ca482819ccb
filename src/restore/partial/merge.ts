import { counted } from "../../kernel/index.ts";
import type { TableManifest } from "../../manifest/index.ts";
import { restoreError } from "../errors.ts";
import { classify, keyText, merging, readExtras, sampleRows } from "./classify.ts";
import type { Counts, Extras, Merging } from "./classify.ts";
import { dropUnused, pickChildren, pickParents } from "./closure.ts";
import type { Relations } from "./closure.ts";
import { keyConflicts, parentConflicts, rowConflicts, shapeConflicts } from "./conflicts.ts";
import { executeMerge } from "./merge-execute.ts";
import { mergeNotes, mergeSteps } from "./merge-text.ts";
import { refuseOtherEnd, refusePlatformRows, refuseTable } from "./refusals.ts";
import { pickChosen, requireAllFound } from "./select.ts";
import type { FoundKeys, KeyColumn } from "./select.ts";
import type { PartialSession } from "./session.ts";
import { keyOf, readTargetTable } from "./shape.ts";
import type { TargetTable } from "./shape.ts";
import { openWork, refKey, refText, stagedBytes, stageTable } from "./stage.ts";
import type { PartialWork, Staged } from "./stage.ts";
import type { MergeConflict, PartialOptions, PartialPlan, PlannedTable } from "./types.ts";

/** One table with all that was found out about it. */
export interface MergePart {
  readonly table: Merging;
  readonly counts: Counts;
  readonly extras: Extras | undefined;
}

/** Rows of the snapshot compared with those that stand, by key; what is to be done is a value, and done once. */
export async function planMerge(
  session: PartialSession,
  options: PartialOptions,
): Promise<PartialPlan> {
  const work = openWork(session, options);
  const conflicts: MergeConflict[] = [];
  await stageChosen(work, conflicts);
  const relations = targetRelations(work, conflicts);
  const childless = options.withChildren ? await pickChildren(work, relations) : [];
  const lacking = await pickParents(work, relations);
  const sizeBytes = stagedBytes(work);
  await dropUnused(work);
  const merged = mergingTables(work);
  conflicts.push(
    ...(await parentConflicts(
      work,
      lacking,
      (staged) => keyText(mergingOne(work, staged), "s"),
      true,
    )),
  );
  const parts = conflicts.some(isOfShape) ? [] : await compare(work, merged, conflicts);
  const tables: PlannedTable[] = [];
  for (const part of parts) tables.push(planned(part, await sampleRows(work, part.table)));
  let spent = false;
  return {
    database: session.database,
    targetIsSource: session.targetIsSource,
    tables,
    conflicts,
    notes: [...childless, ...mergeNotes(session, merged, parts)],
    steps: mergeSteps(session, merged),
    stagedBytes: sizeBytes,
    execute: async () => {
      if (spent) throw restoreError("plan_spent", { message: "merge plan executed before" });
      spent = true;
      const [first] = conflicts;
      if (first !== undefined) {
        throw restoreError("merge_conflicts", {
          message: `${counted(conflicts.length, "conflict")}, first in ${first.table}: ${first.message}`,
        });
      }
      return await executeMerge(work, parts);
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

const SHAPE: ReadonlySet<MergeConflict["code"]> = new Set([
  "column_missing",
  "column_added",
  "type_changed",
]);

function isOfShape({ code }: MergeConflict): boolean {
  return SHAPE.has(code);
}

async function stageChosen(work: PartialWork, conflicts: MergeConflict[]): Promise<void> {
  const { options, session } = work;
  await refusePlatformRows(
    session.connection,
    options.chosen.map(({ table }) => table),
  );
  // All that can be refused comes before the first row is read.
  const shapes = new Map<string, TargetTable>();
  for (const { table } of options.chosen) shapes.set(refKey(table), await fitTable(work, table));
  const found: FoundKeys = new Map();
  for (const chosen of options.chosen) {
    const target = shapes.get(refKey(chosen.table));
    if (target === undefined) continue;
    const shape = shapeConflicts(chosen.table, target);
    conflicts.push(...shape);
    if (shape.length > 0) continue;
    const table = await stageTable(work, chosen.table, { like: target });
    await pickChosen(work, table, chosen, keyColumns(target, chosen.table), found);
  }
  requireAllFound(found);
}

function keyColumns(
  target: TargetTable,
  manifest: TableManifest,
): readonly KeyColumn[] | undefined {
  return keyOf(target, manifest)?.parts.map(({ column, operator }) => ({
    column: column ?? "",
    operator,
  }));
}

async function fitTable(work: PartialWork, manifest: TableManifest): Promise<TargetTable> {
  const { session, options } = work;
  const target = await readTargetTable(session.connection, manifest);
  if (target === undefined) {
    throw restoreError("table_missing", {
      message: `no table ${refText(manifest)} in database ${JSON.stringify(session.database)}`,
    });
  }
  if (manifest.columns.length === 0 || keyOf(target, manifest) === undefined) {
    throw restoreError("no_key", {
      message: `table ${refText(manifest)} without a primary key or a unique index over NOT NULL columns`,
    });
  }
  refuseTable(session, target, options.form);
  for (const { parent } of target.outgoing) await refuseOtherEnd(session, parent, "hold");
  for (const { child } of target.incoming) await refuseOtherEnd(session, child, "read");
  return target;
}

function targetRelations(work: PartialWork, conflicts: MergeConflict[]): Relations {
  const unfit = new Set<string>();
  return {
    outgoing: (table) => table.target?.outgoing ?? [],
    incoming: (table) => table.target?.incoming ?? [],
    standing: true,
    add: async (manifest, because) => {
      if (unfit.has(refKey(manifest))) return undefined;
      await refusePlatformRows(work.session.connection, [manifest]);
      const target = await fitTable(work, manifest);
      const shape = shapeConflicts(manifest, target);
      if (shape.length === 0) return await stageTable(work, manifest, { like: target }, because);
      unfit.add(refKey(manifest));
      conflicts.push(...shape);
      return undefined;
    },
  };
}

function mergingTables(work: PartialWork): readonly Merging[] {
  return [...work.tables.values()].map((table) => mergingOne(work, table));
}

function mergingOne({ options }: PartialWork, table: Staged): Merging {
  const chosen = options.chosen.find((one) => refKey(one.table) === refKey(table));
  const { form } = options;
  return merging(table, {
    whole: chosen !== undefined && chosen.rows === undefined,
    deleteExtra: form.kind === "merge" && form.deleteExtra,
  });
}

async function compare(
  work: PartialWork,
  tables: readonly Merging[],
  conflicts: MergeConflict[],
): Promise<readonly MergePart[]> {
  const parts: MergePart[] = [];
  for (const [at, table] of tables.entries()) {
    const doubled = await keyConflicts(work, table);
    conflicts.push(...doubled);
    if (doubled.length > 0) continue;
    const counts = await classify(work, table);
    const extras = table.whole ? await readExtras(work, table) : undefined;
    conflicts.push(...(await rowConflicts(work, table)));
    parts.push({ table, counts, extras });
    work.options.onProgress?.({
      step: "compare",
      doneBytes: at + 1,
      totalBytes: tables.length,
      current: refText(table),
    });
  }
  return parts;
}

function planned(
  { table, counts, extras }: MergePart,
  samples: PlannedTable["samples"],
): PlannedTable {
  const { because } = table;
  return {
    table: refText(table),
    into: refText(table),
    ...(because === undefined ? {} : { because }),
    rows: counts.inserts + counts.updates + counts.unchanged,
    ...counts,
    ...(extras === undefined ? {} : { onlyInTarget: extras.rows }),
    deletes: table.deleteExtra ? (extras?.rows ?? 0n) : 0n,
    samples,
  };
}
