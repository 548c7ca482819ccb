import { MARKER_SCHEMA } from "./marker-schema.ts";

/**
 * The server keeps no record in `pg_shdepend` of what its bootstrap superuser owns. Where that role builds
 * (`--trust-source`), what the running transaction made is found in the catalogs themselves: those with owners, one
 * line each, the same objects that `pg_shdepend` would name.
 */

const CATALOGS = [
  ["pg_class", "relowner", "o.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')"],
  ["pg_namespace", "nspowner", "true"],
  ["pg_proc", "proowner", "NOT inner_part"],
  [
    "pg_type",
    "typowner",
    `NOT EXISTS (SELECT FROM pg_catalog.pg_type AS e WHERE e.typarray = o.oid)
     AND (o.typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = o.typrelid AND c.relkind = 'c'))`,
  ],
  ["pg_operator", "oprowner", "true"],
  ["pg_opclass", "opcowner", "true"],
  ["pg_opfamily", "opfowner", "true"],
  ["pg_collation", "collowner", "true"],
  ["pg_conversion", "conowner", "true"],
  ["pg_ts_dict", "dictowner", "true"],
  ["pg_ts_config", "cfgowner", "true"],
  ["pg_statistic_ext", "stxowner", "true"],
  ["pg_foreign_data_wrapper", "fdwowner", "true"],
  ["pg_foreign_server", "srvowner", "true"],
  ["pg_language", "lanowner", "true"],
  ["pg_largeobject_metadata", "lomowner", "true"],
] as const;

/** Constructors of range types stay the server's. */
const INNER = `LATERAL (SELECT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
   WHERE d.classid = o.tableoid AND d.objid = o.oid AND d.deptype IN ('i', 'e')) AS inner_part) AS i`;

/** `$1`: the owner that they shall have. */
export const RECORD_OWNED_BY_PINNED = `
INSERT INTO ${MARKER_SCHEMA}.owned (classid, objid, owner)
${CATALOGS.map(
  ([
    catalog,
    owner,
    condition,
  ]) => `SELECT o.tableoid, o.oid, $1 FROM pg_catalog.${catalog} AS o, ${INNER}
 WHERE o.${owner} = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user) AND (${condition})
   AND o.xmin = pg_catalog.pg_current_xact_id()::pg_catalog.xid AND o.oid >= 16384`,
).join("\nUNION ALL\n")}
ON CONFLICT DO NOTHING`;
