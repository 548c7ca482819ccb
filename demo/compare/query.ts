/** One kind of object: a query that gives `object` (its name, never an oid) and `aspects` (what is compared, as jsonb). */
export interface CatalogQuery {
  readonly kind: string;
  readonly sql: string;
}

/** Not the system's. */
export const userSchema = (name: string): string =>
  `${name} !~ '^pg_' AND ${name} <> 'information_schema'`;

/** Not a part of an extension: that comes back with the extension. */
export const noMember = (catalog: string, oid: string): string =>
  `NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '${catalog}'::regclass
     AND d.objid = ${oid} AND d.deptype = 'e')`;

/** Rights as a sorted set; a default that is not stored equals the same rights stored. */
export const acl = (column: string, type: string, owner: string): string =>
  `(SELECT coalesce(jsonb_agg(entry ORDER BY entry), '[]') FROM (
      SELECT format('%s %s%s by %s', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END,
        a.privilege_type, CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END, pg_get_userbyid(a.grantor)) AS entry
      FROM aclexplode(coalesce(${column}, acldefault(${type}, ${owner}))) AS a) AS entries)`;

/** The same for the system's own objects, whose owner has another name on every server. */
export const systemAcl = (column: string, ownerColumn: string): string =>
  `(SELECT jsonb_agg(entry ORDER BY entry) FROM (
      SELECT format('%s %s%s', CASE a.grantee WHEN 0 THEN 'PUBLIC' WHEN ${ownerColumn} THEN 'owner' ELSE pg_get_userbyid(a.grantee) END,
        a.privilege_type, CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END) AS entry
      FROM aclexplode(${column}) AS a) AS entries)`;

export const owner = (column: string): string => `pg_get_userbyid(${column})`;

/** `schema.name`, quoted where needed. */
export const qualified = (schema: string, name: string): string =>
  `format('%I.%I', ${schema}, ${name})`;
