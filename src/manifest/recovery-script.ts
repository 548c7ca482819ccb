import { isOfCron, jobTableOf } from "./cron.ts";
import type { DatabaseManifest, Manifest, TableManifest } from "./manifest.ts";
import { partPath } from "./part-path.ts";
import { REACHING_EXTENSIONS } from "./reaching.ts";
import type { RecoveryOptions } from "./recovery.ts";
import { SCRIPT_BODY } from "./recovery-script-body.ts";
import { plainLine, shellWord, sqlName, sqlQualified, sqlText } from "./sql-text.ts";

/** restore.sh: a fixed body, and lines of this snapshot whose every word is quoted. */
export function renderScript(manifest: Manifest, options: RecoveryOptions): string {
  const { database } = manifest;
  const tables = database.tables.flatMap((table) =>
    isOfCron(database, table) ? [] : loadLines(table, options),
  );
  const objects = database.largeObjects.map(({ oid }) => `large_object ${oid}`);
  const jobs = jobTableOf(database)?.rows ?? "0";
  const roles = database.roles.map((role) => sqlText(role.name)).join(", ");
  return SCRIPT_BODY.replace("@SOURCE_VERSION@", () => String(database.server.versionNum))
    .replace("@ARCHIVE@", () => shellWord(database.schema.path))
    .replace("@SYSTEM@", () => shellWord(database.server.systemIdentifier ?? ""))
    .replace("@DATABASE_OID@", () => String(database.server.databaseOid))
    .replace("@DATABASE@", () => shellWord(database.server.databaseName))
    .replace("@OWNER@", () => shellWord(sqlName(database.server.owner)))
    .replace("@OWNER_TEXT@", () => shellWord(sqlText(database.server.owner)))
    .replace("@ROLES@", () => shellWord(roles === "" ? "''" : roles))
    .replace("@ROWS_ENCODING@", () =>
      database.server.encoding === "SQL_ASCII" ? "SQL_ASCII" : "UTF8",
    )
    .replace("@LIMITED@", () => (database.limitedTo === undefined ? "0" : "1"))
    .replaceAll("@REACHING@", () => REACHING_EXTENSIONS.join("|"))
    .replace("@ELSEWHERE@", () => shellWord(elsewhere(database)))
    .replace("@LOAD@", () =>
      ["  :", ...tables, ...objects, ...(jobs === "0" ? [] : [`jobs ${jobs}`])].join("\n  "),
    );
}

/** `public.audit_logs (plan audit-logs)`; empty where the point is whole. */
function elsewhere({ leftTo = [] }: DatabaseManifest): string {
  return leftTo
    .map(({ schema, name, plan }) => plainLine(`${schema}.${name} (plan ${plan})`))
    .join(", ");
}

function loadLines(table: TableManifest, options: RecoveryOptions): string[] {
  const columns = table.columns.map((column) => sqlName(column.name)).join(", ");
  const list = columns === "" ? "" : ` (${columns})`;
  const format = table.format === "binary" ? " WITH (FORMAT binary)" : "";
  const sql = `COPY ${sqlQualified(table.schema, table.name)}${list} FROM STDIN${format}`;
  const lines = table.parts.map((part) => {
    const names = partPath(table, part).map((name) => shellWord(options.storedName(name)));
    return `load ${shellWord(sql)} ${names.join(" ")}`;
  });
  if (table.condition === undefined || lines.length === 0) return lines;
  return [`configuration ${shellWord(sqlQualified(table.schema, table.name))}`, ...lines];
}
