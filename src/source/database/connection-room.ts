/**
 * The last connection is the application's (I4): before a run opens its sessions it counts how many are left for its role,
 * and takes one fewer, or none at all. What others take later is theirs: a session that cannot be opened then is done
 * without (`work-pool.ts`).
 */
import { counted } from "../../kernel/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { sourceError } from "../errors.ts";
import type { Notices } from "./notices.ts";

interface RoomRow extends Record<string, unknown> {
  readonly server: number;
  readonly role: number | null;
  readonly database: number | null;
}

/**
 * How many sessions may still begin: of the server, less what it reserves for others than this role; of the role; of the
 * database. The limits of the last two do not hold for a superuser. Whose sessions are hidden from the role counts as a
 * client: better one too many than one too few.
 */
const ROOM = `
  WITH me AS (SELECT * FROM pg_roles WHERE rolname = current_user),
       clients AS (SELECT * FROM pg_stat_activity
                    WHERE usesysid IS NOT NULL AND datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend')
  SELECT current_setting('max_connections')::int
           - CASE WHEN me.rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::int
             + CASE WHEN EXISTS (SELECT FROM pg_roles r WHERE r.rolname = 'pg_use_reserved_connections'
                                    AND pg_has_role(r.oid, 'USAGE'))
                    THEN 0 ELSE coalesce(current_setting('reserved_connections', true), '0')::int END END
           - (SELECT count(*) FROM clients)::int AS server,
         CASE WHEN me.rolconnlimit >= 0 AND NOT me.rolsuper
              THEN me.rolconnlimit - (SELECT count(*) FROM clients WHERE usesysid = me.oid)::int END AS role,
         CASE WHEN d.datconnlimit >= 0 AND NOT me.rolsuper
              THEN d.datconnlimit - (SELECT count(*) FROM clients WHERE datid = d.oid)::int END AS database
    FROM me, pg_database d WHERE d.datname = current_database()`;

const LEFT_FREE = 1;

export interface ConnectionNeed {
  /** Sessions that there is no doing without, besides those that are open. */
  readonly fixed: number;
  /** At least one of them. */
  readonly wanted: number;
  readonly notices: Pick<Notices, "say">;
}

/** How many of the wanted sessions may be opened. Throws `source.too_few_connections` where not even one is. */
export async function roomForConnections(
  session: Connection,
  { fixed, wanted, notices }: ConnectionNeed,
): Promise<number> {
  const [row] = await session.query<RoomRow>(ROOM);
  if (row === undefined) throw sourceError("catalog_unreadable", { message: "room for sessions" });
  const limits = [
    { free: row.server, of: "the server" },
    ...(row.role === null ? [] : [{ free: row.role, of: "the role" }]),
    ...(row.database === null ? [] : [{ free: row.database, of: "the database" }]),
  ];
  const narrowest = limits.reduce((least, one) => (one.free < least.free ? one : least));
  const taken = Math.min(wanted, narrowest.free - LEFT_FREE - fixed);
  if (taken < 1) {
    const free = Math.max(0, narrowest.free);
    throw sourceError("too_few_connections", {
      message: `${free} more connections that ${narrowest.of} allows, of which ${fixed + 1} are needed and ${LEFT_FREE} is left free`,
      subject: { free, needed: fixed + 1 + LEFT_FREE },
    });
  }
  if (taken < wanted) {
    notices.say(
      `${counted(taken, "connection")} for reading in place of ${wanted}: ${narrowest.of} allowed ${narrowest.free} more, and the application keeps one`,
    );
  }
  return taken;
}
