import { quoteIdentifier, quoteLiteral, quoteQualified } from "../postgres/index.ts";
import type { TableManifest } from "../manifest/index.ts";
import type { Work } from "./context.ts";
import { isCron } from "./cron/jobs.ts";

/**
 * Which tables get rows. Configuration tables belong to their extension: without it there is no table, and with it the
 * builder may only add the rows that the user had put there.
 */
export async function selectTables(work: Work): Promise<readonly TableManifest[]> {
  const selected: TableManifest[] = [];
  for (const table of work.options.manifest.database.tables) {
    // Rows there would run: the jobs come back one by one, switched off.
    if (isCron(work, table)) continue;
    const rows = work.platform?.rowsOf(table.schema, table.name);
    if (typeof rows === "object") {
      const object = `TABLE ${table.schema}.${table.name}`;
      work.withheld.push({ object, reason: rows.reason });
    } else if (table.condition === undefined || (await openConfiguration(work, table))) {
      selected.push(table);
    } else {
      work.withheld.push({
        object: `TABLE ${table.schema}.${table.name}`,
        reason: "configuration of an extension that was left out",
      });
    }
  }
  return selected;
}

async function openConfiguration(work: Work, table: TableManifest): Promise<boolean> {
  const name = quoteQualified(table.schema, table.name);
  const [row] = await work.admin.query<{ found: boolean }>(
    `SELECT to_regclass(${quoteLiteral(name)}) IS NOT NULL AS found`,
  );
  if (row?.found !== true) return false;
  if (work.builderRole !== undefined) {
    const builder = quoteIdentifier(work.builderRole);
    // Goes with the builder (DROP OWNED).
    await work.admin.query(`GRANT SELECT, INSERT ON ${name} TO ${builder}`);
  }
  return true;
}
