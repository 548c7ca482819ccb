import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { Secret, collectBytes, fromHex } from "../../src/kernel/index.ts";
import { MANIFEST_FORMAT, createRowHasher } from "../../src/manifest/index.ts";
import type { Manifest, TableManifest } from "../../src/manifest/index.ts";
import { connect } from "../../src/postgres/index.ts";
import type { Connection } from "../../src/postgres/index.ts";
import type { TestDatabase } from "./cluster.ts";
import { testPrograms } from "./cluster.ts";
import { MemorySnapshot } from "./memory-snapshot.ts";
import type { Made } from "./restore.ts";

/** The plainest capture there is, independent of source/: whole tables one after the other, nothing concurrent. */

const ROW_HASH_KEY = createHash("sha256").update("test").digest("hex");

export async function captureByHand(database: TestDatabase): Promise<Made> {
  const files = new MemorySnapshot();
  await using connection = await connect({
    url: new Secret(database.url),
    applicationName: "sparekeep test",
    readOnly: true,
  });
  const archive = execFileSync(testPrograms().pg_dump, [
    "--format=custom",
    "--schema-only",
    `--dbname=${database.url}`,
  ]);
  const path = "database/schema.dump";
  const schema = { path, ...only(files.put(path, archive)) };
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    plan: "test",
    startedAt: "2026-11-22T01:00:00.000Z",
    completedAt: "2026-11-22T01:00:10.000Z",
    tool: { name: "sparekeep", version: "0.1.0" },
    rowHashKey: ROW_HASH_KEY,
    database: {
      source: "test",
      server: await readServer(connection),
      snapshot: { pgSnapshot: "1:1:", takenAt: "2026-11-22T01:00:00.000Z" },
      clientTools: { pgDump: "pg_dump" },
      schema,
      roles: await readRoles(connection),
      tables: await readTables(connection, files),
      sequences: await readSequences(connection),
      largeObjects: await readLargeObjects(connection, files),
      materializedViews: await readViews(connection),
      leftOut: [],
    },
  };
  return { files, manifest };
}

function only(saved: { sizeBytes: number; sha256: string }): { sizeBytes: number; sha256: string } {
  return { sizeBytes: saved.sizeBytes, sha256: saved.sha256 };
}

async function readServer(connection: Connection): Promise<Manifest["database"]["server"]> {
  const [row] = await connection.query<{ json: Manifest["database"]["server"] }>(`
    SELECT json_build_object(
      'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
      'databaseOid', d.oid::int8, 'databaseName', d.datname,
      'versionNum', current_setting('server_version_num')::int, 'version', current_setting('server_version'),
      'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype,
      'localeProvider', 'libc', 'owner', pg_get_userbyid(d.datdba),
      'settings', coalesce((SELECT to_json(s.setconfig) FROM pg_db_role_setting s
                             WHERE s.setdatabase = d.oid AND s.setrole = 0), '[]')) AS json
      FROM pg_database AS d WHERE d.datname = current_database()`);
  if (row === undefined) throw new Error("no database");
  return row.json;
}

async function readRoles(connection: Connection): Promise<Manifest["database"]["roles"]> {
  const rows = await connection.query<{ json: Manifest["database"]["roles"][number] }>(`
    SELECT json_build_object(
      'name', r.rolname, 'superuser', r.rolsuper, 'inherit', r.rolinherit, 'createRole', r.rolcreaterole,
      'createDb', r.rolcreatedb, 'canLogin', r.rolcanlogin, 'replication', r.rolreplication,
      'bypassRls', r.rolbypassrls, 'connectionLimit', r.rolconnlimit,
      'memberOf', coalesce((SELECT json_agg(json_build_object('role', g.rolname, 'adminOption', m.admin_option,
          'grantor', pg_get_userbyid(m.grantor)))
        FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid), '[]'),
      'settings', coalesce((SELECT json_agg(json_strip_nulls(json_build_object(
          'database', (SELECT datname FROM pg_database d WHERE d.oid = s.setdatabase), 'setting', c)))
        FROM pg_db_role_setting s, unnest(s.setconfig) AS c WHERE s.setrole = r.oid), '[]')) AS json
      FROM pg_roles AS r WHERE r.rolname !~ '^pg_' ORDER BY 1::text`);
  return rows.map((row) => row.json);
}

async function readTables(connection: Connection, files: MemorySnapshot): Promise<TableManifest[]> {
  const rows = await connection.query<{
    schema: string;
    name: string;
    quoted: string;
    list: string | null;
    columns: { name: string; type: string }[];
  }>(`
    SELECT n.nspname AS schema, c.relname AS name, format('%I.%I', n.nspname, c.relname) AS quoted,
           string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS list,
           coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod))
             ORDER BY a.attnum) FILTER (WHERE a.attname IS NOT NULL), '[]') AS columns
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
     WHERE c.relkind = 'r' AND c.oid >= 16384
       AND n.nspname NOT IN ('pg_catalog', 'information_schema')
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
     GROUP BY 1, 2, 3 ORDER BY 1, 2`);
  const tables: TableManifest[] = [];
  for (const { schema, name, quoted, list, columns } of rows) {
    const sql = `COPY ${quoted}${list === null ? "" : ` (${list})`} TO STDOUT`;
    const bytes = await collectBytes(connection.copyOut(sql));
    const hasher = createRowHasher(fromHex(ROW_HASH_KEY), "text");
    hasher.update(bytes);
    const sum = hasher.finish();
    const path = ["database", "tables", schema, name, "0000.copy"].join("/");
    const saved = only(files.put(path, Buffer.from(bytes)));
    const counted = { rows: String(sum.rows), rowHash: sum.hash };
    const parts = sum.rows === 0n ? [] : [{ path, ...saved, ...counted }];
    tables.push({ schema, name, format: "text", unlogged: false, columns, ...counted, parts });
  }
  return tables;
}

async function readSequences(connection: Connection): Promise<Manifest["database"]["sequences"]> {
  const rows = await connection.query<{ schema: string; name: string; quoted: string }>(`
    SELECT n.nspname AS schema, c.relname AS name, format('%I.%I', n.nspname, c.relname) AS quoted
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S'`);
  const sequences: Manifest["database"]["sequences"][number][] = [];
  for (const { schema, name, quoted } of rows) {
    const [value] = await connection.query<{ last: string; called: boolean }>(
      `SELECT last_value::text AS last, is_called AS called FROM ${quoted}`,
    );
    if (value === undefined) throw new Error(`no sequence ${quoted}`);
    sequences.push({ schema, name, lastValue: value.last, isCalled: value.called });
  }
  return sequences;
}

async function readLargeObjects(
  connection: Connection,
  files: MemorySnapshot,
): Promise<Manifest["database"]["largeObjects"]> {
  const rows = await connection.query<{
    oid: string;
    owner: string;
    acl: string | null;
    bytes: Buffer;
  }>(`SELECT oid::text AS oid, pg_get_userbyid(lomowner) AS owner, lomacl::text AS acl, lo_get(oid) AS bytes
        FROM pg_largeobject_metadata`);
  return rows.map(({ oid, owner, acl, bytes }) => {
    const path = `database/large-objects/${oid}`;
    const saved = only(files.put(path, bytes));
    return { path, ...saved, oid: Number(oid), owner, ...(acl === null ? {} : { acl }) };
  });
}

async function readViews(
  connection: Connection,
): Promise<Manifest["database"]["materializedViews"]> {
  const rows = await connection.query<{ schema: string; name: string; populated: boolean }>(`
    SELECT n.nspname AS schema, c.relname AS name, c.relispopulated AS populated
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' ORDER BY c.oid`);
  return rows.map((row, order) => ({ ...row, order }));
}
