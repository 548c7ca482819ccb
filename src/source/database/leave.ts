/**
 * Tables whose rows a plan leaves to another one: what the names mean in this database, and what speaks against it. A
 * partitioned table means its partitions, a parent its children: no row of it is captured under another name. Pure.
 */
import type { DatabaseManifest } from "../../manifest/index.ts";
import { captureIssue, displayName } from "./issues.ts";
import { Descent } from "./limit.ts";
import type { ForeignKey } from "./limit.ts";
import type { Relation } from "./relations.ts";
import type { CaptureIssue, LeftToPlan } from "./types.ts";

export interface Left {
  /** Whose rows are not read. */
  readonly oids: ReadonlySet<number>;
  readonly leftTo: NonNullable<DatabaseManifest["leftTo"]>;
  readonly issues: readonly CaptureIssue[];
}

export function leaveTo(
  names: readonly LeftToPlan[] = [],
  relations: readonly Relation[],
  foreignKeys: readonly ForeignKey[] = [],
): Left {
  const tree = new Descent(relations);
  const issues: CaptureIssue[] = [];
  const oids = new Set<number>();
  const leftTo: Left["leftTo"][number][] = [];
  for (const { schema, name, plan } of names) {
    const shown = displayName({ schema, name });
    const relation = relations.find((one) => one.schema === schema && one.name === name);
    // Renamed, its rows would be captured here from now on.
    if (relation === undefined) {
      const message = `table ${shown}, which the plan leaves to plan ${plan}, does not exist`;
      issues.push(captureIssue("table_missing", shown, message));
      continue;
    }
    const below = tree.below(relation);
    for (const { oid } of below) oids.add(oid);
    const tables = below
      .filter(({ kind }) => kind === "table")
      .map((one) => ({ schema: one.schema, name: one.name }));
    leftTo.push({ schema, name, plan, tables });
  }
  for (const { from, to, schema, table, name } of foreignKeys) {
    if (!oids.has(to) || oids.has(from)) continue;
    const object = displayName({ schema, name: table });
    const message = `foreign key ${name} of ${object} refers to a table whose rows the plan leaves out`;
    issues.push(captureIssue("reference_left_out", object, message));
  }
  return { oids, leftTo, issues };
}

export function leftOutByPlan(
  { leftTo, oids }: Left,
  undescribed: readonly Relation[],
): DatabaseManifest["leftOut"] {
  const lost = new Set(undescribed.map(displayName));
  const rows = leftTo.map((table) => ({
    object: `the rows of ${displayName(table)}`,
    reason: `the plan leaves them to plan ${table.plan}${lost.has(displayName(table)) ? "" : "; a restore builds the table empty"}`,
  }));
  const definitions = undescribed
    .filter(({ oid }) => oids.has(oid))
    .map((relation) => ({
      object: displayName(relation),
      reason: "not even its definition: the backup role may not read it, or it stayed locked",
    }));
  return [...rows, ...definitions];
}
