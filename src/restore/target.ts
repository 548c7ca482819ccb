import { AppError } from "../kernel/index.ts";
import { platformNamed } from "../manifest/index.ts";
import type { DatabaseManifest } from "../manifest/index.ts";
import { parseTarget, readPlatform, withDatabase } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import { openAdmin } from "./context.ts";
import { restoreError } from "./errors.ts";
import { furnishedContents } from "./furnished-contents.ts";
import { MARK, MARKER_SCHEMA, markOf } from "./ledger.ts";
import { SAFE_PREDEFINED_ROLES } from "./roles.ts";
import type { TargetRole } from "./roles.ts";
import type { RestoreOptions } from "./types.ts";

/** What the target is, read and never written: server, login, database, roles (R1, R2). */

export interface TargetFacts {
  readonly databaseName: string;
  readonly exists: boolean;
  readonly versionNum: number;
  readonly adminName: string;
  readonly superuser: boolean;
  readonly canCreateDatabase: boolean;
  readonly roles: ReadonlyMap<string, TargetRole>;
  /** `pg_settings.context` by name. */
  readonly settingContexts: ReadonlyMap<string, string>;
  readonly resumes: boolean;
  /** Left by an interrupted restore of this snapshot. */
  readonly builderRole: string | undefined;
  /** Nothing of the source runs with more rights than a role of its own: the admin is a superuser and stays out. */
  readonly separateBuilder: boolean;
  /** Of an existing database. */
  readonly locale:
    | { readonly encoding: string; readonly collate: string; readonly ctype: string }
    | undefined;
  readonly extensions: ReadonlyMap<string, { readonly trusted: boolean }>;
}

export async function inspectTarget(options: RestoreOptions): Promise<TargetFacts> {
  const { database: databaseName } = parseTarget(options.targetUrl);
  await using server = await openMaintenance(options);
  const snapshot = options.snapshot.id;
  const login = await readLogin(server);
  const found = await readDatabase(server, databaseName);
  refuseSource(options, databaseName, await readSystemIdentifier(server), found?.oid);
  refuseOlder(server.versionNum, options.manifest.database);
  const builderRole = await findBuilder(server, snapshot);
  const inside = found === undefined ? undefined : await inspectInside(options, snapshot);
  const ours = found !== undefined && builderRole !== undefined && found.owner === builderRole;
  const resumes = inside?.resumes === true || (ours && inside?.contents.length === 0);
  if (options.create && found !== undefined && !resumes) {
    throw restoreError("target_exists", {
      message: `database ${JSON.stringify(databaseName)} exists at the target`,
    });
  }
  if (!options.create && found === undefined) {
    throw restoreError("target_missing", {
      message: `no database ${JSON.stringify(databaseName)} at the target`,
    });
  }
  if (inside !== undefined && !resumes) refuseContents(databaseName, inside.contents);
  return {
    databaseName,
    exists: found !== undefined,
    versionNum: server.versionNum,
    ...login,
    roles: await readRoles(server),
    settingContexts: await readContexts(server),
    resumes,
    builderRole,
    separateBuilder: login.superuser && !options.trustSource,
    locale: found?.locale,
    extensions: await readExtensions(server),
  };
}

/** The database restored into may not exist yet, or must not be touched before it is identified. */
export async function openMaintenance(
  options: Pick<RestoreOptions, "targetUrl" | "signal">,
): Promise<Connection> {
  try {
    return await openAdmin(withDatabase(options.targetUrl, "postgres"), options.signal);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "postgres.database_not_found") throw error;
    return await openAdmin(withDatabase(options.targetUrl, "template1"), options.signal);
  }
}

export async function readLogin(
  server: Connection,
): Promise<Pick<TargetFacts, "adminName" | "superuser" | "canCreateDatabase">> {
  const [row] = await server.query<{ name: string; superuser: boolean; createdb: boolean }>(
    `SELECT rolname AS name, rolsuper AS superuser, rolcreatedb AS createdb
       FROM pg_catalog.pg_roles WHERE rolname = current_user`,
  );
  if (row === undefined) {
    throw restoreError("target_refuses", { message: "login without a role of its own" });
  }
  return {
    adminName: row.name,
    superuser: row.superuser,
    canCreateDatabase: row.superuser || row.createdb,
  };
}

export async function readSystemIdentifier(server: Connection): Promise<string | undefined> {
  const [right] = await server.query<{ may: boolean }>(
    "SELECT has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS may",
  );
  if (right?.may !== true) return undefined;
  const [row] = await server.query<{ id: string }>(
    "SELECT system_identifier::text AS id FROM pg_catalog.pg_control_system()",
  );
  return row?.id;
}

interface FoundDatabase {
  readonly oid: number;
  readonly owner: string;
  readonly locale: NonNullable<TargetFacts["locale"]>;
}

export async function readDatabase(
  server: Connection,
  name: string,
): Promise<FoundDatabase | undefined> {
  const [row] = await server.query<{
    oid: string;
    owner: string;
    encoding: string;
    collate: string;
    ctype: string;
  }>(
    `SELECT d.oid::text AS oid, r.rolname AS owner, pg_encoding_to_char(d.encoding) AS encoding,
            d.datcollate AS collate, d.datctype AS ctype
       FROM pg_catalog.pg_database AS d JOIN pg_catalog.pg_roles AS r ON r.oid = d.datdba
      WHERE d.datname = $1`,
    [name],
  );
  if (row === undefined) return undefined;
  const { encoding, collate, ctype } = row;
  return { oid: Number(row.oid), owner: row.owner, locale: { encoding, collate, ctype } };
}

/** R1. A database that does not exist cannot be the source; where an identifier is missing, the rest decides alone. */
export function refuseSource(
  options: Pick<RestoreOptions, "manifest">,
  databaseName: string,
  systemIdentifier: string | undefined,
  databaseOid: number | undefined,
): void {
  const { server } = options.manifest.database;
  if (databaseOid === undefined) return;
  const known = server.systemIdentifier !== undefined && systemIdentifier !== undefined;
  if (known && server.systemIdentifier !== systemIdentifier) return;
  const sameOid = databaseOid === server.databaseOid;
  const sameName = databaseName === server.databaseName;
  if (known ? sameOid || sameName : sameOid && sameName) {
    throw restoreError("target_is_source", {
      message: `database ${JSON.stringify(databaseName)} is what the snapshot was taken of`,
      subject: { databaseOid, ...(systemIdentifier === undefined ? {} : { systemIdentifier }) },
    });
  }
}

function refuseOlder(versionNum: number, source: DatabaseManifest): void {
  const target = Math.floor(versionNum / 10_000);
  const needed = Math.floor(source.server.versionNum / 10_000);
  if (target >= needed) return;
  throw restoreError("target_too_old", {
    message: `target server of version ${target}, the source was of version ${needed}`,
  });
}

/** Objects of users have oids from 16384 on; large objects any. What an extension brought counts as it. */
const CONTENTS = `
WITH found(kind, name, classid, objid) AS (
  SELECT 'relation', n.nspname || '.' || c.relname, 'pg_class'::regclass, c.oid
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE n.nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT 'function', p.oid::regprocedure::text, 'pg_proc'::regclass, p.oid FROM pg_proc AS p
  UNION ALL SELECT 'type', t.oid::regtype::text, 'pg_type'::regclass, t.oid FROM pg_type AS t
  UNION ALL SELECT 'operator', o.oid::text, 'pg_operator'::regclass, o.oid FROM pg_operator AS o
  UNION ALL SELECT 'schema', n.nspname, 'pg_namespace'::regclass, n.oid
    FROM pg_namespace AS n WHERE n.nspname !~ '^pg_(toast_)?temp_'
  UNION ALL SELECT 'extension', e.extname, 'pg_extension'::regclass, e.oid FROM pg_extension AS e
  UNION ALL SELECT 'event trigger', e.evtname, 'pg_event_trigger'::regclass, e.oid FROM pg_event_trigger AS e
  UNION ALL SELECT 'publication', p.pubname, 'pg_publication'::regclass, p.oid FROM pg_publication AS p
  UNION ALL SELECT 'foreign data wrapper', f.fdwname, 'pg_foreign_data_wrapper'::regclass, f.oid
    FROM pg_foreign_data_wrapper AS f
  UNION ALL SELECT 'large object', l.oid::text, 'pg_largeobject'::regclass, l.oid
    FROM pg_largeobject_metadata AS l)
SELECT kind || ' ' || name AS object FROM found
 WHERE (objid >= 16384 OR kind = 'large object')
   AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = found.classid AND d.objid = found.objid AND d.deptype = 'e')
 ORDER BY kind, name LIMIT 6`;

const MARKED = `
SELECT obj_description(oid, 'pg_namespace') AS mark FROM pg_namespace WHERE nspname = '${MARKER_SCHEMA}'`;

async function inspectInside(
  options: RestoreOptions,
  snapshot: string,
): Promise<{ contents: readonly string[]; resumes: boolean }> {
  await using inside = await openAdmin(options.targetUrl, options.signal);
  const [marker] = await inside.query<{ mark: string | null }>(MARKED);
  if (marker?.mark === markOf(snapshot)) return { contents: [], resumes: true };
  const platform = await readPlatform(inside);
  const contents =
    platform === undefined
      ? (await inside.query<{ object: string }>(CONTENTS)).map((row) => row.object)
      : await furnishedContents(inside, platformNamed(platform), options.manifest.database);
  return { contents, resumes: false };
}

function refuseContents(databaseName: string, contents: readonly string[]): void {
  if (contents.length === 0) return;
  const named = contents.slice(0, 5).join(", ");
  const more = contents.length > 5 ? " and more" : "";
  throw restoreError("target_not_empty", {
    message: `database ${JSON.stringify(databaseName)} holds ${named}${more}`,
  });
}

/** Roles from which one can become a superuser, or reach files and programs of the server. */
const ROLES = `
WITH RECURSIVE powers(oid) AS (
  SELECT oid FROM pg_roles WHERE rolsuper OR (rolname ~ '^pg_' AND NOT rolname = ANY ($1))
  UNION SELECT m.member FROM pg_auth_members AS m JOIN powers AS p ON p.oid = m.roleid),
creators(oid) AS (
  SELECT oid FROM pg_roles
   WHERE rolcreaterole AND current_setting('server_version_num')::int < 160000
  UNION SELECT m.member FROM pg_auth_members AS m JOIN creators AS c ON c.oid = m.roleid)
SELECT r.rolname AS name, EXISTS (SELECT FROM powers WHERE powers.oid = r.oid) AS powerful,
       EXISTS (SELECT FROM creators WHERE creators.oid = r.oid) AS creator,
       starts_with(coalesce(shobj_description(r.oid, 'pg_authid'), ''), $2) AS unfinished
  FROM pg_roles AS r`;

/** Bare roles of any interrupted restore are ours to finish, also where another snapshot is restored in its place. */
export async function readRoles(server: Connection): Promise<ReadonlyMap<string, TargetRole>> {
  const rows = await server.query<{
    name: string;
    powerful: boolean;
    creator: boolean;
    unfinished: boolean;
  }>(ROLES, [[...SAFE_PREDEFINED_ROLES], MARK]);
  return new Map(rows.map((row) => [row.name, row]));
}

async function readContexts(server: Connection): Promise<ReadonlyMap<string, string>> {
  const rows = await server.query<{ name: string; context: string }>(
    "SELECT lower(name) AS name, context FROM pg_settings",
  );
  return new Map(rows.map((row) => [row.name, row.context]));
}

async function findBuilder(server: Connection, snapshot: string): Promise<string | undefined> {
  const [row] = await server.query<{ name: string }>(
    `SELECT rolname AS name FROM pg_roles
      WHERE rolname ~ '^sparekeep_restore_[0-9a-f]+$' AND NOT rolsuper
        AND shobj_description(oid, 'pg_authid') = $1`,
    [builderMark(snapshot)],
  );
  return row?.name;
}

export function builderMark(snapshot: string): string {
  return `sparekeep: builds the restore of snapshot ${snapshot}`;
}

export async function readExtensions(server: Connection): Promise<TargetFacts["extensions"]> {
  const rows = await server.query<{ name: string; trusted: boolean }>(
    `SELECT a.name, bool_or(v.trusted OR NOT v.superuser) AS trusted
       FROM pg_available_extensions AS a
       JOIN pg_available_extension_versions AS v ON v.name = a.name AND v.version = a.default_version
      GROUP BY a.name`,
  );
  return new Map(rows.map((row) => [row.name, { trusted: row.trusted }]));
}
