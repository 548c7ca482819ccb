import type { RoleManifest } from "../manifest/index.ts";
import { quoteIdentifier } from "../postgres/index.ts";
import { orIssue } from "./context.ts";
import type { Work } from "./context.ts";
import { parseSetting, reasonToWithholdSetting, setClause } from "./settings.ts";

/**
 * Roles that every project has, and that a customer has changed: given a role of the customer's own (without it their API
 * keys for partners are strangers), or a setting that the platform leaves to customers.
 */
const CUSTOMERS_SETTINGS =
  /^(?:pgrst\.|pgaudit\.|(?:statement_timeout|track_io_timing|session_replication_role)$)/;

export async function restorePlatformRoles(work: Work): Promise<void> {
  const { platform } = work;
  if (platform === undefined) return;
  const own = new Set(work.roles.finish.map((role) => role.name));
  const { roles } = work.options.manifest.database;
  for (const role of roles.filter(
    ({ name }) => platform.isRole(name) || name === platform.customer,
  )) {
    for (const statement of [...memberships(role, own), ...settings(work, role)]) {
      const issue = { code: "role_failed", object: `ROLE ${role.name}` };
      await orIssue(work, { ...issue, hint: `Run: ${statement}.` }, async () => {
        await work.admin.query(statement);
      });
    }
  }
}

function memberships(role: RoleManifest, own: ReadonlySet<string>): readonly string[] {
  return role.memberOf
    .filter((membership) => own.has(membership.role))
    .map(({ role: group, adminOption }) => {
      const option = adminOption ? " WITH ADMIN OPTION" : "";
      return `GRANT ${quoteIdentifier(group)} TO ${quoteIdentifier(role.name)}${option}`;
    });
}

function settings(work: Work, role: RoleManifest): readonly string[] {
  const { target } = work;
  const { databaseName } = work.options.manifest.database.server;
  return role.settings.flatMap(({ database, setting: text }) => {
    const setting = parseSetting(text);
    if (!CUSTOMERS_SETTINGS.test(setting.name)) return [];
    if (database !== undefined && database !== databaseName) return [];
    if (reasonToWithholdSetting(setting, target.settingContexts) !== undefined) return [];
    const inDatabase =
      database === undefined ? "" : ` IN DATABASE ${quoteIdentifier(target.databaseName)}`;
    return `ALTER ROLE ${quoteIdentifier(role.name)}${inDatabase} ${setClause(setting)}`;
  });
}
