import { quoteLiteral } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import { MARKER_SCHEMA } from "./marker-schema.ts";
import { RECORD_OWNED_BY_PINNED } from "./pinned-owner.ts";

export { MARKER_SCHEMA } from "./marker-schema.ts";

/**
 * What of an unfinished restore is done, kept in the target (R8): the schema `sparekeep_restore`, owned by the builder
 * and dropped at the end. The comment on the schema names the snapshot; only the catalog is read to find it, since a
 * hostile builder could have put a view in the place of a table.
 */

/** How every mark of an unfinished restore begins, on its schema and on the roles that it made. */
export const MARK = "sparekeep: unfinished restore of snapshot ";

export function markOf(snapshot: string): string {
  return `${MARK}${snapshot}`;
}

const CREATE = `
CREATE SCHEMA ${MARKER_SCHEMA};
CREATE TABLE ${MARKER_SCHEMA}.done (item text PRIMARY KEY);
CREATE TABLE ${MARKER_SCHEMA}.owned (
  classid oid NOT NULL, objid oid NOT NULL, owner text NOT NULL, PRIMARY KEY (classid, objid));
`;

/** The objects that the running transaction has made, to be given to `owner` later. */
const RECORD_OWNED = `
INSERT INTO ${MARKER_SCHEMA}.owned (classid, objid, owner)
SELECT d.classid, d.objid, $1
  FROM pg_catalog.pg_shdepend AS d
 WHERE d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
   AND d.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
   AND d.deptype = 'o'
   AND d.xmin = pg_catalog.pg_current_xact_id()::pg_catalog.xid
ON CONFLICT DO NOTHING`;

/** From here on the builder no longer owns what it made. */
export const OWNERS_BEGUN = "step:owners-begun";

export interface Ledger {
  readonly done: ReadonlySet<string>;
  has(item: string): boolean;
  /** In the caller's transaction: durable with the work that it records, and as the builder whatever that work set. */
  record(connection: Connection, item: string): Promise<void>;
  recordOwned(connection: Connection, owner: string): Promise<void>;
}

export async function createMarker(builder: Connection, snapshot: string): Promise<void> {
  const mark = quoteLiteral(markOf(snapshot));
  await builder.query(`BEGIN;${CREATE}COMMENT ON SCHEMA ${MARKER_SCHEMA} IS ${mark};COMMIT`);
}

export async function openLedger(builder: Connection): Promise<Ledger> {
  const rows = await builder.query<{ item: string }>(`SELECT item FROM ${MARKER_SCHEMA}.done`);
  const done = new Set(rows.map((row) => row.item));
  const [role] = await builder.query<{ pinned: boolean }>(
    "SELECT oid < 16384 AS pinned FROM pg_catalog.pg_roles WHERE rolname = current_user",
  );
  const recordOwned = role?.pinned === true ? RECORD_OWNED_BY_PINNED : RECORD_OWNED;
  return {
    done,
    has: (item) => done.has(item),
    record: async (connection, item) => {
      await connection.query(
        `SET ROLE NONE; INSERT INTO ${MARKER_SCHEMA}.done VALUES (${quoteLiteral(item)}) ON CONFLICT DO NOTHING`,
      );
    },
    recordOwned: async (connection, owner) => {
      await connection.query("SET ROLE NONE");
      await connection.query(recordOwned, [owner]);
    },
  };
}

export async function dropMarker(builder: Connection): Promise<void> {
  await builder.query(`DROP SCHEMA IF EXISTS ${MARKER_SCHEMA} CASCADE`);
}

/** Commits what `work` did, or nothing of it. */
export async function inTransaction<Result>(
  connection: Connection,
  work: () => Promise<Result>,
  begin: "BEGIN" | "BEGIN READ ONLY" = "BEGIN",
): Promise<Result> {
  await connection.query(begin);
  try {
    const result = await work();
    await connection.query("COMMIT");
    return result;
  } catch (error) {
    // A session that is lost or cancelled has rolled back by itself, and the first error is the one that counts.
    await connection.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}
