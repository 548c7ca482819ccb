import { quoteIdentifier, quoteLiteral } from "../postgres/index.ts";
import { orIssue } from "./context.ts";
import type { Work } from "./context.ts";
import { dropMarker, inTransaction } from "./ledger.ts";
import { finishRole } from "./roles.ts";
import { parseSetting, reasonToWithholdSetting, setClause } from "./settings.ts";
import { restoreDatabaseGrants } from "./step-owners.ts";

/** What only becomes true when nothing of the source is built any more: roles' attributes, the database's own. */

export async function finishRoles(work: Work): Promise<void> {
  if (!work.target.superuser && work.roles.finish.length === 0) return;
  for (const role of work.roles.finish) {
    const { statements, withheld } = finishRole({
      role,
      target: work.target.roles,
      contexts: work.target.settingContexts,
      targetVersionNum: work.target.versionNum,
      bySuperuser: work.target.superuser,
      sourceDatabase: work.options.manifest.database.server.databaseName,
      targetDatabase: work.target.databaseName,
    });
    work.withheld.push(...withheld);
    await orIssue(work, { code: "role_failed", object: `ROLE ${role.name}` }, () =>
      inTransaction(work.admin, async () => {
        for (const statement of statements) await work.admin.query(statement);
      }),
    );
  }
}

/** An ordinary admin made itself a member of the roles that it created, to give objects to them. */
export async function leaveRoles(work: Work): Promise<void> {
  if (work.target.superuser) return;
  for (const role of work.roles.finish) {
    const statement = `REVOKE ${quoteIdentifier(role.name)} FROM ${quoteIdentifier(work.target.adminName)}`;
    await orIssue(work, { code: "role_failed", object: `ROLE ${role.name}` }, async () => {
      await work.admin.query(statement);
    });
  }
}

export async function finishDatabase(work: Work): Promise<void> {
  const { server } = work.options.manifest.database;
  const database = quoteIdentifier(work.target.databaseName);
  const object = `DATABASE ${work.target.databaseName}`;
  const statements = work.target.superuser
    ? [`ALTER DATABASE ${database} OWNER TO ${quoteIdentifier(databaseOwner(work))}`]
    : [];
  const there = await readDatabaseSettings(work);
  for (const text of server.settings) {
    // A platform sets some that its customers may not.
    if (there.has(text)) continue;
    const setting = parseSetting(text);
    const reason = reasonToWithholdSetting(setting, work.target.settingContexts);
    if (reason === undefined) statements.push(`ALTER DATABASE ${database} ${setClause(setting)}`);
    else work.withheld.push({ object: `${object} SET ${setting.name}`, reason });
  }
  if (server.comment !== undefined) {
    statements.push(`COMMENT ON DATABASE ${database} IS ${quoteLiteral(server.comment)}`);
  }
  if (server.connectionLimit !== undefined) {
    statements.push(`ALTER DATABASE ${database} CONNECTION LIMIT ${server.connectionLimit}`);
  }
  for (const statement of statements) {
    await orIssue(work, { code: "database_setting_failed", object }, async () => {
      await work.admin.query(statement);
    });
  }
  await restoreDatabaseGrants(work);
}

async function readDatabaseSettings(work: Work): Promise<ReadonlySet<string>> {
  const rows = await work.admin.query<{ setting: string }>(
    `SELECT unnest(s.setconfig) AS setting FROM pg_db_role_setting AS s
       JOIN pg_database AS d ON d.oid = s.setdatabase
      WHERE s.setrole = 0 AND d.datname = $1`,
    [work.target.databaseName],
  );
  return new Set(rows.map((row) => row.setting));
}

/** The source's owner where the target has that role, else the login itself. */
function databaseOwner(work: Work): string {
  const { owner } = work.options.manifest.database.server;
  const known =
    work.target.roles.has(owner) || work.roles.create.some((role) => role.name === owner);
  return known ? owner : work.target.adminName;
}

/** Extensions, which have no ALTER … OWNER, go to the database's owner; what else is left only to one without powers. */
export async function dropBuilder(work: Work, builderRole: string): Promise<void> {
  const { admin } = work;
  const builder = quoteIdentifier(builderRole);
  const owner = databaseOwner(work);
  await inTransaction(admin, async () => {
    await dropMarker(admin);
    const left = await admin.query<{ object: string }>(LEFT, [builder]);
    const keeps = left.length > 0 && (owner === work.target.adminName || isPowerful(work, owner));
    if (keeps) {
      await admin.query(`ALTER ROLE ${builder} NOLOGIN NOBYPASSRLS`);
    } else {
      await admin.query(`REASSIGN OWNED BY ${builder} TO ${quoteIdentifier(owner)}`);
      await admin.query(`DROP OWNED BY ${builder}`);
      await admin.query(`DROP ROLE ${builder}`);
    }
    for (const { object } of left) {
      work.issues.push({
        code: "owner_not_set",
        object,
        message: `belongs to ${keeps ? builderRole : owner}, since its own owner could not be found`,
      });
    }
  });
}

function isPowerful(work: Work, role: string): boolean {
  return work.target.roles.get(role)?.powerful === true;
}

const LEFT = `
SELECT pg_describe_object(d.classid, d.objid, 0) AS object
  FROM pg_shdepend AS d
 WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND d.refclassid = 'pg_authid'::regclass AND d.refobjid = to_regrole($1)::oid
   AND d.deptype = 'o' AND d.classid <> 'pg_extension'::regclass`;
