import { counted } from "../../kernel/index.ts";
import type { Merging } from "./classify.ts";
import type { MergePart } from "./merge.ts";
import { firingTriggers } from "./refusals.ts";
import { LOCK_ATTEMPTS } from "./merge-execute.ts";
import { LOCK_WAIT_MS } from "./session.ts";
import type { PartialSession } from "./session.ts";
import { hasColumns, refText } from "./stage.ts";

/** What a plan says besides its counts. */

export function mergeNotes(
  session: PartialSession,
  tables: readonly Merging[],
  parts: readonly MergePart[],
): readonly string[] {
  return [
    ...tables.flatMap((table) => tableNotes(session, table)),
    ...parts.flatMap(({ table, extras }) =>
      extras === undefined || extras.rows === 0n || table.deleteExtra
        ? []
        : [`${refText(table)}: only in the target, and stay: ${counted(extras.rows, "row")}`],
    ),
  ];
}

function tableNotes(session: PartialSession, table: Merging): readonly string[] {
  const { target, manifest } = table;
  const name = refText(table);
  const known = new Set(manifest.columns.map((column) => column.name));
  const newer = target.columns.filter((column) => !known.has(column.name) && !column.generated);
  const unseen = target.uniques.filter((index) => !hasColumns(table, index.columns));
  const off = firingTriggers(session, target).map((trigger) => trigger.name);
  return [
    ...newer.map(
      (column) =>
        `${name}: column ${column.name} is newer than the snapshot: inserted rows get its default`,
    ),
    ...unseen.map(
      (index) =>
        `${name}: unique index ${index.name} reads columns that the snapshot has not; the server checks it when rows are written`,
    ),
    ...(off.length === 0
      ? []
      : [`${name}: triggers ${off.join(", ")} are switched off for the transaction`]),
    ...target.publications.map(
      (publication) => `${name}: whoever reads publication ${publication} is told of every change`,
    ),
    ...(manifest.condition !== undefined
      ? [`${name}: the snapshot holds the rows alone that its extension does not bring`]
      : []),
  ];
}

export function mergeSteps(
  { replica }: PartialSession,
  tables: readonly Merging[],
): readonly string[] {
  const names = tables.map(refText).join(", ");
  const deletes = tables.some(({ deleteExtra }) => deleteExtra);
  const waits = `${LOCK_ATTEMPTS} times ${LOCK_WAIT_MS / 1000} s`;
  return [
    `lock ${names} against writers, readers go on (waiting for others at most ${waits})`,
    "look again: what no longer stands as it did for this plan ends it",
    replica
      ? "no trigger fires, that of no foreign key either: session_replication_role = replica"
      : "the tables' own triggers are switched off; foreign keys are enforced as always",
    `${deletes ? "delete, update" : "update"} and insert by key, in one transaction`,
    "move sequences forward where restored numbers are larger, never back",
    "prove that each restored row stands, and that no foreign key from or to the tables has one orphan more",
    "commit, or nothing at all",
  ];
}
