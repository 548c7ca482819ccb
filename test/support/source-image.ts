import { takeImage } from "../../demo/compare/compare.ts";
import type { Cluster } from "./cluster.ts";

/** All that can be told of a source, so that not even what was undone again goes unseen. One line each. */
export type SourceImage = ReadonlyMap<string, string>;

interface Line extends Record<string, unknown> {
  readonly name: string;
  readonly value: string;
}

/** Besides objects, rows and sequences by content: what shows that somebody was there at all. */
const TRACES: Readonly<Record<string, string>> = {
  "rows written": `
    SELECT format('%I.%I', schemaname, relname) AS name,
           format('inserted %s, updated %s, deleted %s', n_tup_ins, n_tup_upd, n_tup_del) AS value
      FROM pg_stat_all_tables WHERE schemaname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')`,
  // Dropped and created again, rewritten or truncated: other numbers.
  object: `
    SELECT c.oid::regclass::text AS name,
           format('oid %s, file %s, kind %s, columns %s', c.oid, c.relfilenode, c.relkind, c.relnatts) AS value
      FROM pg_class c WHERE c.oid >= 16384 OR c.relfilenode <> 0 AND c.relnamespace <> 11`,
  function:
    "SELECT oid::regprocedure::text AS name, md5(prosrc || coalesce(proacl::text, '')) AS value FROM pg_proc",
  schema:
    "SELECT nspname AS name, format('%s %s', oid, nspacl) AS value FROM pg_namespace WHERE nspname !~ '^pg_toast_temp'",
  type: "SELECT format('%s %s', oid, typname) AS name, typtype::text AS value FROM pg_type",
  extension: "SELECT extname AS name, extversion AS value FROM pg_extension",
  role: "SELECT rolname AS name, md5(r::text) AS value FROM pg_roles r",
  membership:
    "SELECT roleid::regrole || ' ' || member::regrole AS name, admin_option::text AS value FROM pg_auth_members",
  "setting of roles and databases":
    "SELECT format('%s %s', setdatabase, setrole) AS name, setconfig::text AS value FROM pg_db_role_setting",
  "setting of the server":
    "SELECT name, setting AS value FROM pg_settings WHERE source NOT IN ('session', 'client')",
  database:
    "SELECT datname AS name, format('%s %s %s', oid, datacl, datconnlimit) AS value FROM pg_database",
  slot: "SELECT slot_name AS name, slot_type AS value FROM pg_replication_slots",
  publication:
    "SELECT p.pubname AS name, (p::text || coalesce((SELECT string_agg(t::text, ',' ORDER BY t::text) FROM pg_publication_tables t WHERE t.pubname = p.pubname), '')) AS value FROM pg_publication p",
  subscription: "SELECT subname AS name, subenabled::text AS value FROM pg_subscription",
  "large object":
    "SELECT oid::text AS name, coalesce(lomacl::text, '') AS value FROM pg_largeobject_metadata",
  "event trigger": "SELECT evtname AS name, evtenabled::text AS value FROM pg_event_trigger",
  comment:
    "SELECT format('%s %s %s', classoid, objoid, objsubid) AS name, description AS value FROM pg_description WHERE objoid >= 16384",
  "prepared transaction": "SELECT gid AS name, owner AS value FROM pg_prepared_xacts",
  "advisory lock":
    "SELECT format('%s %s %s', classid, objid, pid) AS name, mode AS value FROM pg_locks WHERE locktype = 'advisory'",
  "temporary object":
    "SELECT relname AS name, oid::text AS value FROM pg_class WHERE relpersistence = 't'",
  "session of ours":
    "SELECT format('%s %s', application_name, pid) AS name, coalesce(state, '') AS value FROM pg_stat_activity WHERE application_name LIKE 'sparekeep%'",
  "exported snapshot": "SELECT name, '' AS value FROM pg_ls_dir('pg_snapshots') AS name",
};

export async function takeSourceImage(cluster: Cluster, database: string): Promise<SourceImage> {
  const lines = new Map<string, string>();
  const { facts } = await takeImage({ url: cluster.url(database) });
  for (const { kind, object, aspects } of facts) {
    for (const [aspect, value] of Object.entries(aspects)) {
      lines.set(`${kind} ${object}: ${aspect}`, value);
    }
  }
  for (const [what, sql] of Object.entries(TRACES)) {
    for (const { name, value } of await cluster.query<Line>(sql, { database })) {
      lines.set(`${what} ${name}`, value);
    }
  }
  return lines;
}

/** One line for each difference, by name; what comes and goes by itself is the caller's to know. */
export function changesBetween(before: SourceImage, after: SourceImage): string[] {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys]
    .filter((key) => before.get(key) !== after.get(key))
    .map((key) => `${key}: ${before.get(key) ?? "nothing"} -> ${after.get(key) ?? "nothing"}`)
    .toSorted();
}
