import { formatBytes, formatCount } from "../kernel/index.ts";
import { jobTableOf } from "../manifest/index.ts";
import type { DatabaseManifest } from "../manifest/index.ts";
import type { Findings } from "./context.ts";
import { isCron, isOwnJobTable } from "./cron/jobs.ts";
import { tableBytes } from "./step-tables.ts";

/** The plan, line by line, as it is shown before it is executed. */
export function planSteps(findings: Findings): readonly string[] {
  const { options, roles, archive, platform } = findings;
  const { database } = options.manifest;
  const tables = database.tables.filter(
    (table) =>
      typeof platform?.rowsOf(table.schema, table.name) !== "object" && !isCron(findings, table),
  );
  const rows = tables.reduce((sum, table) => sum + BigInt(table.rows), 0n);
  return [
    ...limitLines(options.manifest.database),
    targetLine(findings),
    builderLine(findings),
    ...(roles.create.length > 0
      ? [`create ${roles.create.length} roles: ${roles.create.map((role) => role.name).join(", ")}`]
      : []),
    ...(roles.kept.length > 0
      ? [`keep ${roles.kept.length} roles of the target as they are: ${roles.kept.join(", ")}`]
      : []),
    `build ${formatCount(archive.preData.length)} definitions (schemas, types, functions, tables, views)`,
    `load ${formatCount(rows)} rows of ${formatCount(tables.length)} tables, ${formatBytes(tableBytes(tables))}, on ${options.connections} connections`,
    ...(database.largeObjects.length > 0
      ? [`load ${formatCount(database.largeObjects.length)} large objects`]
      : []),
    `build ${formatCount(archive.postData.length)} definitions (indexes, constraints, triggers, policies)`,
    `set ${formatCount(database.sequences.length)} sequences, analyze the tables`,
    "read every table back, compare count and hash with the manifest",
    `give every object to its owner, grant ${formatCount(archive.grants.length)} rights`,
    ...(database.materializedViews.length > 0
      ? [`refresh ${formatCount(database.materializedViews.length)} materialised views`]
      : []),
    ...(database.catalog === undefined
      ? []
      : ["compare every definition, owner and right with the catalog as it was captured"]),
    ...vaultLines(options.manifest.database),
    ...jobLines(findings),
  ];
}

function vaultLines({ vault }: DatabaseManifest): readonly string[] {
  if (vault === undefined) return [];
  return [
    `make ${formatCount(vault.secrets.length)} secrets of Vault again, under new ids, and compare what they open to`,
  ];
}

function jobLines({ archive, options }: Findings): readonly string[] {
  if (isOwnJobTable(archive.preData)) return [];
  const { database } = options.manifest;
  const rows = BigInt(jobTableOf(database)?.rows ?? "0");
  return rows === 0n ? [] : [`schedule ${formatCount(rows)} jobs of pg_cron, switched off`];
}

function targetLine({ target, platform }: Findings): string {
  const name = JSON.stringify(target.databaseName);
  if (target.resumes) return `resume the interrupted restore into database ${name}`;
  if (!target.exists) return `create database ${name}`;
  return platform === undefined
    ? `take the empty database ${name}`
    : `take database ${name} of a new ${platform.name} project: what the platform made there stays as it is`;
}

function limitLines({ limitedTo, tables }: DatabaseManifest): readonly string[] {
  if (limitedTo === undefined) return [];
  const names = limitedTo.named.map(({ schema, name }) => `${schema}.${name}`).join(", ");
  return [
    `this point is no whole database: it holds the rows of ${formatCount(tables.length)} tables (${names}); all others are built empty`,
  ];
}

function builderLine({ target, options }: Findings): string {
  if (target.separateBuilder) return "build as a temporary role that is no superuser";
  if (options.trustSource && target.superuser) {
    return `build as superuser ${target.adminName}: functions of the source run with its rights (--trust-source)`;
  }
  return `build as ${target.adminName}`;
}
