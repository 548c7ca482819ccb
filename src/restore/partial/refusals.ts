import { platformNamed } from "../../manifest/index.ts";
import type { NamedTable, TableManifest } from "../../manifest/index.ts";
import { readPlatform } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { restoreError } from "../errors.ts";
import type { PartialSession } from "./session.ts";
import type { FiringTrigger, TargetTable } from "./shape.ts";
import { quoted, refText } from "./stage.ts";
import type { PartialForm } from "./types.ts";

/** What makes a table unfit to be merged into by this role, found before a row is read. */
export function refuseTable(session: PartialSession, target: TargetTable, form: PartialForm): void {
  const table = refText(target);
  if (target.rowsHidden) throw rowsHidden(table, session.role);
  const needed = ["select", "insert", "update"] as const;
  const deletes = form.kind === "merge" && form.deleteExtra;
  const missing = [...needed, ...(deletes ? (["delete"] as const) : [])].filter(
    (right) => !target.rights[right],
  );
  if (missing.length > 0) {
    throw restoreError("target_refuses", {
      message: `role ${JSON.stringify(session.role)} without ${missing.join(", ")} on ${table}`,
    });
  }
  if (target.unchecked.length > 0) {
    throw restoreError("object_refused", {
      message: `table ${table} with the deferrable exclusion constraint ${target.unchecked.join(", ")}, which cannot be proven`,
    });
  }
  const fixed = target.sequences.find(({ usable }) => !usable);
  if (fixed !== undefined) {
    throw restoreError("target_refuses", {
      message: `role ${JSON.stringify(session.role)} without select, update on sequence ${refText(fixed)}, which numbers ${table}`,
    });
  }
  refuseTriggers(session, target);
  if (deletes && !session.replica) {
    throw restoreError("triggers_fire", {
      message: `rows to be deleted from ${table} by a role whose deletes would cascade`,
    });
  }
}

function rowsHidden(table: string, role: string): Error {
  return restoreError("rows_hidden", {
    message: `table ${table}, of which row security shows role ${JSON.stringify(role)} a part only`,
  });
}

/** What would run because a row comes back. */
export function firingTriggers(
  { replica }: Pick<PartialSession, "replica">,
  target: TargetTable,
): readonly FiringTrigger[] {
  const fires = replica ? ["A", "R"] : ["A", "O"];
  return target.triggers.filter(({ enabled }) => fires.includes(enabled));
}

/** A table's owner can switch its triggers off for the one transaction. Rules only under a lock that stops readers. */
function refuseTriggers(session: PartialSession, target: TargetTable): void {
  const firing = firingTriggers(session, target);
  const refused = target.owned ? firing.filter(({ kind }) => kind === "rule") : firing;
  if (refused.length === 0) return;
  throw restoreError("triggers_fire", {
    message: `table ${refText(target)} with ${refused.map(({ kind, name }) => `${kind} ${name}`).join(", ")}, which would run for each row that comes back`,
  });
}

/** Records that a project keeps for itself, and what nobody can bring back as rows (docs/spec/platform.md). */
export async function refusePlatformRows(
  connection: Connection,
  tables: readonly TableManifest[],
): Promise<void> {
  const name = await readPlatform(connection);
  if (name === undefined) return;
  const platform = platformNamed(name);
  for (const { schema, name: table } of tables) {
    const decided = platform.rowsOf(schema, table);
    if (decided === undefined || decided === "restored") continue;
    throw restoreError("object_refused", {
      message: `table ${schema}.${table} of the platform: ${decided.reason}`,
      hint: "Restore it into a schema of its own with --into-schema, and look at it there.",
    });
  }
}

interface EndRow extends Record<string, unknown> {
  readonly readable: boolean;
  readonly hidden: boolean;
  readonly lockable: boolean;
}

/** The other end of a foreign key must be seen whole, or nothing can be proven; and parents are held until the end. */
export async function refuseOtherEnd(
  session: PartialSession,
  table: NamedTable,
  use: "read" | "hold",
): Promise<void> {
  const [row] = await session.connection.query<EndRow>(
    `SELECT has_table_privilege(c.oid, 'SELECT') AS readable, row_security_active(c.oid) AS hidden,
            has_any_column_privilege(c.oid, 'UPDATE') AS lockable
       FROM pg_class AS c WHERE c.oid = to_regclass($1)`,
    [quoted(table)],
  );
  if (row?.hidden === true) throw rowsHidden(refText(table), session.role);
  if (row?.readable === true && (use === "read" || row.lockable)) return;
  throw restoreError("target_refuses", {
    message: `role ${JSON.stringify(session.role)} without ${row?.readable === true ? "update" : "select"} on ${refText(table)}, to which or from which a foreign key leads`,
  });
}
