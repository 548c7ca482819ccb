import type { DatabaseManifest, TableManifest } from "./manifest.ts";

const COLUMNS = ["jobid", "schedule", "command", "database", "username", "active"];
const OWN = ["job", "job_run_details", "jobid_seq", "runid_seq"];

/** pg_cron's table of jobs, told by its columns: somebody's own schema may be called `cron`, too. */
export function jobTableOf({
  tables,
}: Pick<DatabaseManifest, "tables">): TableManifest | undefined {
  const table = tables.find(({ schema, name }) => schema === "cron" && name === "job");
  const names = new Set(table?.columns.map(({ name }) => name));
  return COLUMNS.every((column) => names.has(column)) ? table : undefined;
}

/** Tables and sequences of pg_cron: their rows would run, or are the target's own; never copied into a target. */
export function isOfCron(
  database: Pick<DatabaseManifest, "tables">,
  { schema, name }: { readonly schema: string; readonly name: string },
): boolean {
  return schema === "cron" && OWN.includes(name) && jobTableOf(database) !== undefined;
}
