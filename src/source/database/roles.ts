/**
 * Roles, memberships and role settings under the snapshot. Never passwords: `pg_roles` does not show them, and
 * `pg_authid` is not asked.
 */
import type { RoleManifest } from "../../manifest/index.ts";
import type { Connection } from "../../postgres/index.ts";

interface RoleRow extends Record<string, unknown> {
  readonly name: string;
  readonly superuser: boolean;
  readonly inherit: boolean;
  readonly create_role: boolean;
  readonly create_db: boolean;
  readonly can_login: boolean;
  readonly replication: boolean;
  readonly bypass_rls: boolean;
  readonly connection_limit: number;
  readonly valid_until: string | null;
  readonly comment: string | null;
}

/** The server's own roles exist everywhere. */
const USER_ROLE = String.raw`r.rolname NOT LIKE 'pg\_%'`;

const ROLES = `
  SELECT r.rolname::text AS name, r.rolsuper AS superuser, r.rolinherit AS inherit,
         r.rolcreaterole AS create_role, r.rolcreatedb AS create_db, r.rolcanlogin AS can_login,
         r.rolreplication AS replication, r.rolbypassrls AS bypass_rls,
         r.rolconnlimit AS connection_limit, r.rolvaliduntil::text AS valid_until,
         shobj_description(r.oid, 'pg_authid') AS comment
    FROM pg_roles r WHERE ${USER_ROLE} ORDER BY r.rolname`;

interface MembershipRow extends Record<string, unknown> {
  readonly member: string;
  readonly role: string;
  readonly grantor: string;
  readonly admin_option: boolean;
  readonly inherit_option: boolean | null;
  readonly set_option: boolean | null;
}

/** Two options of a membership exist since 16. */
function membershipsQuery(versionNum: number): string {
  const options =
    versionNum >= 160_000
      ? "m.inherit_option, m.set_option"
      : "NULL::bool AS inherit_option, NULL::bool AS set_option";
  return `
    SELECT r.rolname::text AS member, pg_get_userbyid(m.roleid)::text AS role,
           pg_get_userbyid(m.grantor)::text AS grantor, m.admin_option, ${options}
      FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
     WHERE ${USER_ROLE}
     ORDER BY 1, 2, 3`;
}

interface SettingRow extends Record<string, unknown> {
  readonly role: string;
  readonly database: string | null;
  readonly settings: readonly string[];
}

const SETTINGS = `
  SELECT r.rolname::text AS role, d.datname::text AS database, s.setconfig AS settings
    FROM pg_db_role_setting s
    JOIN pg_roles r ON r.oid = s.setrole
    LEFT JOIN pg_database d ON d.oid = s.setdatabase
   WHERE ${USER_ROLE} AND (s.setdatabase = 0 OR d.datname = current_database())
   ORDER BY 1, 2 NULLS FIRST`;

export async function readRoles(session: Connection): Promise<readonly RoleManifest[]> {
  const roles = await session.query<RoleRow>(ROLES);
  const memberships = await session.query<MembershipRow>(membershipsQuery(session.versionNum));
  const settings = await session.query<SettingRow>(SETTINGS);
  return roles.map((role) =>
    roleManifest(
      role,
      memberships.filter((one) => one.member === role.name),
      settings.filter((one) => one.role === role.name),
    ),
  );
}

function roleManifest(
  role: RoleRow,
  memberships: readonly MembershipRow[],
  settings: readonly SettingRow[],
): RoleManifest {
  return {
    name: role.name,
    superuser: role.superuser,
    inherit: role.inherit,
    createRole: role.create_role,
    createDb: role.create_db,
    canLogin: role.can_login,
    replication: role.replication,
    bypassRls: role.bypass_rls,
    connectionLimit: role.connection_limit,
    ...(role.valid_until === null ? {} : { validUntil: role.valid_until }),
    memberOf: memberships.map((one) => ({
      role: one.role,
      adminOption: one.admin_option,
      ...(one.inherit_option === null ? {} : { inheritOption: one.inherit_option }),
      ...(one.set_option === null ? {} : { setOption: one.set_option }),
      grantor: one.grantor,
    })),
    settings: settings.flatMap((one) =>
      one.settings.map((setting) => ({
        ...(one.database === null ? {} : { database: one.database }),
        setting,
      })),
    ),
    ...(role.comment === null ? {} : { comment: role.comment }),
  };
}
