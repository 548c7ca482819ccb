import { z } from "zod";
import { quoted } from "./issues.ts";
import type { Places } from "./places.ts";
import type { PolicyProblem } from "./problem.ts";
import { parseTableName, tableNameText } from "./table-name.ts";
import type { TableName } from "./table-name.ts";

/**
 * `except: { audit_logs: audit-logs }`: a table whose rows a plan leaves to another one, which is checked to capture them:
 * nothing is left to nobody.
 */
export interface ExceptedTable extends TableName {
  /** The plan that captures its rows. */
  readonly plan: string;
}

const NAME = 'Write TABLE: PLAN, or "SCHEMA.TABLE": PLAN.';

export const exceptSchema = z.record(z.string(), z.string()).transform((value, context) => {
  const tables: ExceptedTable[] = [];
  for (const [text, plan] of Object.entries(value)) {
    const name = parseTableName(text);
    if (name === undefined) {
      const issue = {
        code: "custom",
        message: "no name of a table",
        params: { fix: NAME },
      } as const;
      context.issues.push({ ...issue, path: [text], input: text });
    } else tables.push({ ...name, plan });
  }
  return tables;
});

interface CapturingPlan {
  readonly source: string;
  readonly capture: string | { readonly tables: readonly TableName[] };
  readonly except?: readonly ExceptedTable[] | undefined;
}

export function exceptProblems(
  name: string,
  plans: Readonly<Record<string, CapturingPlan>>,
  places: Places,
): readonly PolicyProblem[] {
  const plan = Object.hasOwn(plans, name) ? plans[name] : undefined;
  if (plan?.except === undefined) return [];
  const path = ["plans", name, "except"];
  const label = path.join(".");
  if (plan.capture !== "everything" || plan.except.length === 0) {
    const message = `${label} of a plan that captures no whole database, or without a table`;
    return [{ ...places.ofKey(path), message, fix: "Remove it; or write capture: everything." }];
  }
  return plan.except.flatMap((table) => {
    const other = Object.hasOwn(plans, table.plan) ? plans[table.plan] : undefined;
    const captures =
      other?.source === plan.source &&
      typeof other.capture !== "string" &&
      other.capture.tables.some((one) => tableNameText(one) === tableNameText(table));
    if (captures) return [];
    const message = `${label}: plan ${quoted(table.plan)} does not capture ${tableNameText(table)} of source ${plan.source}`;
    const fix = `Name a plan of that source whose capture: { tables } names the table.`;
    return [{ ...places.ofKey(path), message, fix }];
  });
}
