import { parseAcl } from "./acl-text.ts";
import { isOfCron } from "./cron.ts";
import type { AclItem } from "./acl-text.ts";
import type { DatabaseManifest, RoleManifest, TableManifest } from "./manifest.ts";
import { sqlName, sqlQualified, sqlText } from "./sql-text.ts";

/**
 * The SQL beside the data: psql scripts, pure text from the manifest. What is superuser's work is made of quoted names
 * and closed words alone; nothing here calls a function of the source.
 */

/** A role that this restore made: only such a role gets attributes, memberships and settings. */
const MARK = "sparekeep: being restored";

const SAFE_GROUPS = [
  "pg_read_all_data",
  "pg_write_all_data",
  "pg_read_all_settings",
  "pg_read_all_stats",
  "pg_stat_scan_tables",
  "pg_monitor",
  "pg_signal_backend",
  "pg_maintain",
  "pg_checkpoint",
  "pg_use_reserved_connections",
];
const NEVER_SET = [
  "local_preload_libraries",
  "session_preload_libraries",
  "dynamic_library_path",
  "role",
  "session_authorization",
];

/** Roles that the target lacks, without any attribute. Run again, it does nothing. */
export function renderRoles(database: DatabaseManifest): string {
  const lines = [
    "-- Roles of the source, bare. Passwords are never in a backup. role-attributes.sql comes last.",
  ];
  for (const role of database.roles) {
    const name = sqlName(role.name);
    const missing = `WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${sqlText(role.name)})`;
    const create = `CREATE ROLE ${name} NOLOGIN; COMMENT ON ROLE ${name} IS ${sqlText(MARK)}`;
    lines.push(`SELECT ${sqlText(create)} ${missing} \\gexec`);
    // Materialised views are filled with their owner's eyes. The attribute itself comes last, like all others.
    if (!role.bypassRls && !role.superuser) continue;
    const maySet = `EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER AND rolsuper)`;
    lines.push(
      `SELECT ${sqlText(`ALTER ROLE ${name} BYPASSRLS`)} WHERE ${madeHere(role)} AND ${maySet} \\gexec`,
    );
  }
  return `${lines.join("\n")}\n`;
}

/** Attributes, memberships and settings of the roles that `roles.sql` made, then the database's own. */
export function renderRoleAttributes(database: DatabaseManifest): string {
  const lines = [
    "-- Attributes, memberships and settings, when nothing of the source is built any more.",
  ];
  for (const role of database.roles) {
    const made = madeHere(role);
    const run = (sql: string, condition = ""): void => {
      lines.push(`SELECT ${sqlText(sql)} WHERE ${made}${condition} \\gexec`);
    };
    run(`ALTER ROLE ${sqlName(role.name)} WITH ${attributes(role)}`);
    for (const { role: group, adminOption } of role.memberOf) {
      if (group.startsWith("pg_") && !SAFE_GROUPS.includes(group)) continue;
      const option = adminOption ? " WITH ADMIN OPTION" : "";
      run(
        `GRANT ${sqlName(group)} TO ${sqlName(role.name)}${option}`,
        ` AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${sqlText(group)} AND rolsuper)`,
      );
    }
    for (const { database: where, setting } of role.settings) {
      if (where !== undefined && where !== database.server.databaseName) continue;
      const target = where === undefined ? "" : ' IN DATABASE :"DBNAME"';
      lines.push(...settingLines(`ALTER ROLE ${sqlName(role.name)}`, target, setting, made));
    }
    const comment = role.comment === undefined ? "NULL" : sqlText(role.comment);
    run(`COMMENT ON ROLE ${sqlName(role.name)} IS ${comment}`);
  }
  for (const setting of database.server.settings) {
    lines.push(...settingLines('ALTER DATABASE :"DBNAME"', "", setting, "true"));
  }
  return `${lines.join("\n")}\n`;
}

function madeHere(role: RoleManifest): string {
  return `EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${sqlText(role.name)} AND pg_catalog.shobj_description(oid, 'pg_authid') = ${sqlText(MARK)})`;
}

function attributes(role: RoleManifest): string {
  const flag = (on: boolean, word: string): string => (on ? word : `NO${word}`);
  const until = role.validUntil === undefined ? "" : ` VALID UNTIL ${sqlText(role.validUntil)}`;
  return [
    flag(role.inherit, "INHERIT"),
    flag(role.createRole, "CREATEROLE"),
    flag(role.createDb, "CREATEDB"),
    flag(role.canLogin, "LOGIN"),
    flag(role.bypassRls, "BYPASSRLS"),
    `CONNECTION LIMIT ${role.connectionLimit}${until}`,
  ].join(" ");
}

/** As a bare value: lists keep the catalog's own quoting by `set_config` being what reads them. */
function settingLines(head: string, where: string, setting: string, condition: string): string[] {
  const equals = setting.indexOf("=");
  const name = setting.slice(0, equals).toLowerCase();
  if (NEVER_SET.includes(name)) return [];
  const values = LISTS.includes(name)
    ? splitList(setting.slice(equals + 1)).map(sqlText)
    : [sqlText(setting.slice(equals + 1))];
  const quotedName = name.split(".").map(sqlName).join(".");
  const harmless = name.includes(".")
    ? "true"
    : `EXISTS (SELECT FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) = ${sqlText(name)} AND context = 'user')`;
  return [
    `SELECT ${condition} AND ${harmless} AS wanted \\gset`,
    "\\if :wanted",
    `${head}${where} SET ${quotedName} TO ${values.length === 0 ? "''" : values.join(", ")};`,
    "\\endif",
  ];
}

const LISTS = ["search_path", "temp_tablespaces"];

function splitList(text: string): readonly string[] {
  const elements: string[] = [];
  const element = /\s*(?:"((?:[^"]|"")*)"|([^,"]*))\s*(?:,|$)/y;
  while (element.lastIndex < text.length) {
    const match = element.exec(text);
    if (match === null) return [text];
    elements.push((match[1]?.replaceAll('""', '"') ?? match[2] ?? "").trim());
  }
  return elements;
}

export function renderSequences(database: DatabaseManifest): string {
  const lines = database.sequences
    .filter((one) => !isOfCron(database, one))
    .map(
      ({ schema, name, lastValue, isCalled }) =>
        `SELECT pg_catalog.setval(${sqlText(sqlQualified(schema, name))}::pg_catalog.regclass, ${sqlText(lastValue)}::pg_catalog.int8, ${isCalled});`,
    );
  return `-- Values of the sequences.\n${lines.join("\n")}\n`;
}

export function renderRefresh(database: DatabaseManifest): string {
  const lines = database.materializedViews
    .filter((view) => view.populated)
    .toSorted((a, b) => a.order - b.order)
    .map(({ schema, name }) => `REFRESH MATERIALIZED VIEW ${sqlQualified(schema, name)};`);
  return `-- Materialised views, in an order that their dependencies allow.\nSET row_security = on;\n${lines.join("\n")}\n`;
}

export function renderAnalyze(database: DatabaseManifest): string {
  const tables = database.tables.filter((table) => !isOfCron(database, table));
  const lines = [...tables, ...database.materializedViews].map(
    ({ schema, name }) => `ANALYZE ${sqlQualified(schema, name)};`,
  );
  return `-- Statistics for the planner.\n${lines.join("\n")}\n`;
}

/** One line a table: `same` or `DIFFERS` first. */
export function renderCounts(database: DatabaseManifest): string {
  const tables = database.tables.filter((table) => !isOfCron(database, table));
  const lines = tables.map((table) => {
    const label = sqlText(` ${table.schema}.${table.name}: `);
    return `SELECT CASE WHEN pg_catalog.count(*) = ${table.rows} THEN 'same' ELSE 'DIFFERS' END || ${label} || pg_catalog.count(*) || ' of ${table.rows} rows' FROM ONLY ${sqlQualified(table.schema, table.name)}${conditionOf(table)};`;
  });
  return `-- Rows of each table against the manifest.\n${lines.join("\n")}\n`;
}

export function conditionOf(table: TableManifest): string {
  return table.condition === undefined ? "" : ` ${table.condition}`;
}

/** Owners and rights of the large objects; their contents come from files. Each grant by who gave it. */
export function renderLargeObjects(database: DatabaseManifest): string {
  const lines: string[] = [];
  for (const { oid, owner, acl, comment } of database.largeObjects) {
    if (comment !== undefined) lines.push(`COMMENT ON LARGE OBJECT ${oid} IS ${sqlText(comment)};`);
    lines.push(`ALTER LARGE OBJECT ${oid} OWNER TO ${sqlName(owner)};`);
    for (const item of acl === undefined ? [] : parseAcl(acl)) {
      if (item.grantee === owner) continue;
      lines.push(`SET ROLE ${sqlName(item.grantor)};`);
      for (const { letter, grantable } of item.privileges) {
        const right = letter === "w" ? "UPDATE" : "SELECT";
        lines.push(`GRANT ${right} ON LARGE OBJECT ${oid} TO ${granteeOf(item, grantable)};`);
      }
      lines.push("RESET ROLE;");
    }
  }
  return `-- Owners and rights of the large objects.\n${lines.join("\n")}\n`;
}

function granteeOf(item: AclItem, grantable: boolean): string {
  const grantee = item.grantee === "" ? "PUBLIC" : sqlName(item.grantee);
  return `${grantee}${grantable ? " WITH GRANT OPTION" : ""}`;
}

const DATABASE_RIGHTS: Readonly<Record<string, string>> = {
  C: "CREATE",
  c: "CONNECT",
  T: "TEMPORARY",
};

/** What `pg_restore` brings only together with CREATE DATABASE. Comes after the database has its owner. */
export function renderDatabase({ server }: DatabaseManifest): string {
  const lines = ["-- The database's own rights, comment and limit."];
  const database = 'DATABASE :"DBNAME"';
  if (server.comment !== undefined) {
    lines.push(`COMMENT ON ${database} IS ${sqlText(server.comment)};`);
  }
  if (server.connectionLimit !== undefined) {
    lines.push(`ALTER ${database} CONNECTION LIMIT ${server.connectionLimit};`);
  }
  if (server.acl !== undefined) lines.push(`REVOKE ALL ON ${database} FROM PUBLIC;`);
  for (const item of server.acl === undefined ? [] : parseAcl(server.acl)) {
    if (item.grantee === server.owner) continue;
    for (const { letter, grantable } of item.privileges) {
      const right = DATABASE_RIGHTS[letter];
      if (right === undefined) continue;
      lines.push(`GRANT ${right} ON ${database} TO ${granteeOf(item, grantable)};`);
    }
  }
  return `${lines.join("\n")}\n`;
}
