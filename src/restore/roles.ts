import type { RoleManifest } from "../manifest/index.ts";
import { parseSetting, reasonToWithholdSetting, setClause } from "./settings.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/index.ts";
import type { Withheld } from "./archive/sort.ts";

/**
 * What becomes of the source's roles at the target (R5). Pure: from the manifest and the target's own roles.
 *
 * A role that the target has stays as it is, attributes, memberships and settings included: it may belong to somebody
 * else. A role that it has not is created without any attribute, and gets them when nothing is built any more.
 */

export interface TargetRole {
  readonly name: string;
  /** SUPERUSER, or a way to become one or to reach files and programs of the server. */
  readonly powerful: boolean;
  /** CREATEROLE before version 16, or a way to it: can give itself the rights of `powerful`. */
  readonly creator: boolean;
  /** Made by an interrupted restore: ours to finish. */
  readonly unfinished: boolean;
}

export interface RolePlan {
  /** To be created now, bare. */
  readonly create: readonly RoleManifest[];
  /** To be given attributes, memberships and settings at the end: the created ones. */
  readonly finish: readonly RoleManifest[];
  readonly kept: readonly string[];
  /** Own objects of the source and are powerful at the target. */
  readonly collisions: readonly string[];
  readonly withheld: readonly Withheld[];
}

/** Predefined roles that reach nothing outside the database. */
export const SAFE_PREDEFINED_ROLES: ReadonlySet<string> = new Set([
  "pg_read_all_data",
  "pg_write_all_data",
  "pg_read_all_settings",
  "pg_read_all_stats",
  "pg_stat_scan_tables",
  "pg_monitor",
  "pg_signal_backend",
  "pg_signal_autovacuum_worker",
  "pg_maintain",
  "pg_checkpoint",
  "pg_use_reserved_connections",
]);

export function planRoles(input: {
  readonly source: readonly RoleManifest[];
  readonly target: ReadonlyMap<string, TargetRole>;
  readonly owners: ReadonlySet<string>;
  readonly trustSource: boolean;
  readonly bySuperuser: boolean;
}): RolePlan {
  const { source, target, owners } = input;
  const missing = source.filter((role) => !target.has(role.name));
  const unfinished = source.filter((role) => target.get(role.name)?.unfinished === true);
  const finish = [...missing, ...unfinished];
  const powerful = [...owners].filter((name) => target.get(name)?.powerful === true);
  return {
    create: missing,
    finish,
    kept: source
      .filter((role) => target.get(role.name)?.unfinished === false)
      .map((role) => role.name),
    collisions: input.trustSource ? [] : powerful,
    withheld: finish.flatMap((role) => withheldOf(role, target, input.bySuperuser)),
  };
}

function withheldOf(
  role: RoleManifest,
  target: ReadonlyMap<string, TargetRole>,
  bySuperuser: boolean,
): Withheld[] {
  const object = `ROLE ${role.name}`;
  const withheld: Withheld[] = [];
  if (role.superuser) withheld.push({ object, reason: "superuser at the source, ordinary here" });
  if (role.replication) withheld.push({ object, reason: "REPLICATION is not given back" });
  if (role.bypassRls && !bySuperuser) {
    withheld.push({ object, reason: "BYPASSRLS, which only a superuser may give" });
  }
  if (role.canLogin) withheld.push({ object, reason: "logs in, but has no password yet" });
  for (const membership of role.memberOf) {
    if (isSafeGroup(membership.role, target)) continue;
    withheld.push({
      object,
      reason: `membership in ${membership.role}, which reaches beyond the database`,
    });
  }
  return withheld;
}

function isSafeGroup(group: string, target: ReadonlyMap<string, TargetRole>): boolean {
  if (group.startsWith("pg_")) return SAFE_PREDEFINED_ROLES.has(group);
  const role = target.get(group);
  return role?.powerful !== true && role?.creator !== true;
}

/**
 * In one transaction with the mark that it is unfinished. Who saw all rows at the source sees them from the start:
 * materialised views are filled with their owner's eyes.
 */
export function createRoleStatements(
  role: RoleManifest,
  mark: string,
  bySuperuser: boolean,
): readonly string[] {
  const name = quoteIdentifier(role.name);
  const seesAll = bySuperuser && (role.bypassRls || role.superuser) ? "BYPASSRLS" : "NOBYPASSRLS";
  return [
    `CREATE ROLE ${name} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION ${seesAll}`,
    `COMMENT ON ROLE ${name} IS ${quoteLiteral(mark)}`,
  ];
}

export interface RoleFinish {
  readonly role: string;
  readonly statements: readonly string[];
  readonly withheld: readonly Withheld[];
}

/** Attributes, memberships, settings; the mark goes last, in the same transaction. */
export function finishRole(input: {
  readonly role: RoleManifest;
  readonly target: ReadonlyMap<string, TargetRole>;
  readonly contexts: ReadonlyMap<string, string>;
  readonly targetVersionNum: number;
  readonly bySuperuser: boolean;
  readonly sourceDatabase: string;
  readonly targetDatabase: string;
}): RoleFinish {
  const { role, target } = input;
  const name = quoteIdentifier(role.name);
  const memberships = role.memberOf
    .filter((membership) => isSafeGroup(membership.role, target))
    .map((membership) => grantRole(role.name, membership, input.targetVersionNum));
  const settings = settingStatements(input);
  const comment = role.comment === undefined ? "NULL" : quoteLiteral(role.comment);
  return {
    role: role.name,
    statements: [
      `ALTER ROLE ${name} WITH ${attributes(role, input.bySuperuser)}`,
      ...memberships,
      ...settings.statements,
      `COMMENT ON ROLE ${name} IS ${comment}`,
    ],
    withheld: settings.withheld,
  };
}

function attributes(role: RoleManifest, bySuperuser: boolean): string {
  const flag = (on: boolean, word: string): string => (on ? word : `NO${word}`);
  const parts = [
    flag(role.inherit, "INHERIT"),
    flag(role.createRole, "CREATEROLE"),
    flag(role.createDb, "CREATEDB"),
    flag(role.canLogin, "LOGIN"),
    ...(bySuperuser ? [flag(role.bypassRls, "BYPASSRLS")] : []),
    `CONNECTION LIMIT ${role.connectionLimit}`,
  ];
  if (role.validUntil !== undefined) parts.push(`VALID UNTIL ${quoteLiteral(role.validUntil)}`);
  return parts.join(" ");
}

function grantRole(
  member: string,
  membership: RoleManifest["memberOf"][number],
  targetVersionNum: number,
): string {
  const options = membership.adminOption ? ["ADMIN OPTION"] : [];
  if (targetVersionNum < 160_000) {
    return `GRANT ${quoteIdentifier(membership.role)} TO ${quoteIdentifier(member)}${options.length > 0 ? " WITH ADMIN OPTION" : ""}`;
  }
  const { inheritOption, setOption, adminOption } = membership;
  const with16 = [
    `ADMIN ${adminOption}`,
    ...(inheritOption === undefined ? [] : [`INHERIT ${inheritOption}`]),
    ...(setOption === undefined ? [] : [`SET ${setOption}`]),
  ];
  return `GRANT ${quoteIdentifier(membership.role)} TO ${quoteIdentifier(member)} WITH ${with16.join(", ")}`;
}

function settingStatements(input: Parameters<typeof finishRole>[0]): {
  statements: string[];
  withheld: Withheld[];
} {
  const statements: string[] = [];
  const withheld: Withheld[] = [];
  const name = quoteIdentifier(input.role.name);
  for (const { database, setting: text } of input.role.settings) {
    if (database !== undefined && database !== input.sourceDatabase) continue;
    const setting = parseSetting(text);
    const reason = reasonToWithholdSetting(setting, input.contexts);
    const inDatabase =
      database === undefined ? "" : ` IN DATABASE ${quoteIdentifier(input.targetDatabase)}`;
    if (reason === undefined)
      statements.push(`ALTER ROLE ${name}${inDatabase} ${setClause(setting)}`);
    else withheld.push({ object: `ROLE ${input.role.name} SET ${setting.name}`, reason });
  }
  return { statements, withheld };
}
