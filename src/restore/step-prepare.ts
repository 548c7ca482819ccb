import type { AppError } from "../kernel/index.ts";
import type { ServerIdentity } from "../manifest/index.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import { rethrowFatal } from "./context.ts";
import type { Findings } from "./context.ts";
import { restoreError } from "./errors.ts";
import { markOf } from "./ledger.ts";
import { createRoleStatements } from "./roles.ts";
import type { RestoreIssue } from "./types.ts";

/** Cluster-level preparation by the admin, made of plain names and closed words. */

/** Gives the names of those that the admin could not create. */
export async function createRoles(
  server: Connection,
  findings: Findings,
  issues: RestoreIssue[],
): Promise<ReadonlySet<string>> {
  const { roles, target, options } = findings;
  const refused = new Set<string>();
  for (const role of roles.create) {
    const statements = createRoleStatements(role, markOf(options.snapshot.id), target.superuser);
    try {
      await server.query(`BEGIN;${statements.join(";")};COMMIT`);
      if (!target.superuser) {
        // Only a member may give objects to the role; taken back at the end.
        await server.query(
          `GRANT ${quoteIdentifier(role.name)} TO ${quoteIdentifier(target.adminName)}`,
        );
      }
    } catch (thrown) {
      const error = rethrowFatal(thrown);
      await server.query("ROLLBACK");
      refused.add(role.name);
      issues.push({
        code: "role_failed",
        object: `ROLE ${role.name}`,
        message: error.message,
        hint: "Create the role, or restore as a role that may.",
      });
    }
  }
  return refused;
}

/** Afterwards the database exists, is empty and belongs to who builds. */
export async function prepareDatabase(
  server: Connection,
  findings: Findings,
  builderRole: string | undefined,
  issues: RestoreIssue[],
): Promise<void> {
  const { target } = findings;
  const name = quoteIdentifier(target.databaseName);
  if (!target.exists) return await createDatabase(server, findings, builderRole, issues);
  if (builderRole !== undefined) {
    await server.query(`ALTER DATABASE ${name} OWNER TO ${quoteIdentifier(builderRole)}`);
  }
  compareLocale(findings, issues);
}

async function createDatabase(
  server: Connection,
  findings: Findings,
  builderRole: string | undefined,
  issues: RestoreIssue[],
): Promise<void> {
  const { target, options } = findings;
  if (!target.canCreateDatabase) {
    throw restoreError("target_refuses", {
      message: `role ${JSON.stringify(target.adminName)} without the right to create a database`,
      hint: "Create an empty database that belongs to it, and restore without --create.",
    });
  }
  const source = options.manifest.database.server;
  const owner = quoteIdentifier(builderRole ?? target.adminName);
  const head = `CREATE DATABASE ${quoteIdentifier(target.databaseName)} OWNER ${owner} TEMPLATE template0`;
  const encoding = ` ENCODING ${quoteLiteral(source.encoding)}`;
  try {
    await server.query(`${head}${encoding}${localeClause(source, target.versionNum)}`);
  } catch (thrown) {
    const error = rethrowFatal(thrown);
    if (!isLocaleRefusal(error)) throw error;
    await server.query(`${head}${encoding} LC_COLLATE 'C' LC_CTYPE 'C'`);
    issues.push({
      code: "locale_differs",
      object: `DATABASE ${target.databaseName}`,
      message: `sorts by C, since the target has no locale ${source.collate}: ${error.message}`,
      hint: `Install locale ${source.collate} on the target server and restore again.`,
    });
  }
}

function localeClause(source: ServerIdentity, versionNum: number): string {
  const libc = ` LC_COLLATE ${quoteLiteral(source.collate)} LC_CTYPE ${quoteLiteral(source.ctype)}`;
  if (versionNum < 150_000) return libc;
  if (source.localeProvider === "libc") return `${libc} LOCALE_PROVIDER libc`;
  const locale = quoteLiteral(source.icuLocale ?? source.collate);
  return source.localeProvider === "icu"
    ? `${libc} LOCALE_PROVIDER icu ICU_LOCALE ${locale}`
    : `${libc} LOCALE_PROVIDER builtin BUILTIN_LOCALE ${locale}`;
}

/** wrong_object_type and invalid_parameter_value: what CREATE DATABASE says of a locale that it does not know. */
function isLocaleRefusal(error: AppError): boolean {
  return ["42809", "22023", "0A000"].includes(String(error.subject["sqlstate"]));
}

function compareLocale(findings: Findings, issues: RestoreIssue[]): void {
  const { locale, databaseName } = findings.target;
  const source = findings.options.manifest.database.server;
  if (locale === undefined) return;
  const differs = (["encoding", "collate", "ctype"] as const).filter(
    (key) => locale[key] !== source[key],
  );
  for (const key of differs) {
    issues.push({
      code: "locale_differs",
      object: `DATABASE ${databaseName}`,
      message: `${key} ${locale[key]} where the source had ${source[key]}`,
      hint: "Let the restore create the database.",
    });
  }
}
