/** Whatever of the source is not in the snapshot, each with its reason: said aloud, never silently (I8). */
import type { DatabaseManifest, Platform } from "../../manifest/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { displayName } from "./issues.ts";
import type { Relation } from "./relations.ts";

type LeftOut = DatabaseManifest["leftOut"][number];

export async function readLeftOut(
  session: Connection,
  relations: readonly Relation[],
): Promise<readonly LeftOut[]> {
  return [
    { object: "role passwords", reason: "never read; set them again after a restore" },
    { object: "planner statistics", reason: "computed again by ANALYZE after a restore" },
    ...relations.flatMap(relationLeftOut),
    ...(await readInvalidIndexes(session)),
    ...(await readGlobalSettings(session)),
    ...(await readTablespaces(session)),
    ...(await readParameterRights(session)),
  ];
}

/** pg_dump ends well although it left something out: subscriptions, where the role is no superuser. */
export function leftOutBySchema(warning: string): LeftOut {
  return { object: "schema", reason: `pg_dump warned: ${warning}` };
}

export function leftOutByPlatform(
  platform: Platform | undefined,
  relation: Relation,
): readonly LeftOut[] {
  const rows = platform?.rowsOf(relation.schema, relation.name);
  return typeof rows === "object" ? [{ object: displayName(relation), reason: rows.reason }] : [];
}

function relationLeftOut(relation: Relation): readonly LeftOut[] {
  const object = displayName(relation);
  if (relation.kind === "foreign") {
    return [{ object, reason: "foreign table: its definition only, the rows are elsewhere" }];
  }
  if (relation.extension !== undefined && relation.extensionCondition === undefined) {
    const reason = `part of the extension ${relation.extension}, which creates it`;
    return [{ object, reason }];
  }
  return [];
}

/** pg_dump passes them over in silence; on partitioned tables alone it keeps them. */
async function readInvalidIndexes(session: Connection): Promise<readonly LeftOut[]> {
  const rows = await session.query<{ schema: string; name: string }>(
    String.raw`SELECT n.nspname::text AS schema, c.relname::text AS name
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT (i.indisvalid AND i.indisready) AND t.relkind IN ('r', 'm') AND t.relpersistence <> 't'
       AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
     ORDER BY 1, 2`,
  );
  return rows.map((row) => ({
    object: `index ${displayName(row)}`,
    reason: "invalid: its CREATE INDEX CONCURRENTLY did not end well; create it again or drop it",
  }));
}

async function readGlobalSettings(session: Connection): Promise<readonly LeftOut[]> {
  const rows = await session.query<{ setting: string }>(
    `SELECT split_part(unnest(setconfig), '=', 1) AS setting
       FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase = 0 ORDER BY 1`,
  );
  return rows.map((row) => ({
    object: `ALTER ROLE ALL SET ${row.setting}`,
    reason: "holds for every database of the server, not for this one alone",
  }));
}

async function readTablespaces(session: Connection): Promise<readonly LeftOut[]> {
  const rows = await session.query<{ name: string }>(
    String.raw`SELECT spcname::text AS name FROM pg_tablespace
                WHERE spcname NOT LIKE 'pg\_%' ORDER BY 1`,
  );
  return rows.map((row) => ({
    object: `tablespace ${row.name}`,
    reason: "a place on the server's disks; a restore uses the default one",
  }));
}

/** Rights on parameters exist since 15; they hold for the whole server. */
async function readParameterRights(session: Connection): Promise<readonly LeftOut[]> {
  if (session.versionNum < 150_000) return [];
  const rows = await session.query<{ name: string }>(
    "SELECT parname::text AS name FROM pg_parameter_acl ORDER BY 1",
  );
  return rows.map((row) => ({
    object: `rights on the parameter ${row.name}`,
    reason: "hold for every database of the server, not for this one alone",
  }));
}
